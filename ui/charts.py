"""The page's charts. Beside each are its figures in words or in a table, for those who cannot see it."""

import math

import altair
import pandas
import streamlit

from ui.latency import Timing
from ui.load import Load
from ui.metrics import Span
from ui.prediction import Prediction, percent, shown
from ui.servers import Server, servers

BINS = 40
WIDER = 10**0.1  # what a bound of the load generator's histogram is to the one before
NAMES = [server.name for server in servers()]
DASHES = [[1, 0], [5, 3]]  # FastAPI's line and Flask's, so that they are told apart without their colours
SHAPES = ["circle", "square"]


DARK = {"#0072B2": "#56B4E9", "#D55E00": "#F0803C"}  # the servers' colours, as the dark theme has them


def _is_dark() -> bool:
    return streamlit.context.theme.type == "dark"


def _ink() -> str:
    return "#E6E9ED" if _is_dark() else "#1F2933"


def _colour(server: Server) -> str:
    return DARK.get(server.colour, server.colour) if _is_dark() else server.colour


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
    axis = altair.Axis(labelLimit=140, labelFontSize=13, labelColor=_ink(), ticks=False, domain=False)
    base = altair.Chart(frame).encode(
        y=altair.Y("class:N", sort=None, title=None, axis=axis),
        x=altair.X("probability:Q", scale=altair.Scale(domain=[0, 1.18]), axis=None),
        tooltip=[altair.Tooltip("class:N"), altair.Tooltip("probability:Q", format=".4f")],
    )
    bars = base.mark_bar(color=_colour(server), cornerRadiusEnd=3, height=18).encode(
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
    colour, dash = _colours([timing.server for timing in timings]), _dashes()
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


def over_time(found: dict[Server, list[Span]], name: str, now: float, minutes: int) -> altair.LayerChart:
    """One figure of both servers over the last minutes. Where it is not known there is a gap; a value
    between two gaps, and the last one, is a point."""
    rows = []
    for server, line in found.items():
        values = [getattr(span, name) for span in line]
        around = zip([None, *values], values, [*values[1:], None], strict=False)
        for span, (before, value, after) in zip(line, around, strict=True):
            alone = before is None and after is None
            rows.append({"server": server.name, "ago": (span.at - now) / 60, "value": value, "point": alone})
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
        color=_colours(list(found)),
    )
    lines = base.mark_line(strokeWidth=2).encode(strokeDash=_dashes())
    points = (
        base.transform_filter("datum.point && isValid(datum.value)")
        .mark_point(filled=True, size=50, opacity=1)
        .encode(shape=_shapes())
    )
    return (lines + points).properties(height=200).configure(background="transparent")


def under_load(loads: list[Load], name: str) -> altair.LayerChart:
    """One figure of each server over its seconds of load; the last value of each is a point."""
    rows = []
    for load in loads:
        rows += [
            {"server": load.server.name, "seconds": moment.at, "value": getattr(moment, name), "point": False}
            for moment in load.moments
        ]
        if load.moments:
            rows[-1]["point"] = True
    base = altair.Chart(pandas.DataFrame(rows).astype({"value": float})).encode(
        x=altair.X("seconds:Q", title="seconds of load", axis=altair.Axis(grid=False, tickMinStep=1)),
        y=altair.Y("value:Q", title=None, axis=altair.Axis(tickCount=4, format=",~f")),
        color=_colours([load.server for load in loads]),
    )
    lines = base.mark_line(strokeWidth=2).encode(strokeDash=_dashes())
    points = (
        base.transform_filter("datum.point && isValid(datum.value)")
        .mark_point(filled=True, size=50, opacity=1)
        .encode(shape=_shapes())
    )
    return (lines + points).properties(height=220).configure(background="transparent")


def load_histogram(loads: list[Load]) -> altair.LayerChart:
    """Which share of each server's answers took how long, on a logarithmic axis."""
    rows = []
    for load in loads:
        counts = load.counts("histogram")
        bounds = sorted(counts)
        rows += [
            {"server": load.server.name, "milliseconds": bound, "share": counts[bound] / counts.total()}
            for bound in bounds
        ]
        rows += (
            [{"server": load.server.name, "milliseconds": bounds[0] / WIDER, "share": 0.0}] if bounds else []
        )
        rows += (
            [{"server": load.server.name, "milliseconds": bounds[-1] * WIDER, "share": 0.0}] if bounds else []
        )
    base = altair.Chart(pandas.DataFrame(rows)).encode(
        x=altair.X(
            "milliseconds:Q",
            title="milliseconds",
            scale=altair.Scale(type="log", nice=False),
            axis=altair.Axis(values=[10.0**power for power in range(-1, 6)], format=",~g"),
        ),
        y=altair.Y(
            "share:Q", title="share of answers", stack=None, axis=altair.Axis(tickCount=4, format="%")
        ),
        color=_colours([load.server for load in loads]),
    )
    areas = base.mark_area(interpolate="step-before", fillOpacity=0.22, line=False)
    outlines = base.mark_line(interpolate="step-before", strokeWidth=2).encode(
        strokeDash=_dashes(),
        tooltip=[
            "server:N",
            altair.Tooltip("milliseconds:Q", format=".3~g"),
            altair.Tooltip("share:Q", format=".1%"),
        ],
    )
    return (areas + outlines).properties(height=380).configure(background="transparent")


def _colours(shown: list[Server]) -> altair.Color:
    scale = altair.Scale(
        domain=[server.name for server in shown], range=[_colour(server) for server in shown]
    )
    return altair.Color("server:N", scale=scale, legend=None)


def _dashes() -> altair.StrokeDash:
    """A server's own, whether it is shown alone or not."""
    return altair.StrokeDash("server:N", scale=altair.Scale(domain=NAMES, range=DASHES), legend=None)


def _shapes() -> altair.Shape:
    return altair.Shape("server:N", scale=altair.Scale(domain=NAMES, range=SHAPES), legend=None)
