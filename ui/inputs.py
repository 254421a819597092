"""One row of features, entered by a person: built from the model's card, kept from page to page."""

import streamlit as st

from ui.card import Card, Feature
from ui.notices import plain
from ui.prediction import number


def values(card: Card) -> list[float]:
    """The row as it stands in this session; the medians, or the first preset, to begin with."""
    if _slot(card) not in st.session_state:
        first = list(card.presets[0].features) if card.presets else card.medians
        st.session_state[_slot(card)] = _accepted(card, first)
    return list(st.session_state[_slot(card)])


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
            st.button(
                "Random row", key="random", icon=":material/shuffle:", on_click=_randomise, args=(card,)
            )
        )
    return any(pressed)


def fields(card: Card) -> list[float]:
    """A labelled number field for each feature, in a grid; returns the row.

    The label ends with the range of the training data; the field refuses what the servers would refuse.
    """
    row = values(card)
    with st.container(key="features"):
        for index, (feature, value) in enumerate(zip(card.features, row, strict=True)):
            key = _field(card, index)
            if key not in st.session_state:
                st.session_state[key] = value
            row[index] = st.number_input(
                _label(feature),
                min_value=feature.minimum,
                max_value=feature.maximum,
                step=feature.step,
                format="%.10g",
                key=key,
            )
    st.session_state[_slot(card)] = row
    return list(row)


def _label(feature: Feature) -> str:
    unit = f" ({plain(feature.unit)})" if feature.unit else ""
    low, high = (feature.minimum, feature.maximum) if feature.low is None else (feature.low, feature.high)
    usual = (
        ""
        if low is None or high is None
        else f" :small[:gray[{plain(number(low))} to {plain(number(high))}]]"
    )
    return f"{plain(feature.name)}{unit}{usual}"


def _accepted(card: Card, row: list[float]) -> list[float]:
    return [feature.clamp(float(value)) for feature, value in zip(card.features, row, strict=True)]


def _fill(card: Card, row: tuple[float, ...]) -> None:
    st.session_state[_slot(card)] = _accepted(card, list(row))
    for index, value in enumerate(st.session_state[_slot(card)]):
        st.session_state[_field(card, index)] = value


def _randomise(card: Card) -> None:
    _fill(card, tuple(card.random_row()))


def _slot(card: Card) -> str:
    return f"row:{card.key}"


def _field(card: Card, index: int) -> str:
    return f"feature:{card.key}:{index}"
