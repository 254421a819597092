"""The page's charts. Beside each are its figures in words or in a table, for those who cannot see it."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import altair
import pandas
import streamlit

from ui.latency import Timing
from ui.metrics import Span
from ui.prediction import Prediction, percent, shown
from ui.servers import Server, servers

BINS = 40
MOST_BARS = 12
NAMES = [server.name for server in servers()]
DASHES = [[1, 0], [5, 3]]  # FastAPI's line and Flask's, so that they are told apart without their colours
SHAPES = ["circle", "square"]


DARK = {"#0072B2": "#56B4E9", "#D55E00": "#F0803C"}  # the servers' colours, as the dark theme has them


def is_dark() -> bool:
    return streamlit.context.theme.type == "dark"


def ink() -> str:
    return "#E6E9ED" if is_dark() else "#1F2933"


def colour_of(server: Server) -> str:
    return DARK.get(server.colour, server.colour) if is_dark() else server.colour


def probabilities(prediction: Prediction, server: Server) -> altair.LayerChart:
    """A bar for each class, in the model's order, with its probability written at its end."""
    frame = pandas.DataFrame(
        {
            "class": [shown(name) for name, _ in prediction.probabilities],
            "probability": [chance for _, chance in prediction.probabilities],
            "text": [percent(chance) for _, chance in prediction.probabilities],
            "predicted": [name == prediction.label for name, _ in prediction.probabilities],
        }
    )
    axis = altair.Axis(labelLimit=140, labelFontSize=13, labelColor=ink(), ticks=False, domain=False)
    base = altair.Chart(frame).encode(
        y=altair.Y("class:N", sort=None, title=None, axis=axis),
        x=altair.X("probability:Q", scale=altair.Scale(domain=[0, 1.18]), axis=None),
        tooltip=[altair.Tooltip("class:N"), altair.Tooltip("probability:Q", format=".4f")],
    )
    bars = base.mark_bar(color=colour_of(server), cornerRadiusEnd=3, height=18).encode(
        opacity=altair.condition("datum.predicted", altair.value(1), altair.value(0.45))
    )
    labels = base.mark_text(align="left", dx=6, fontSize=13, color=ink()).encode(text="text:N")
    return (
        (bars + labels)
        .properties(height=altair.Step(34))
        .configure(background="transparent")
        .configure_view(strokeWidth=0)
    )


def shares(counts: Mapping[str, int], server: Server) -> altair.LayerChart:
    """A bar for each class, the most frequent first, with its share of all answers written at its end."""
    most = sorted(counts.items(), key=lambda one: -one[1])[:MOST_BARS]
    total = sum(counts.values())
    frame = pandas.DataFrame(
        {
            "class": [shown(name) for name, _ in most],
            "rows": [rows for _, rows in most],
            "text": [percent(rows / total, 1) for _, rows in most],
        }
    )
    axis = altair.Axis(labelLimit=140, labelFontSize=13, labelColor=ink(), ticks=False, domain=False)
    base = altair.Chart(frame).encode(
        y=altair.Y("class:N", sort=None, title=None, axis=axis),
        x=altair.X("rows:Q", scale=altair.Scale(domain=[0, frame["rows"].max() * 1.2]), axis=None),
        tooltip=["class:N", altair.Tooltip("rows:Q", format=",")],
    )
    bars = base.mark_bar(color=colour_of(server), cornerRadiusEnd=3, height=18)
    labels = base.mark_text(align="left", dx=6, fontSize=13, color=ink()).encode(text="text:N")
    return (
        (bars + labels)
        .properties(height=altair.Step(34))
        .configure(background="transparent")
        .configure_view(strokeWidth=0)
    )


def spread(numbers: list[float], server: Server, title: str) -> altair.Chart:
    """How many of the answers lie where, of a model that answers with a number; `title` says of what."""
    low, high = min(numbers), max(numbers)
    width = (high - low) / BINS or 1.0
    counts = [0] * BINS
    for value in numbers:
        counts[min(BINS - 1, int((value - low) / width))] += 1
    frame = pandas.DataFrame(
        [(low + index * width, low + (index + 1) * width, rows) for index, rows in enumerate(counts)],
        columns=["from", "to", "rows"],
    )
    x = altair.X("from:Q", bin="binned", title=title, scale=altair.Scale(zero=False, nice=False))
    y = altair.Y("rows:Q", title="number of answers", axis=altair.Axis(tickCount=4, format=",~f"))
    tips = [altair.Tooltip(name, format=".4~g") for name in ("from:Q", "to:Q")] + ["rows:Q"]
    bars = altair.Chart(frame).mark_bar(color=colour_of(server), binSpacing=1)
    bars = bars.encode(x=x, x2="to:Q", y=y, tooltip=tips)
    return bars.properties(height=220).configure(background="transparent")


