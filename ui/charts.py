"""The page's two charts. Each has a table with the same figures beside it, for those who cannot see it."""

import math

import altair
import pandas
import streamlit

from ui.latency import Timing
from ui.prediction import Prediction, percent

BINS = 40


def _ink() -> str:
    return "#E6E9ED" if streamlit.context.theme.type == "dark" else "#1F2933"


def probabilities(prediction: Prediction, colour: str) -> altair.LayerChart:
    """A bar for each class, in the model's order, with its probability written at its end."""
    frame = pandas.DataFrame(
        {
            "class": [name for name, _ in prediction.probabilities],
            "probability": [chance for _, chance in prediction.probabilities],
            "text": [percent(chance) for _, chance in prediction.probabilities],
            "predicted": [name == prediction.label for name, _ in prediction.probabilities],
        }
    )
    axis = altair.Axis(labelLimit=140, labelFontSize=13, labelColor=_ink(), ticks=False, domain=False)
    base = altair.Chart(frame).encode(
        y=altair.Y("class:N", sort=None, title=None, axis=axis),
        x=altair.X("probability:Q", scale=altair.Scale(domain=[0, 1.18]), axis=None),
        tooltip=[altair.Tooltip("class:N"), altair.Tooltip("probability:Q", format=".4f")],
    )
    bars = base.mark_bar(color=colour, cornerRadiusEnd=3, height=18).encode(
        opacity=altair.condition("datum.predicted", altair.value(1), altair.value(0.45))
    )
    labels = base.mark_text(align="left", dx=6, fontSize=13, color=_ink()).encode(text="text:N")
    return (
        (bars + labels)
        .properties(height=altair.Step(34))
        .configure(background="transparent")
        .configure_view(strokeWidth=0)
    )


def latencies(timings: tuple[Timing, Timing]) -> altair.LayerChart:
    """How many answers took how long, both servers on one axis, with a line at each median.

    The axis ends soon after 19 of 20 answers have come, so that a straggler does not flatten the rest.
    """
    end = max(timing.percentile(0.95) for timing in timings) * 1.15
    width = end / BINS
    rows, medians = [], []
    for timing in timings:
        counts = [0] * BINS
        for value in timing.milliseconds:
            if value < end:
                counts[min(BINS - 1, math.floor(value / width))] += 1
        rows += [
            {"server": timing.server.name, "milliseconds": index * width, "answers": count}
            for index, count in enumerate([*counts, 0])
        ]
        medians.append({"server": timing.server.name, "milliseconds": timing.percentile(0.5)})
    names = [timing.server.name for timing in timings]
    colour = altair.Color(
        "server:N",
        scale=altair.Scale(domain=names, range=[timing.server.colour for timing in timings]),
        legend=None,
    )
    dash = altair.StrokeDash(
        "server:N", scale=altair.Scale(domain=names, range=[[1, 0], [5, 3]]), legend=None
    )
    x = altair.X("milliseconds:Q", title="milliseconds", scale=altair.Scale(domain=[0, end], nice=False))
    areas = (
        altair.Chart(pandas.DataFrame(rows))
        .mark_area(interpolate="step-after", fillOpacity=0.22, line=False)
        .encode(x=x, y=altair.Y("answers:Q", title="number of answers", stack=None), color=colour)
    )
    outlines = (
        altair.Chart(pandas.DataFrame(rows))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=x,
            y=altair.Y("answers:Q", stack=None),
            color=colour,
            strokeDash=dash,
            tooltip=["server:N", altair.Tooltip("milliseconds:Q", format=".2f"), "answers:Q"],
        )
    )
    rules = (
        altair.Chart(pandas.DataFrame(medians))
        .mark_rule(strokeWidth=1.5)
        .encode(x=x, color=colour, strokeDash=dash)
    )
    return (areas + outlines + rules).properties(height=260).configure(background="transparent")
