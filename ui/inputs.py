"""One row of features, entered by a person: built from the model's card, kept from page to page."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from ui.card import Card, Feature, Value
from ui.notices import plain
from ui.prediction import number, percent, shown, value_words

RANGES = " Below each field: the values in its training, and what the servers accept."
MISSING = "missing (null)"  # among the choices
NO_RANGES = (
    "This model's card does not say in which range its features lie, so any number is taken. "
    "The model answers all of them; only values like those that it was trained on give a useful answer."
)
MOST_NAMED = 3  # of several features, in a sentence


@dataclass
class Row:
    """The row as it stands, and what its fields began with. `filled` counts how often a button filled it in:
    then the fields are new ones, and begin with the new values."""

    values: list[Value]
    began: list[Value] = field(default_factory=list)
    filled: int = 0


def values(card: Card) -> list[Value]:
    """The row as it stands in this session; the first preset, or the medians, to begin with."""
    return list(_row(card).values)


def examples(card: Card) -> bool:
    """A button for each preset and one for a random row; True when one was pressed in this run."""
    ranges = any(feature.low is not None for feature in card.features)
    if card.presets or card.ranged:
        st.caption("Fill in an example." + (RANGES if ranges else ""))
    if not any(feature.spread or feature.categories for feature in card.features):
        st.caption(NO_RANGES)
    with st.container(horizontal=True, gap="small", key="examples"):
        pressed = [
            st.button(
                plain(preset.label), key=f"preset-{index}", on_click=_fill, args=(card, preset.features)
            )
            for index, preset in enumerate(card.presets)
        ]
        if card.ranged:
            pressed.append(
                st.button("Random row", key="random", icon=":material/shuffle:", on_click=_fill, args=(card,))
            )
    return any(pressed)


def fields(card: Card, page: str) -> list[Value]:
    """A labelled field for each feature, in a grid: a number, or a choice among categories; returns the row.

    Below it the range of the training data and what the servers accept, as far as the card tells. The field
    takes any number: what a server refuses, it says itself. Where a value may be missing, the field of a
    number may be emptied, and the choice has one for it.
    """
    row, keys = _row(card), _keys(card, page)
    if keys[0] not in st.session_state:  # Streamlit forgets a field when its page is left
        row.began = list(row.values)
    with st.container(key="features"):
        cells = zip(keys, card.features, row.began, strict=True)
        row.values = [_field(key, feature, began) for key, feature, began in cells]
    return list(row.values)


def keep(card: Card, page: str) -> None:
    """For the button that sends the row: the browser is told anew what is in the fields that may be emptied.
    It loads fields after buttons, and who is quick presses one before it has them."""
    for key, feature in zip(_keys(card, page), card.features, strict=True):
        if feature.may_be_missing and not feature.categories and key in st.session_state:
            st.session_state[key] = st.session_state[key]


def _keys(card: Card, page: str) -> list[str]:
    filled = _row(card).filled
    return [f"feature:{page}:{card.key}:{filled}:{index}" for index in range(len(card.features))]


def _field(key: str, feature: Feature, began: Value) -> Value:
    numeric, optional = not feature.categories, feature.may_be_missing
    with st.container(gap="xxsmall", key=f"optional-{key}" if numeric and optional else None):  # style.css
        unit = f" ({feature.unit})" if feature.unit else ""
        label = plain(feature.name + unit)
        if not numeric:
            value = _choice(key, label, feature, began)
        elif optional:  # without a value of its own, the field may be emptied
            st.session_state.setdefault(key, began)
            value = st.number_input(
                label, value=None, step=feature.step, format="%.10g", key=key, placeholder="missing"
            )
        else:
            value = st.number_input(label, value=began, step=feature.step, format="%.10g", key=key)
        st.caption("  \n".join(map(plain, _range(feature))))
    return value


def _choice(key: str, label: str, feature: Feature, began: Value) -> Value:
    options = [*feature.categories, *([None] if feature.may_be_missing else [])]
    names = [MISSING if value is None else shown(value) for value in options]
    place = st.selectbox(  # by its place: to Streamlit, None is no choice at all
        label, range(len(options)), index=options.index(began), format_func=names.__getitem__, key=key
    )
    return options[place]


def _range(feature: Feature) -> list[str]:
    """Where its values lie, in words."""
    said = []
    if feature.categories:
        return [_most(feature)]
    if feature.observed:
        said.append("training {} to {}".format(*map(number, feature.observed)))
    if feature.minimum is not None and feature.maximum is not None:
        said.append(f"accepted {number(feature.minimum)} to {number(feature.maximum)}")
    elif feature.minimum is not None:
        said.append(f"accepted from {number(feature.minimum)}")
    elif feature.maximum is not None:
        said.append(f"accepted up to {number(feature.maximum)}")
    said = said or ["any number"]
    return [*said, "may be left empty"] if feature.may_be_missing else said


def _most(feature: Feature) -> str:
    """Which category was there most often."""
    if not feature.shares:
        return f"one of {len(feature.categories)}"
    share = max(feature.shares)
    return f"training {percent(share)} {shown(feature.categories[feature.shares.index(share)])}"


def in_short(row: Sequence[Value]) -> str:
    """The first values of a row, for a sentence."""
    text = ", ".join(map(value_words, row[:6]))
    return plain(text) + (f" and {len(row) - 6} more" if len(row) > 6 else "")


def caution(card: Card, row: Sequence[Value]) -> str:
    """In Markdown, which values lie outside of what the model was trained on; empty where none does."""
    beyond = [
        f"{plain(shown(feature.name))} {value:.10g} ({number(feature.low)} to {number(feature.high)})"
        for feature, value in zip(card.features, row, strict=True)
        if feature.observed and value is not None and not feature.low <= value <= feature.high
    ]
    if not beyond:
        return ""
    more = f" and {len(beyond) - MOST_NAMED} more" if len(beyond) > MOST_NAMED else ""
    return (
        f"**Outside its training: {', '.join(beyond[:MOST_NAMED])}{more}.** The model answers all the same, "
        "and it has seen nothing there that its answer could rest on."
    )


def _row(card: Card) -> Row:
    """This session's row for this model."""
    first = card.presets[0].features if card.presets else card.medians
    return st.session_state.setdefault(f"row:{card.key}", Row(_accepted(card, first)))


def _fill(card: Card, features: Sequence[Value] | None = None) -> None:
    row = _row(card)
    row.values = _accepted(card, features or card.random_row())
    row.filled += 1


def _accepted(card: Card, features: Sequence[Value]) -> list[Value]:
    return [feature.accepted(value) for feature, value in zip(card.features, features, strict=True)]
