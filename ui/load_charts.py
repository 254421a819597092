"""The charts of a load test. Beside each are its figures in a table, for those who cannot see it."""

import altair
import pandas

from ui.charts import colours, dashes, ink, shapes
from ui.knee import Search
from ui.load import Load

WIDER = 10**0.1  # what a bound of the load generator's histogram is to the one before
AWAITED = 0.3  # seconds after a turn, which its last answers take anyway


def under_load(loads: list[Load], name: str, turn_seconds: float) -> altair.LayerChart:
    """One figure of each server over its seconds of load; the last value of each is a point. Where a turn's
    requests have all been sent, and only late answers come, the ground is shaded."""
    rows, late = [], []
    for load in loads:
        rows += [
            {"server": load.server.name, "seconds": moment.at, "value": getattr(moment, name), "point": False}
            for moment in load.moments
        ]
        if load.moments:
            rows[-1]["point"] = True
        late += [{"seconds": begins, "end": ends} for begins, ends in after_turns(load, turn_seconds)]
    x = altair.X(
        "seconds:Q", title="seconds since its first request", axis=altair.Axis(grid=False, tickMinStep=1)
    )
    base = altair.Chart(pandas.DataFrame(rows).astype({"value": float})).encode(
        x=x,
        y=altair.Y("value:Q", title=None, axis=altair.Axis(tickCount=4, format=",~f")),
        color=colours([load.server for load in loads]),
    )
    lines = base.mark_line(strokeWidth=2).encode(strokeDash=dashes())
    points = (
        base.transform_filter("datum.point && isValid(datum.value)")
        .mark_point(filled=True, size=50, opacity=1)
        .encode(shape=shapes())
    )
    frame = pandas.DataFrame(late, columns=["seconds", "end"])
    shade = altair.Chart(frame).mark_rect(color=ink(), opacity=0.09, aria=False).encode(x=x, x2="end:Q")
    return (shade + lines + points).properties(height=220).configure(background="transparent")


def after_turns(load: Load, turn_seconds: float) -> list[tuple[float, float]]:
    """From when to when, in seconds of load, a turn was over and its last answers were still awaited."""
    ends: dict[int, tuple[float, float]] = {}
    for moment in load.moments:
        if moment.elapsed > turn_seconds + AWAITED:
            began = moment.at - moment.elapsed + turn_seconds
            ends[moment.turn] = (began, moment.at)
    return list(ends.values())


def knee(search: Search) -> altair.LayerChart:
    """Latency against the rate that was asked, both on logarithmic axes, and the last rate that each kept up
    with as an upright line."""
    rows, lines = [], []
    for server in search.servers:
        for rate, tries in search.rates(server):
            best = max(tries, key=lambda step: (step.kept_up, step.answered_rate))
            kept = "kept up" if best.kept_up else "did not keep up"
            values = {"rate": rate, "p95": best.percentile("p95"), "what": kept}
            rows.append({"server": server.name, **values})
        if borne := search.borne(server):
            lines.append({"server": server.name, "rate": borne, "text": f"{server.name} {borne:,}"})
    log = altair.Scale(type="log", nice=False, padding=12)
    rates = sorted({row["rate"] for row in rows})
    ticks = [rate for rate in rates if rate % 50 == 0 and (rate // 50).bit_count() == 1 or rate == rates[-1]]
    x = altair.X("rate:Q", title="requests a second", scale=log).axis(values=ticks, format=",", grid=False)
    y = altair.Y("p95:Q", title="p95, milliseconds", scale=altair.Scale(type="log"))
    y = y.axis(values=[10.0**power for power in range(-1, 5)], format=",~g")
    colour = colours(search.servers)
    base = altair.Chart(pandas.DataFrame(rows).astype({"p95": float})).encode(x=x, y=y, color=colour)
    tips = [
        "server:N",
        altair.Tooltip("rate:Q", format=","),
        altair.Tooltip("p95:Q", format=".3~g"),
        "what:N",
    ]
    drawn = [
        base.mark_line(strokeWidth=2).encode(strokeDash=dashes()),
        base.mark_point(filled=True, size=60, opacity=1).encode(shape=shapes(), tooltip=tips),
    ]
    if lines:
        knees = altair.Chart(pandas.DataFrame(lines)).encode(x=x, color=colour)
        drawn.append(knees.mark_rule(strokeWidth=1.5).encode(strokeDash=dashes()))
        for row, line in enumerate(lines):
            label = altair.Chart(pandas.DataFrame([line])).mark_text(
                align="right", dx=-5, dy=8 + 18 * row, fontSize=13, fontWeight=600, baseline="top"
            )
            drawn.append(label.encode(x=x, y=altair.value(0), color=colour, text="text:N"))
    return altair.layer(*drawn).properties(height=320).configure(background="transparent")


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
        color=colours([load.server for load in loads]),
    )
    areas = base.mark_area(interpolate="step-before", fillOpacity=0.22, line=False)
    outlines = base.mark_line(interpolate="step-before", strokeWidth=2).encode(
        strokeDash=dashes(),
        tooltip=[
            "server:N",
            altair.Tooltip("milliseconds:Q", format=".3~g"),
            altair.Tooltip("share:Q", format=".1%"),
        ],
    )
    return (areas + outlines).properties(height=380).configure(background="transparent")
