"""A card that contradicts itself is refused when it is read, with the reason: nothing that reads it later has
to be ready for it."""

import json
import random
from contextlib import suppress
from copy import deepcopy

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier

from model_training.adopt import adopt
from model_training.artifact import ArtifactError, load_path
from model_training.card import Card, CardError, Feature, read_card


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder of a model of two targets, of three classes and of two."""
    root = tmp_path_factory.mktemp("two")
    rows = np.random.default_rng(0).normal(size=(90, 2))
    answers = np.c_[np.arange(90) % 3, rows[:, 0] > 0]
    joblib.dump(MultiOutputClassifier(LogisticRegression()).fit(rows, answers), root / "two.pkl")
    adopt(root / "two.pkl", "two", None, root)
    return root / "models" / "two"


def card_of(folder) -> dict:
    return json.loads((folder / "card.json").read_text(encoding="utf-8"))


CONTRADICTIONS = {  # by the model whose card it is
    "two": [
        (lambda card: card["golden"][0].update(prediction=0), "an answer of each target"),
        (lambda card: card["golden"][0].update(prediction=[]), "an answer of each target"),
        (lambda card: card["golden"][0]["prediction"].pop(), "an answer of each target"),
        (lambda card: card["golden"][0].update(label="0"), "an answer of each target"),
        (lambda card: card["golden"][0]["label"].pop(), "an answer of each target"),
        (lambda card: card["golden"][0]["probabilities"].pop(), "an answer of each target"),
        (lambda card: card["golden"][0]["probabilities"][1].pop(), "as many probabilities"),
        (lambda card: card["golden"][0].update(probabilities=[0.5, 0.5]), "as many probabilities"),
        (lambda card: card["golden"][0]["prediction"].__setitem__(1, 7), "among the labels"),
        (lambda card: card["targets"][1].pop("classes"), "as many"),
        (lambda card: card["targets"][1].update(name=card["targets"][0]["name"]), "a name of its own"),
        (lambda card: card["targets"].append(card["targets"][0] | {"name": "third"}), "an answer of each"),
        (lambda card: card["targets"].pop(), "at least 2"),
        (lambda card: card.update(classes=["a", "b"]), "classes with the targets"),
    ],
    "iris_exported": [
        (lambda card: card["golden"][0].update(prediction=[0]), "one prediction of each target"),
        (lambda card: card["golden"][0].update(label=["setosa"]), "one prediction of each target"),
        (lambda card: card["golden"][0].update(probabilities=[[1, 0, 0]]), "as many probabilities"),
        (lambda card: card["presets"][0]["features"].pop(), "and in a preset"),
        (lambda card: card.update(title="\ud800"), "cannot be read as a model card"),
    ],
}


@pytest.mark.parametrize(
    ("model", "change", "says"), [(model, *case) for model, cases in CONTRADICTIONS.items() for case in cases]
)
def test_what_a_card_contradicts(request, tmp_path, model, change, says):
    path = tmp_path / "card.json"
    card = card_of(request.getfixturevalue(model))
    change(card)
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(CardError, match=says):
        read_card(path)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"minimum": 2, "maximum": 1}, "no more than its maximum"),
        ({"observed": (2, 1)}, "from the least to the greatest"),
        ({"quantiles": [1, 3, 2]}, "from the least to the greatest"),
        ({"categories": ["a"]}, "where its kind is category"),
        ({"kind": "category"}, "where its kind is category"),
        ({"kind": "category", "categories": ["a", "a"]}, "once"),
        ({"kind": "category", "categories": ["a", "b"], "shares": [1]}, "as many labels and shares"),
        ({"kind": "category", "categories": ["a", "b"], "shares": [-0.5, 1]}, "from 0"),
        ({"kind": "category", "categories": ["a", "b"], "shares": [0.7, 0.7]}, "no more than 1"),
    ],
)
def test_what_a_feature_contradicts(parts, says):
    with pytest.raises(ValueError, match=says):
        Feature(name="x", **parts)


def test_shares_may_leave_room_for_what_was_missing_and_for_rounding():
    three = {"kind": "category", "categories": ["a", "b", "c"]}
    for shares in ([0.2, 0.2, 0.2], [0.333334, 0.333334, 0.333334], [0, 0, 0]):
        Feature(name="x", shares=shares, **three)


@pytest.mark.parametrize("seed", range(4))
def test_however_a_card_is_damaged_it_is_taken_or_refused_in_words(two, iris_exported, tmp_path, seed):
    """Never with an error of a library's, which would say nothing to whoever changed it."""
    chance, source = random.Random(seed), (two, iris_exported)[seed % 2]
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = card_of(source)
    for _ in range(60):
        card = deepcopy(whole)
        for _ in range(chance.choice([1, 1, 2])):
            damage(card, chance)
        (tmp_path / "card.json").write_text(json.dumps(card), encoding="utf-8")
        with suppress(CardError, ArtifactError):
            assert isinstance(load_path(tmp_path).card, Card)


def damage(card: dict, chance: random.Random) -> None:
    """One member, at any depth, is another, is gone, or is there twice."""
    place = chance.choice([*places(card)])
    holder = card
    for step in place[:-1]:
        holder = holder[step]
    kind = chance.choice(["another", "another", "gone", "twice"])
    if kind == "gone":
        holder.pop(place[-1])
    elif kind == "twice" and isinstance(holder, list):
        holder.insert(place[-1], holder[place[-1]])
    else:
        holder[place[-1]] = chance.choice(
            [
                None,
                True,
                0,
                -1,
                0.5,
                1e30,
                float("nan"),
                "",
                "x",
                "\ud800",
                "a" * 300,
                [],
                [[]],
                [0.5, 0.5],
                {},
            ]
        )


def places(found, before: tuple = ()):
    for step in found if isinstance(found, dict) else range(len(found)):
        yield (*before, step)
        if isinstance(found[step], dict | list) and step not in ("quantiles", "parameters"):
            yield from places(found[step], (*before, step))
