"""A card is read for what it says; nothing but the features is taken for granted."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ui.card import read_card
from ui.notices import plain
from ui.prediction import number, percent, read_predictions

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=9),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ("name", "unit", "minimum", "maximum", "observed", "median")


@pytest.mark.parametrize(("dataset", "features"), [("iris", 4), ("breast_cancer", 30), ("diabetes", 10)])
def test_a_real_card_is_read_whole(models, dataset, features):
    source = json.loads((models(dataset).parent / "card.json").read_text(encoding="utf-8"))
    card = read_card(source)
    assert len(card.features) == features
    assert [preset.label for preset in card.presets] == [preset["label"] for preset in source["presets"]]
    for feature, entry in zip(card.features, source["features"], strict=True):
        assert (feature.name, feature.unit) == (entry["name"], entry.get("unit"))
        assert (feature.minimum, feature.maximum) == (entry["minimum"], entry["maximum"])
        assert (feature.low, feature.high) == tuple(entry["observed"])


def test_a_random_row_lies_in_the_training_data_and_is_as_fine(models):
    card = read_card(json.loads((models("diabetes").parent / "card.json").read_text(encoding="utf-8")))
    for _ in range(50):
        for feature, value in zip(card.features, card.random_row(), strict=True):
            assert feature.low <= value <= feature.high
            assert value == round(value, feature.decimals)
    assert card.features[1].decimals == 0  # sex is 1 or 2, never 1.37


def test_a_bare_card_needs_only_its_features():
    card = read_card({"features": [{"name": "a"}, {}, "c", 4]})
    assert [feature.name for feature in card.features] == ["a", "feature 2", "c", "feature 4"]
    assert card.medians == [0.0] * 4 and card.presets == () and card.classes == ()
    assert all(0 <= value <= 1 for value in card.random_row())


@pytest.mark.parametrize("body", [None, [], {}, {"features": []}, {"features": 4}, "card"])
def test_what_names_no_features_is_no_card(body):
    with pytest.raises(ValueError, match="no features"):
        read_card(body)


@given(some.dictionaries(some.sampled_from(("name", "presets", "target", "classes", "title")), JSON), JSON)
def test_any_rubbish_beside_the_features_is_left_out(fields, entry):
    features = [entry, {field: entry for field in FIELDS}, {"name": "x"}]
    card = read_card({**fields, "features": features})
    assert len(card.features) == 3
    for feature, value in zip(card.features, card.random_row(), strict=True):
        assert math.isfinite(value) and math.isfinite(feature.start)
        assert feature.minimum is None or feature.maximum is None or feature.minimum < feature.maximum
    assert all(len(preset.features) == 3 for preset in card.presets)


@given(JSON, some.sampled_from([(), ("a", "b")]))
def test_any_rubbish_for_a_prediction_is_a_value_error_or_words(body, classes):
    card = read_card({"features": ["x"], "classes": list(classes)})
    answers = [body, {"prediction": [body]}, {"prediction": [1], "label": body}]
    answers += [{"prediction": [1], "probabilities": found} for found in (body, [body], {"a": body})]
    for answer in answers:
        try:
            assert read_predictions(answer, card)[0].words
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize(
    ("fields", "body", "words"),
    [
        ({"classes": ["x", "y"], "card_format": 1}, {"prediction": [1]}, "y"),
        ({"classes": ["1", "2"], "card_format": 1}, {"prediction": [1]}, "2"),
        ({"classes": ["1", "2"]}, {"prediction": [1]}, "1"),
        ({"classes": ["x", "y"]}, {"prediction": ["y"], "probabilities": [[0.25, 0.75]]}, "y, 75 %"),
        ({}, {"prediction": [1], "probabilities": [[0.2, 0.8]]}, "class 1, 80 %"),
        ({"target": {"name": "price", "unit": "euro"}}, {"prediction": [152.3456]}, "152.3 euro"),
        ({}, {"prediction": [0.000012]}, "1.200e-05"),
        (
            {"classes": ["x"]},
            {"prediction": [0], "label": "y", "probabilities": {"x": 0.2, "y": 0.8}},
            "y, 80 %",
        ),
        ({"classes": ["0", "1"], "labels": [-1, 1]}, {"prediction": [-1]}, "0"),
        ({"classes": ["no", "yes"], "labels": [False, True]}, {"prediction": [True]}, "yes"),
        ({"classes": ["", "b"]}, {"prediction": [0], "label": ""}, "“”"),
    ],
)
def test_a_prediction_in_words(fields, body, words):
    assert read_predictions(body, read_card({"features": ["a"], **fields}))[0].words == words


def test_several_predictions_are_read_in_their_order():
    card = read_card({"features": ["a"], "classes": ["x", "y"], "card_format": 1})
    rows = [{"x": 0.9, "y": 0.1}, {"x": 0.2, "y": 0.8}]
    body = {"prediction": [0, 1], "label": ["x", "y"], "probabilities": rows}
    assert [found.words for found in read_predictions(body, card, 2)] == ["x, 90 %", "y, 80 %"]
    assert [found.words for found in read_predictions({"prediction": [0, 1]}, card, 2)] == ["x", "y"]
    for fields in ({"prediction": [0]}, {"label": ["x"]}, {"label": "x"}, {"probabilities": rows[:1]}):
        with pytest.raises(ValueError, match="expected"):
            read_predictions({**body, **fields}, card, 2)


def test_what_is_not_certain_is_not_shown_as_certain():
    assert percent(0.99999) == "over 99 %" and percent(0.00001) == "under 1 %"
    assert percent(1.0) == "100 %" and percent(0.0) == "0 %"
    assert percent(0.9822, 1) == "98.2 %"


def test_numbers_have_four_figures():
    assert [number(x) for x in (0, 71.5578, 2501.0, -0.00123456)] == ["0", "71.56", "2,501", "-0.001235"]


@pytest.mark.parametrize(
    "text", ["petal width (cm)", "mean_radius", "0.1 to 2.5", "total/HDL - ratio", "a: b"]
)
def test_ordinary_labels_need_no_escapes(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    "text", ["1. one", "# one", "_a_", "$a$", ":red[a]", "a <b>", "`a`", "[a](b)", "&amp;"]
)
def test_what_would_be_markdown_is_escaped(text):
    assert "\\" in plain(text) and plain(text).replace("\\", "") == text
