"""Loading verifies, and each thing that can be wrong with a model is an error of its own."""

import hashlib
import io
import json
import pickle
import random
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.utils import all_estimators

from model_training import artifact, estimators
from model_training.artifact import load
from model_training.card import CardError
from model_training.export import PROJECT


def edit_card(folder: Path, change) -> None:
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    change(card)
    path.write_text(json.dumps(card), encoding="utf-8")


def put(folder: Path, format: str, content: bytes) -> None:
    """Replace the model's file, and make the card agree: what an attacker with both would do."""
    (folder / f"model.{format}").write_bytes(content)
    edit_card(folder, lambda card: card["files"][format].update(sha256=hashlib.sha256(content).hexdigest()))


@pytest.mark.parametrize("format", ["onnx", "skops", "joblib"])
def test_one_flipped_bit_is_found_wherever_it_is(iris, format):
    path = iris / f"model.{format}"
    good = path.read_bytes()
    chance = random.Random(0)
    for _ in range(50):
        bad = bytearray(good)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        with pytest.raises(artifact.HashMismatchError, match="export the model again"):
            load(iris, format)


def test_a_truncated_file_is_a_changed_file(iris):
    path = iris / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(artifact.HashMismatchError):
        load(iris)


def test_a_missing_file(iris):
    (iris / "model.onnx").unlink()
    with pytest.raises(artifact.FileMissingError, match=r"model\.onnx cannot be read"):
        load(iris)


def test_a_format_that_the_card_does_not_list(iris):
    edit_card(iris, lambda card: card["files"].pop("skops"))
    with pytest.raises(artifact.FileMissingError, match="it lists onnx, joblib"):
        load(iris, "skops")


@pytest.mark.parametrize("format", ["skops", "joblib"])
def test_another_scikit_learn(iris, format):
    edit_card(iris, lambda card: card["inputs"]["versions"].update({"scikit-learn": "1.2.2"}))
    with pytest.raises(artifact.VersionMismatchError, match=r"exported with scikit-learn 1\.2\.2, this is"):
        load(iris, format)
    assert load(iris, "onnx").format == "onnx"


def test_a_model_that_answers_otherwise(iris):
    edit_card(iris, lambda card: card["golden"][1].update(prediction=2))
    with pytest.raises(artifact.GoldenRowsError, match="golden row 1 was 2 at export and is 1 here"):
        load(iris)


def test_bytes_that_no_library_can_read(iris):
    put(iris, "onnx", b"not an ONNX model")
    with pytest.raises(artifact.UnreadableError, match=r"onnx cannot read model\.onnx"):
        load(iris)


class Unknown(LogisticRegression):
    """A type that no model file of ours has a need of."""


def test_skops_refuses_a_type_that_is_not_trusted_and_runs_none_of_it(iris):
    put(iris, "skops", skops.io.dumps(Unknown()))
    with pytest.raises(artifact.UntrustedTypeError, match="Unknown"):
        load(iris, "skops")


class Attack:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_a_pickle_that_the_card_does_not_know_is_never_run(iris, tmp_path):
    mark = tmp_path / "it ran"
    (iris / "model.joblib").write_bytes(pickle.dumps(Attack(mark)))
    with pytest.raises(artifact.HashMismatchError):
        load(iris, "joblib")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no card at"),
        ("", "cannot be read as a model card"),
        ("[]", "is not a model card"),
        ("{}", "name: Field required"),
        ('{"name": "\\ud800"}', "model card"),
    ],
)
def test_a_card_that_is_none(iris, content, says):
    path = iris / "card.json"
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    with pytest.raises(CardError, match=says):
        load(iris)


@pytest.mark.parametrize("inputs", [{}, {"versions": None}, {"versions": {"scikit-learn": 1.8}}])
def test_a_card_that_does_not_tell_which_scikit_learn_it_was(iris, inputs):
    edit_card(iris, lambda card: card.update(inputs=inputs))
    with pytest.raises(artifact.VersionMismatchError, match="does not tell with which scikit-learn"):
        load(iris, "joblib")
    load(iris, "onnx")


