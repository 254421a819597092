"""A model is held to its dataset's expectations, and each kind of fault is found and named."""

import json
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier

from model_training import datasets
from model_training.adopt import adopt
from model_training.artifact import LoadedModel, load
from model_training.card import Card, read_card
from model_training.checks import checks, held_out
from model_training.checks.behaviour import direction, invariances, latency
from model_training.checks.checks import against_champion, check, quality
from model_training.checks.expectations import EXPECTATIONS, Direction, Expectations
from model_training.export import export
from model_training.train import train

IRIS = EXPECTATIONS["iris"]


@pytest.fixture(autouse=True)
def no_registry(monkeypatch, tmp_path) -> None:
    """Not that of this machine, in which there may be a champion."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path.as_posix()}/none.db")


def failed(found) -> list[str]:
    return [f"{one.kind}: {one.what}" for one in found if not one.passed]


@pytest.fixture(scope="module")
def model(iris_exported) -> LoadedModel:
    return load(iris_exported)


@pytest.fixture(scope="module")
def rows(model) -> held_out.HeldOut:
    return held_out.of_dataset(model.card)


def test_each_dataset_s_model_is_as_expected(exported):
    folder, card = exported
    found = check(folder, EXPECTATIONS[card.name], held_out.of_dataset(card), champion={})
    kinds = {one.kind for one in found}
    assert kinds == {"files", "quality", "invariance", "direction", "latency"}
    assert failed(one for one in found if one.kind != "latency") == []  # no test asserts a time


def test_what_is_expected_of_a_dataset_speaks_of_its_features_and_classes():
    assert EXPECTATIONS.keys() == datasets.LOADERS.keys()
    for name, rules in EXPECTATIONS.items():
        dataset = datasets.load(name)
        metrics = checks.METRICS[dataset.task]
        assert {*rules.at_least, *rules.at_most} <= metrics.keys()
        assert all(metrics[metric][1] for metric in rules.at_least), "an error has an upper bound"
        assert rules.precision.keys() <= {*dataset.features}
        assert {one.feature for one in rules.directions} <= {*dataset.features}
        assert {one.of for one in rules.directions} <= {*(dataset.classes or [None])}
        places = {one.change for one in rules.directions if isinstance(one.change, str)}
        assert places <= {value for name in dataset.categories for value in dataset.features[name]}


def test_a_model_that_learned_from_shuffled_answers_is_not_good_enough(tmp_path, capsys):
    dataset = datasets.load("iris")
    mixed = dataset.target.sample(frac=1, random_state=1).reset_index(drop=True).rename("species")
    training = train(replace(dataset, target=mixed))
    export(replace(training, inputs=train(dataset).inputs), tmp_path / "models" / "iris")
    assert checks.main(["iris", "--root", str(tmp_path), "--report", str(tmp_path / "report")]) == 1
    said = capsys.readouterr()
    assert "FAILED  quality" in said.out
    assert "check: quality: accuracy on 30 held-out rows: expected at least 0.85, found 0." in said.err
    told = json.loads((tmp_path / "report" / "iris.json").read_text(encoding="utf-8"))
    assert told["passed"] is False
    assert len([one for one in told["checks"] if not one["passed"]]) == said.err.count("check: ")
    page = (tmp_path / "report" / "iris.md").read_text(encoding="utf-8")
    assert page.count("| **failed** |") == said.err.count("check: ")
    assert "checks failed" in page.splitlines()[0]


def test_a_model_that_trembles_is_found(model, rows):
    def predict(given):
        answers, shares = model.predict(given)
        return (answers + (given[:, 0] * 1000).astype(int)) % 3, shares

    found = invariances(replace(model, predict=predict), rows.rows, IRIS)
    assert failed(found) == ["invariance: noise as small as measuring is exact"]


def test_a_model_that_looks_at_the_rest_of_the_batch_is_found(model, rows):
    def predict(given):
        return model.predict(given - given.mean(axis=0) + 3)

    found = list(invariances(replace(model, predict=predict), rows.rows, IRIS))
    assert "invariance: a row alone, and in a batch" in failed(found)

    def predict(given):
        return model.predict(given + np.arange(len(given))[:, None])

    found = list(invariances(replace(model, predict=predict), rows.rows, IRIS))
    assert "invariance: the rows of a batch in another order" in failed(found)


def test_a_model_that_has_a_feature_upside_down_is_found(model, rows):
    def predict(given):
        return model.predict(given * [1, 1, -1, 1] + [0, 0, 8, 0])

    wrong = replace(model, predict=predict)
    found = [direction(wrong, rows.rows, one, IRIS) for one in IRIS.directions]
    assert failed(found) == ["direction: petal length +0.5", "direction: petal length -0.5"]


def test_a_direction_of_a_feature_that_the_model_does_not_have_fails(model, rows):
    for one in (Direction("colour", 1, "up", of="setosa"), Direction("petal length", 1, "up", of="rosa")):
        found = direction(model, rows.rows, one, IRIS)
        assert not found.passed and found.found == "no such feature, or no such class"


def test_a_category_that_speaks_for_another_class_is_found(tmp_path):
    card = export(train(datasets.load("penguins")), tmp_path / "penguins")
    model, rows = load(tmp_path / "penguins"), held_out.of_dataset(card).rows
    for island, moves, passed in (("Biscoe", "up", True), ("Biscoe", "down", False), ("Mars", "up", False)):
        found = direction(model, rows, Direction("island", island, moves, of="Gentoo"), Expectations())
        assert found.passed is passed
    assert found.found == "no such category"


@pytest.mark.parametrize("name", ["several", "values", "outliers"])
def test_other_kinds_of_models_are_held_to_what_holds_for_all(tmp_path, name):
    rows, random = load_iris().data, np.random.default_rng(1)
    if name == "several":
        target = np.column_stack([load_iris().target, rows[:, 0] > 5.8])
        model = MultiOutputClassifier(LogisticRegression(max_iter=1000)).fit(rows, target)
    elif name == "values":
        model = LinearRegression().fit(rows, rows @ random.normal(size=(4, 2)))
    else:
        model = IsolationForest(n_estimators=10, random_state=1).fit(rows)
    joblib.dump(model, tmp_path / "model.pkl")
    card, _ = adopt(tmp_path / "model.pkl", name, None, tmp_path)
    found = check(tmp_path / "models" / name, Expectations(), None, {})
    assert {one.kind for one in found} == {"files", "invariance", "latency"}
    assert failed(one for one in found if one.kind != "latency") == []


def test_how_slow_a_row_may_be_is_the_operator_s_to_say(model):
    never, always = (latency(model, Expectations(slowest=times)) for times in (0, float("inf")))
    assert (never.passed, always.passed) == (False, True)


def test_a_model_behind_the_champion_is_found(exported):
    _, card = exported
    for share, passes in ((1.02, True), (1.2, False)):
        better = {
            name: metric.test * (share if checks.METRICS[card.task][name][1] else 1 / share)
            for name, metric in card.metrics.items()
        }
        found = list(against_champion(card, better, EXPECTATIONS[card.name]))
        assert len(found) == len(card.metrics) and {one.passed for one in found} == {passes}
    assert not list(against_champion(card, {}, IRIS))


def test_bytes_that_are_not_the_card_s_are_never_run(iris, monkeypatch, capsys):
    path = iris / "model.joblib"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(checks, "load_path", lambda folder: pytest.fail("it was loaded"))
    found = check(iris, IRIS, None, {})
    assert failed(found) == ["files: model.joblib"]
    assert "HashMismatchError" in next(one.found for one in found if not one.passed)


def test_other_data_than_those_of_the_training_are_no_held_out_rows(model, tmp_path, capsys):
    card = model.card.model_copy(update={"inputs": model.card.inputs | {"dataset_sha256": "0" * 64}})
    with pytest.raises(held_out.HeldOutError, match="trained on other data.*kit.py train iris"):
        held_out.of_dataset(card)
    assert checks.main(["nothing", "--root", str(tmp_path)]) == 1
    assert "there is no card at" in capsys.readouterr().err


@pytest.fixture(scope="module")
def adopted_root(iris_exported, tmp_path_factory):
    """A root with models/mine: adopted, so that nobody knows which rows it has seen."""
    root = tmp_path_factory.mktemp("adopted")
    adopt(iris_exported / "model.joblib", "mine", None, root)
    return root


def test_a_model_without_expectations_is_held_to_what_holds_for_all(adopted_root, capsys):
    assert checks.main(["mine", "--root", str(adopted_root)]) == 0
    said = capsys.readouterr().out
    assert "passed  invariance" in said and "passed  quality" not in said
    assert "Give some with --data" in said


def test_rows_of_one_s_own_tell_its_quality(adopted_root, tmp_path, capsys):
    path, frame = tmp_path / "rows.csv", load_iris(as_frame=True).frame
    names = [feature.name for feature in read_card(adopted_root / "models" / "mine" / "card.json").features]
    frame.columns = [*names, "species"]
    frame.to_csv(path, index=False)
    command = ["mine", "--root", str(adopted_root), "--data", str(path)]
    assert checks.main([*command, "--target", "species"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "passed quality accuracy on 150 held-out rows above the baseline's 0.333 0.967" in said
    frame.assign(species=(frame["species"] + 1) % 3).to_csv(path, index=False)  # all answers are wrong
    assert checks.main([*command, "--target", "species"]) == 1
    assert "check: quality: accuracy on 150 held-out rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read as CSV"),
        ("a,b\n1,2\n", "has no column sepal length"),
        ("{names},species\n", "has a header and no rows"),
        ("{names},species\n1,2,,4,setosa\n", "expected a value in every row of the column petal length"),
        ("{names},species\n1,2,x,4,setosa\n", "expected a number in every row of the column petal length"),
        ("{names},species\n1,2,3,4,rosa\n", "line 2: expected a class of the model in species: setosa,"),
    ],
)
def test_rows_that_cannot_be_used_are_told_of(model, tmp_path, text, told):
    path = tmp_path / "rows.csv"
    if text is not None:
        names = ",".join(feature.name for feature in model.card.features)
        path.write_text(text.format(names=names), encoding="utf-8")
    with pytest.raises(held_out.HeldOutError, match=told):
        held_out.of_table(path, model.card, None)


def test_a_regressor_s_rows_are_numbers(tmp_path):
    dataset = datasets.load("diabetes")
    card: Card = export(train(dataset), tmp_path / "diabetes")
    path = tmp_path / "rows.csv"
    dataset.frame.head(20).to_csv(path, index=False)
    found = held_out.of_table(path, card, None)
    assert found.rows.shape == (20, 10) and found.guesses[0] == pytest.approx(found.truth.mean())
    assert failed(quality(load(tmp_path / "diabetes"), found, Expectations())) == []
    pd.DataFrame(dataset.frame.head(2)).assign(**{card.target.name: ["a", "b"]}).to_csv(path, index=False)
    with pytest.raises(held_out.HeldOutError, match="expected a number in every row of the column disease"):
        held_out.of_table(path, card, None)
