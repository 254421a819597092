"""What a version may change of the one that is served, and what would be an error to those who ask it."""

import pytest

from model_training.card import Feature, Target, read_card
from model_training.registry.candidates import difference


@pytest.fixture(scope="module")
def card(iris_root):
    found = read_card(iris_root / "models" / "iris" / "card.json")
    island = Feature(
        name="island", kind="category", categories=["Biscoe", "Dream"], shares=[0.5, 0.5], may_be_missing=True
    )
    return found.model_copy(update={"features": [*found.features, island]})


def with_island(card, **changed):
    *others, island = card.features
    return card.model_copy(update={"features": [*others, island.model_copy(update=changed)]})


def test_the_same_is_taken_and_a_category_more(card):
    assert difference(card, card) is None
    assert difference(card, with_island(card, categories=["Biscoe", "Dream", "Torgersen"])) is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "isle"}, "features"),
        ({"kind": "number"}, "to be a category, it is a number"),
        ({"categories": ["Dream", "Biscoe"]}, "categories"),
        ({"categories": ["Biscoe"]}, "categories"),
        ({"may_be_missing": False}, "may be missing"),
    ],
)
def test_what_would_be_an_error_to_those_who_ask_is_told(card, changed, told):
    assert told in difference(card, with_island(card, **changed))


def test_other_targets_are_told(card):
    one, other = Target(name="size"), Target(name="weight")
    both = card.model_copy(update={"classes": None, "labels": None, "targets": [one, other]})
    assert difference(both, both) is None
    assert "targets" in difference(both, both.model_copy(update={"targets": [other, one]}))