def test_loading_onnx_needs_no_scikit_learn(iris):
    code = (
        "import sys; from pathlib import Path; from model_training.artifact import load; "
        f"load(Path({str(iris)!r})); print('sklearn' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(features=[]),
        lambda card: card.update(golden=[]),
        lambda card: card.update(trained_at="yesterday"),
        lambda card: card["golden"][0]["features"].pop(),
        lambda card: card["presets"][0]["features"].pop(),
        lambda card: card.update(labels=["a", "b"]),
        lambda card: card["features"][0].update(minimum=float("nan")),
        lambda card: card["features"][0].update(observed=[7.9, 4.3]),
        lambda card: card["features"][0]["quantiles"].reverse(),
        lambda card: card["features"][0].update(name=card["features"][1]["name"]),
        lambda card: card["files"]["onnx"].update(file="../model.onnx"),
        lambda card: card["files"]["onnx"].update(file="m" * 300),
        lambda card: card.pop("files"),
        lambda card: card.update(card_format=2),
        lambda card: card.update(more=1),
    ],
    ids=[
        *[
            "features",
            "golden",
            "time",
            "short row",
            "short preset",
            "labels",
            "nan",
            "observed",
            "quantiles",
        ],
        *["name twice", "elsewhere", "long name", "files", "format", "more"],
    ],
)
def test_a_card_that_does_not_say_what_a_server_needs_is_no_card(iris, change):
    edit_card(iris, change)
    with pytest.raises(CardError, match="is not a model card"):
        load(iris)


def test_a_card_of_another_models_features_is_found_by_its_golden_rows(iris):
    def shorten(card: dict) -> None:
        card["features"].pop()
        for row in [*card["golden"], *card["presets"]]:
            row["features"].pop()

    edit_card(iris, shorten)
    with pytest.raises(artifact.GoldenRowsError, match="does not take the card's golden rows"):
        load(iris)


@pytest.mark.parametrize("name", sorted(estimators.LARGEST_SHARE))
def test_one_call_answers_what_two_would(name):
    kind = {kind.__name__: kind for _, kind in all_estimators(type_filter="classifier")}[name]
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(300, 4))
    for answers in (rng.integers(0, 3, 300), np.where(rows[:, 0] > rows[:, 1], "yes", "no")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some do not converge in so few steps, and need not
            estimator = kind().fit(rows, answers)
        card = SimpleNamespace(features=[], has_probabilities=True, targets=None)
        predictions, shares = estimators.with_estimator(estimator, card)(rows)
        assert predictions.tolist() == estimator.predict(rows).tolist()
        assert shares.tolist() == estimator.predict_proba(rows).tolist()


WRONG_CLASSES = {
    "two classes": lambda card: card.update(classes=card["classes"][:2]),
    "five classes": lambda card: card.update(classes=[*card["classes"], "fourth", "fifth"]),
    "other labels": lambda card: card.update(labels=[5, 6, 7]),
    "labels as text": lambda card: card.update(labels=["0", "1", "2"]),
    "classes reversed": lambda card: card.update(classes=card["classes"][::-1]),
    "labels permuted": lambda card: card.update(labels=[1, 2, 0]),
    "a class twice": lambda card: card.update(classes=[*card["classes"][:2], card["classes"][0]]),
    "a label twice": lambda card: card.update(labels=[0, 1, 1]),
    "first row without probabilities": lambda card: card["golden"][0].pop("probabilities"),
    "minimum above maximum": lambda card: card["features"][0].update(minimum=9.0, maximum=1.0),
    "ten megabytes": lambda card: card.update(origin="x" * 10_000_000),
}


@pytest.mark.parametrize("format", ["onnx", "skops", "joblib"])
@pytest.mark.parametrize("edit", WRONG_CLASSES.values(), ids=WRONG_CLASSES)
def test_a_card_that_contradicts_itself_or_its_model_is_refused(iris, edit, format):
    edit_card(iris, edit)
    with pytest.raises((CardError, artifact.GoldenRowsError)):
        artifact.load(iris, format)


def test_a_card_without_the_names_of_answers_loads_as_it_did(iris):
    edit_card(iris, lambda card: [row.pop("label") for row in card["golden"]])
    assert artifact.load(iris).card.golden[0].label is None


def test_a_skops_file_that_unpacks_to_gigabytes_is_refused_before_it_does(iris):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        with archive.open("0.npy", "w", force_zip64=True) as member:
            for _ in range(200):
                member.write(bytes(1 << 20))
    data = bomb.getvalue()
    (iris / "model.skops").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    edit_card(iris, lambda card: card["files"]["skops"].update(sha256=sha256, bytes=len(data)))
    tracemalloc.start()
    with pytest.raises(artifact.UnreadableError, match="unpacks to more than"):
        artifact.load(iris, "skops")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 1024**2
