"""One row of features, entered by a person: built from the model's card, kept from page to page."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from ui.card import Card, Feature
from ui.notices import plain
from ui.prediction import number


@dataclass
class Row:
    """The row as it stands. `filled` counts how often a button filled it in: with it the fields are new ones,
    and so begin with the new values."""

    values: list[float]
    filled: int = 0


def values(card: Card) -> list[float]:
    """The row as it stands in this session; the first preset, or the medians, to begin with."""
    return list(_row(card).values)


def examples(card: Card) -> bool:
    """A button for each preset and one for a random row; True when one was pressed in this run."""
    st.caption("Fill the fields with an example:")
    with st.container(horizontal=True, gap="small", key="examples"):
        pressed = [
            st.button(
                plain(preset.label), key=f"preset-{index}", on_click=_fill, args=(card, preset.features)
            )
            for index, preset in enumerate(card.presets)
        ]
        pressed.append(
            st.button("Random row", key="random", icon=":material/shuffle:", on_click=_fill, args=(card,))
        )
    return any(pressed)


def fields(card: Card) -> list[float]:
    """A labelled number field for each feature, in a grid; returns the row.

    The label ends with the range of the training data; the field refuses what the servers would refuse.
    """
    row = _row(card)
    with st.container(key="features"):
        entered = [
            st.number_input(
                _label(feature),
                min_value=feature.minimum,
                max_value=feature.maximum,
                value=value,
                step=feature.step,
                format="%.10g",
                key=f"feature:{card.key}:{row.filled}:{index}",
            )
            for index, (feature, value) in enumerate(zip(card.features, row.values, strict=True))
        ]
    row.values = entered
    return list(entered)


def _label(feature: Feature) -> str:
    unit = f" ({plain(feature.unit)})" if feature.unit else ""
    low, high = (feature.minimum, feature.maximum) if feature.low is None else (feature.low, feature.high)
    usual = (
        ""
        if low is None or high is None
        else f" :small[:gray[{plain(number(low))} to {plain(number(high))}]]"
    )
    return f"{plain(feature.name)}{unit}{usual}"


def _row(card: Card) -> Row:
    """This session's row for this model."""
    first = card.presets[0].features if card.presets else card.medians
    return st.session_state.setdefault(f"row:{card.key}", Row(_accepted(card, first)))


def _fill(card: Card, features: Sequence[float] | None = None) -> None:
    row = _row(card)
    row.values = _accepted(card, features or card.random_row())
    row.filled += 1


def _accepted(card: Card, features: Sequence[float]) -> list[float]:
    return [feature.clamp(float(value)) for feature, value in zip(card.features, features, strict=True)]
