"""The charts of Monitor. Beside each are its figures in a table, for those who cannot see it."""

from datetime import datetime

import altair
import pandas as pd

from ui.charts import CLASS_COLOURS, colour_of, ink, is_dark
from ui.monitoring import Drift, Feature, Version
from ui.prediction import percent, shown
from ui.servers import Server

MOST_FEATURES = 30  # bars; the table has all


def accuracies(versions: list[Version], server: Server) -> altair.LayerChart:
    """A point for the accuracy of each version, the interval that it lies in, and a tick at what it was on
    the test rows."""
    frame = pd.DataFrame(
        {
            "version": [one.version for one in versions],
            "accuracy": [one.share for one in versions],
            "low": [one.low for one in versions],
            "high": [one.high for one in versions],
            "test rows": [one.tested for one in versions],
            "text": [percent(one.share, 1) for one in versions],
        }
    )
    axis = altair.Axis(labelLimit=140, labelFontSize=13, labelColor=ink(), ticks=False, domain=False)
    base = altair.Chart(frame).encode(y=altair.Y("version:N", sort=None, title=None, axis=axis))
    x = altair.X(
        "accuracy:Q",
        title="share of right answers",
        scale=altair.Scale(domain=[0, 1]),
        axis=altair.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
    )
    tips = ["version:N", *(altair.Tooltip(name, format=".1%") for name in ("accuracy:Q", "low:Q", "high:Q"))]
    colour = colour_of(server)
    interval = base.mark_rule(color=colour, strokeWidth=3).encode(x=altair.X("low:Q"), x2="high:Q")
    point = base.mark_point(color=colour, filled=True, size=110, opacity=1).encode(x=x, tooltip=tips)
    tested = base.mark_tick(color=ink(), thickness=2, size=22).encode(x="test rows:Q")
    text = base.mark_text(dy=-14, fontSize=13, color=ink()).encode(x=x, text="text:N")
    return (
        (interval + tested + point + text)
        .properties(height=altair.Step(56))
        .configure(background="transparent")
    )


def psis(drift: Drift, server: Server) -> altair.LayerChart:
    """A bar for each feature, the largest first, and the two thresholds as upright lines."""
    known = sorted((one for one in drift.features if one.psi is not None), key=lambda one: -one.psi)
    frame = pd.DataFrame(
        {
            "feature": [shown(one.name) for one in known[:MOST_FEATURES]],
            "PSI": [one.psi for one in known[:MOST_FEATURES]],
            "text": [f"{one.psi:.2f} {one.verdict}" for one in known[:MOST_FEATURES]],
            "end": [max(one.psi, drift.large) for one in known[:MOST_FEATURES]],  # beyond both thresholds
        }
    )
    top = max(frame["PSI"].max(), drift.large) * 1.35
    axis = altair.Axis(labelLimit=150, labelFontSize=13, labelColor=ink(), ticks=False, domain=False)
    base = altair.Chart(frame).encode(
        y=altair.Y("feature:N", sort=None, title=None, axis=axis),
        tooltip=["feature:N", altair.Tooltip("PSI:Q", format=".3f")],
    )
    scale, ticks = altair.Scale(domain=[0, top]), altair.Axis(tickCount=5)
    x = altair.X("PSI:Q", title="population stability index", scale=scale, axis=ticks)
    bars = base.mark_bar(color=colour_of(server), cornerRadiusEnd=3, height=16).encode(x=x)
    words = base.mark_text(align="left", dx=6, fontSize=13, color=ink()).encode(x="end:Q", text="text:N")
    return (
        (bars + words + thresholds(drift, "x"))
        .properties(height=altair.Step(30))
        .configure(background="transparent")
    )


def thresholds(drift: Drift, along: str) -> altair.Chart:
    frame = pd.DataFrame({"at": [drift.moderate, drift.large], "dash": ["moderate", "large"]})
    dash = altair.StrokeDash(
        "dash:N", scale=altair.Scale(domain=["moderate", "large"], range=[[2, 3], [7, 3]]), legend=None
    )
    place = {"x": altair.X("at:Q")} if along == "x" else {"y": altair.Y("at:Q")}
    return altair.Chart(frame).mark_rule(color=ink(), strokeWidth=1.5).encode(strokeDash=dash, **place)


def distributions(feature: Feature, server: Server) -> altair.Chart:
    """For each bin the share of the training data, and beside it that of what came."""
    names = ["training data", "what came"]
    rows = [
        {"bin": shown(one.words), "data": name, "share": share}
        for one in feature.bins
        for name, share in zip(names, (one.expected, one.found), strict=True)
    ]
    grey = CLASS_COLOURS["dark" if is_dark() else "light"][4]
    colour = altair.Color(
        "data:N",
        scale=altair.Scale(domain=names, range=[grey, colour_of(server)]),
        legend=altair.Legend(title=None, orient="top", labelLimit=200, labelColor=ink()),
    )
    return (
        altair.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            x=altair.X("bin:N", sort=None, title=shown(feature.name), axis=altair.Axis(labelAngle=-40)),
            xOffset=altair.XOffset("data:N", sort=names),
            y=altair.Y("share:Q", title="share of rows", axis=altair.Axis(format="%", tickCount=4)),
            color=colour,
            tooltip=["bin:N", "data:N", altair.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=260)
        .configure(background="transparent")
    )


def over_time(drift: Drift, place: int, server: Server) -> altair.LayerChart:
    """The PSI of one feature in each part of the time, with the two thresholds."""
    found = [(datetime.fromtimestamp(part.start), part.psi[place], part.rows) for part in drift.parts]
    frame = pd.DataFrame(found, columns=["time", "PSI", "rows"]).dropna()
    top = max([*frame["PSI"], drift.large]) * 1.2
    base = altair.Chart(frame).encode(
        x=altair.X("time:T", title=None, axis=altair.Axis(labelOverlap=True, tickCount=6)),
        y=altair.Y("PSI:Q", title=None, scale=altair.Scale(domain=[0, top]), axis=altair.Axis(tickCount=4)),
        tooltip=["time:T", altair.Tooltip("PSI:Q", format=".3f"), altair.Tooltip("rows:Q", format=",")],
    )
    colour = colour_of(server)
    line = base.mark_line(color=colour, strokeWidth=2) + base.mark_point(color=colour, filled=True, opacity=1)
    return (line + thresholds(drift, "y")).properties(height=200).configure(background="transparent")
