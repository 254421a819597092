"""A model is better than its baseline, described by its card, and the same for the same seed."""

import json
import subprocess
import sys

import joblib
import numpy as np
import pytest

from model_training import datasets
from model_training.artifact import load
from model_training.card import Feature, read_card
from model_training.export import PROJECT, ConversionError, export, rows_of, to_onnx_bytes
from model_training.rows import Columns
from model_training.train import main, train

FORMATS = ("onnx", "skops", "joblib")


def test_the_model_beats_the_baseline_in_every_metric(training):
    for name, metric in training.metrics.items():
        better = metric.test < metric.baseline if "error" in name else metric.test > metric.baseline
        assert better, name
        assert len(metric.folds) == 5


def test_the_same_seed_gives_the_same_version_and_the_same_predictions(training):
    again = train(datasets.load(training.dataset.name))
    other = train(datasets.load(training.dataset.name), seed=2)
    rows = given(training)
    assert (again.version, again.inputs) == (training.version, training.inputs)
    assert np.array_equal(again.model.predict(rows), training.model.predict(rows))
    assert other.version != training.version


def given(training):
    """What its model was trained on: a table where some columns are categories."""
    features = training.dataset.features
    return features if training.dataset.categories else features.to_numpy()


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_answers_every_row_as_the_model_did(training, exported, format):
    folder, card = exported
    rows = given(training)
    predictions, probabilities = load(folder, format).predict(
        rows_of(training.dataset.features, card.features)
    )
    assert predictions == pytest.approx(training.model.predict(rows), rel=1e-3)
    if training.dataset.classes:
        assert probabilities == pytest.approx(training.model.predict_proba(rows), abs=1e-3)
    else:
        assert probabilities is None


def test_the_card_describes_the_model(training, exported):
    folder, card = exported
    assert read_card(folder / "card.json") == card
    assert (card.name, card.version, card.task) == (
        training.dataset.name,
        training.version,
        training.dataset.task,
    )
    assert [feature.name for feature in card.features] == list(training.dataset.features)
    assert set(card.files) == set(FORMATS)
    assert len(card.golden) == len(card.presets) == len(card.classes or [1, 2, 3])


def test_what_was_seen_in_training_is_accepted_and_what_cannot_be_is_not(training, exported):
    _, card = exported
    for feature, (_, column) in zip(card.features, training.dataset.features.items(), strict=True):
        assert feature.may_be_missing == column.isna().any()
        if feature.kind == "category":
            assert feature.categories == sorted(column.dropna().unique())
            assert sum(feature.shares) == pytest.approx(column.notna().mean(), abs=1e-5)
            continue
        assert feature.minimum <= column.min() == feature.observed[0]
        assert feature.maximum >= column.max() == feature.observed[1]
        assert feature.minimum >= 0 or column.min() < 0


def test_a_preset_is_what_its_label_says(training, exported):
    folder, card = exported
    rows = Columns(card.features).encode([preset.features for preset in card.presets])
    predictions, _ = load(folder).predict(rows)
    if card.classes:
        assert [card.classes[int(index)] for index in predictions] == [
            preset.label for preset in card.presets
        ]
    else:
        assert [preset.label for preset in card.presets] == ["low", "middle", "high"]


def test_the_first_iris_preset_is_the_guides_example(iris):
    assert read_card(iris / "card.json").presets[0].features == [5.1, 3.5, 1.4, 0.2]


def test_onnx_that_disagrees_is_never_written(tmp_path, monkeypatch):
    wrong = train(datasets.load("iris"))
    wrong.model[-1].intercept_ = np.array([0.0, 0.0, 50.0])
    features = [Feature(name=name) for name in wrong.dataset.features]
    wrong_bytes = to_onnx_bytes(wrong.model, features)
    monkeypatch.setattr("model_training.export.to_onnx_bytes", lambda *_: wrong_bytes)
    with pytest.raises(ConversionError, match="otherwise than scikit-learn"):
        export(train(datasets.load("iris")), tmp_path / "iris")
    assert list(tmp_path.iterdir()) == []


def test_exporting_again_replaces_the_folder_and_leaves_nothing_else(iris):
    export(train(datasets.load("iris"), seed=3), iris)
    assert read_card(iris / "card.json").inputs["seed"] == 3
    assert [path.name for path in iris.parent.iterdir()] == ["iris"]


def test_a_failure_midway_keeps_the_model_that_was_there(iris, monkeypatch):
    before = (iris / "card.json").read_bytes()
    monkeypatch.setattr("pathlib.Path.write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        export(train(datasets.load("iris"), seed=3), iris)
    assert (iris / "card.json").read_bytes() == before
    assert [path.name for path in iris.parent.iterdir()] == ["iris"]


def full_disk(*_, **__):
    raise OSError(28, "No space left on device")


def test_the_command_writes_the_guides_model_pkl_and_says_what_it_did(tmp_path, capsys):
    assert main(["wine", "--root", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "wine" in said and "baseline" in said and str(tmp_path) not in said
    said.encode("cp1252")  # what Windows writes into a pipe
    assert (tmp_path / "model.pkl").read_bytes() == (tmp_path / "models/wine/model.joblib").read_bytes()
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    model = joblib.load(tmp_path / "model.pkl")
    assert model.predict([card["presets"][0]["features"]]) == [0]


def test_a_dataset_that_does_not_exist_is_one_line(tmp_path):
    command = [sys.executable, "-m", "model_training.train", "irirs", "--root", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 1
    there_are = "iris, wine, breast_cancer, diabetes, penguins"
    assert done.stderr == f"train: no dataset is called 'irirs'; there are {there_are}\n"
