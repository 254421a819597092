"""What a model answers when one feature of a row takes other values: drawn, in words and in figures."""

import pandas as pd
import streamlit as st

from ui import sweep_charts
from ui.card import Card
from ui.notices import plain
from ui.prediction import number, shown, value_words
from ui.what_if import Sweep


def draw(sweep: Sweep, card: Card) -> None:
    """One number over its range, or each category."""
    if sweep.feature.categories:
        categories(sweep)
    elif sweep.predictions[0].parts:
        targets(sweep)
    else:
        along(sweep, card)


def along(sweep: Sweep, card: Card) -> None:
    feature, entered = sweep.feature, sweep.row[sweep.position]
    name, unit = plain(shown(feature.name)), f" {plain(feature.unit)}" if feature.unit else ""
    if not sweep.classes and sweep.numbers is None:
        said = [
            f"{plain(shown(label))} from {number(low)} to {number(high)}{unit}"
            for label, low, high in sweep.spells[:8]
        ]
        st.markdown(f"By {name}: {', '.join(said)}. This model gives no probabilities to draw.")
        return
    st.altair_chart(
        sweep_charts.along(sweep),
        width="stretch",
        alt=f"What is answered along {name}; in words and figures below.",
    )
    if sweep.classes:
        spells = sweep.spells
        said = [
            f"{plain(shown(label))} up to {number(round(high, feature.decimals))}{unit}"
            for label, _, high in spells[:-1][:8]
        ]
        last = plain(shown(spells[-1][0]))
        st.markdown(f"**{', then '.join([*said, last])}**" + ("" if said else ", whatever the value"))
    else:
        least, most = min(sweep.numbers), max(sweep.numbers)
        unit_of_answer = f" {plain(card.target_unit)}" if card.target_unit else ""
        st.markdown(f"**From {number(least)} to {number(most)}{unit_of_answer}**")
    notes = []
    if entered is not None:
        notes.append(f"The dotted upright line is at {entered:.10g}, the value that was sent last.")
    if feature.observed:
        notes.insert(
            0,
            f"Shaded: the training, {number(feature.low)} to {number(feature.high)}{unit}. Beyond it, "
            "the model has seen nothing that its answers could rest on.",
        )
    if sweep.missing:
        notes.append(f"Where it is missing: {plain(sweep.missing.words)}.")
    if sweep.left_out:
        classes = "1 class is" if sweep.left_out == 1 else f"{sweep.left_out} classes are"
        notes.append(f"{classes} not drawn: less likely than the others everywhere here.")
    st.caption(" ".join(notes))
    with st.expander("As a table"):
        st.table(figures(sweep), hide_index=True, border="horizontal", alt=f"What is answered along {name}")


def figures(sweep: Sweep) -> pd.DataFrame:
    """Nine of the points, from one end to the other."""
    last = len(sweep.values) - 1
    rows = []
    for index in sorted({round(last * part / 8) for part in range(9)}):
        value, prediction = sweep.values[index], sweep.predictions[index]
        beyond = sweep.feature.observed and not sweep.feature.low <= value <= sweep.feature.high
        rows.append((f"{value:.6g}", plain(prediction.words), "outside" if beyond else ""))
    frame = pd.DataFrame(rows, columns=["value", "answer", "training"])
    return frame if sweep.feature.observed else frame.drop(columns="training")


def categories(sweep: Sweep) -> None:
    """One category after the other."""
    name, sent = plain(shown(sweep.feature.name)), plain(value_words(sweep.row[sweep.position]))
    if sweep.classes or sweep.numbers:
        st.altair_chart(
            sweep_charts.by_category(sweep),
            width="stretch",
            alt=f"What is answered for each {name}; in words and figures below.",
        )
    said = [
        f"{plain(value_words(value))}: {plain(shown(prediction.label))}"
        for value, prediction in zip(sweep.values, sweep.predictions, strict=True)
    ]
    more = f", and {len(said) - 8} more" if said[8:] else ""
    st.markdown(f"**{', '.join(said[:8])}{more}**")
    notes = [f"{sent} is what was sent last."]
    if sweep.classes:
        notes.append(
            f"In each bar, from left to right: {', '.join(plain(shown(one)) for one in sweep.classes)}."
        )
    if sweep.left_out > 0:
        notes.append("Classes that are unlikely with each of them are not drawn.")
    st.caption(" ".join(notes))
    with st.expander("As a table"):
        rows = [
            (plain(value_words(value)), plain(prediction.words))
            for value, prediction in zip(sweep.values, sweep.predictions, strict=True)
        ]
        frame = pd.DataFrame(rows, columns=["value", "answer"])
        st.table(frame, hide_index=True, border="horizontal", alt=f"What is answered for each {name}")


def targets(sweep: Sweep) -> None:
    """Of a model with several targets: the figures."""
    name = plain(shown(sweep.feature.name))
    st.table(figures(sweep), hide_index=True, border="horizontal", alt=f"What is answered along {name}")
    if sweep.missing:
        st.caption(f"Where it is missing: {plain(sweep.missing.words)}.")