# Of classes: not the colours of the two servers, and each with dashes of its own.
CLASS_COLOURS = {"light": ["#00704F", "#8A2F63", "#6B4700", "#1F2933", "#5F6B7A", "#005A8C"]}
CLASS_COLOURS["dark"] = ["#2BB58D", "#E6A9C9", "#E69F00", "#E6E9ED", "#A3AEBB", "#7CC4EE"]
CLASS_DASHES = [[1, 0], [7, 3], [2, 3], [10, 3, 2, 3], [4, 2], [1, 4]]


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
    colour, dash = colours([timing.server for timing in timings]), dashes()
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


class Lines(NamedTuple):
    """How the lines of a chart are told apart, without their colours too."""

    colour: altair.Color
    dash: altair.StrokeDash
    shape: altair.Shape


def over_time(found: dict[Server, list[Span]], name: str, now: float, minutes: int) -> altair.LayerChart:
    """One figure of both servers over the last minutes."""
    lines = Lines(colours(list(found)), dashes(), shapes())
    return figure({server.name: line for server, line in found.items()}, name, now, minutes, lines)


def figure(
    found: dict[str, list[Span]], name: str, now: float, minutes: int, how: Lines
) -> altair.LayerChart:
    """One figure over the last minutes, a line for each name. Where it is not known there is a gap; a value
    between two gaps, and the last one, is a point."""
    rows = []
    for whose, line in found.items():
        values = [getattr(span, name) for span in line]
        around = zip([None, *values], values, [*values[1:], None], strict=False)
        for span, (before, value, after) in zip(line, around, strict=True):
            alone = before is None and after is None
            rows.append({"server": whose, "ago": (span.at - now) / 60, "value": value, "point": alone})
        if line:
            rows[-1]["point"] = True
    frame = pandas.DataFrame(rows).astype({"value": float})
    axis = altair.Axis(
        values=list(range(-minutes, 1)),
        labelExpr="datum.value == 0 ? 'now' : -datum.value + ' min ago'",
        labelFlush=True,
        grid=False,
    )
    least = 0.1 if name == "failed" else 1.0  # a line at 0 lies on the floor, and noise stays small
    top = max(least, frame["value"].max() * 1.1) if frame["value"].notna().any() else least
    base = altair.Chart(frame).encode(
        x=altair.X("ago:Q", title=None, axis=axis, scale=altair.Scale(domain=[-minutes, 0], clamp=True)),
        y=altair.Y(
            "value:Q",
            title=None,
            scale=altair.Scale(domain=[0, top]),
            axis=altair.Axis(tickCount=3, format="%" if name == "failed" else ",~f"),
        ),
        color=how.colour,
    )
    lines = base.mark_line(strokeWidth=2).encode(strokeDash=how.dash)
    if not (frame["point"] & frame["value"].notna()).any():  # marks of nothing have nothing to be read out
        return lines.properties(height=200).configure(background="transparent")
    points = (
        base.transform_filter("datum.point && isValid(datum.value)")
        .mark_point(filled=True, size=50, opacity=1)
        .encode(shape=how.shape)
    )
    return (lines + points).properties(height=200).configure(background="transparent")


def colours(shown: list[Server]) -> altair.Color:
    scale = altair.Scale(
        domain=[server.name for server in shown], range=[colour_of(server) for server in shown]
    )
    return altair.Color("server:N", scale=scale, legend=None)


def dashes() -> altair.StrokeDash:
    """A server's own, whether it is shown alone or not."""
    return altair.StrokeDash("server:N", scale=altair.Scale(domain=NAMES, range=DASHES), legend=None)


def shapes() -> altair.Shape:
    return altair.Shape("server:N", scale=altair.Scale(domain=NAMES, range=SHAPES), legend=None)
