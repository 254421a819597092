"""The active model and its challenger side by side: what each was asked and answered in the last minutes."""

import math
import time
from collections import Counter

import altair
import pandas as pd
import streamlit as st

from ui import charts, history
from ui.charts import CLASS_COLOURS, MOST_BARS, Lines
from ui.metrics import ROLES, Rollout, Sample, Span, between, milliseconds, spans
from ui.notices import plain
from ui.prediction import percent, shown
from ui.registry import Versions
from ui.servers import Server

FIGURES = (
    ("rate", "Requests for predictions a second"),
    ("p95", "Latency p95 in the model, milliseconds"),
)
RESULTS = ("agree", "differ", "failed", "dropped")


def side_by_side(server: Server, versions: Versions) -> None:
    """The figures of both as a table, their answers by class, what the shadow found, and the last minutes."""
    watched = history.watch([server])[0]
    looks = list(watched.rollouts)
    if len(looks) < 2:
        st.caption(f"The first figures need two looks at the counters: they come in {history.EVERY} seconds.")
        return
    first, last = since_restart(looks)
    minutes = max(1, math.ceil((last.at - first.at) / 60))
    st.caption(
        f"Of {server.name}, in the last {'minute' if minutes == 1 else f'{minutes} minutes'}; looked at "
        f"every {history.EVERY} seconds. To see them move, send requests: on Load, or Many times on Compare."
    )
    parts = {role: part(first.roles[role], last.roles[role]) for role in ROLES}
    figures(parts, versions)
    if versions.mode == "shadow" or between(first.compared, last.compared):
        shadow(between(first.compared, last.compared))
    answers(first, last, versions)
    draw(looks)


def since_restart(looks: list[Rollout]) -> tuple[Rollout, Rollout]:
    """The first look since the server was last started, and the last one."""
    first = looks[0]
    for before, after in zip(looks, looks[1:], strict=False):
        if any(after.roles[role].requests < before.roles[role].requests for role in ROLES):
            first = after
    return first, looks[-1]


def part(before: Sample, after: Sample) -> Sample:
    """What was counted between two looks."""
    earlier = dict(before.buckets)
    buckets = tuple((bound, count - earlier.get(bound, 0)) for bound, count in after.buckets)
    return Sample(after.at, after.requests - before.requests, after.failed - before.failed, 0.0, buckets)


def titles(versions: Versions) -> dict[str, str]:
    """What the two are called, by role."""
    numbers = {"active": versions.active, "challenger": versions.challenger}
    return {role: f"{role}, version {number}" if number else role for role, number in numbers.items()}


def figures(parts: dict[str, Sample], versions: Versions) -> None:
    asked = sum(one.requests for one in parts.values())

    def column(one: Sample) -> dict[str, str]:
        times = {name: milliseconds(share, one.buckets) for name, share in (("p50", 0.5), ("p95", 0.95))}
        return {
            "requests": f"{one.requests:,.0f}",
            "of all requests": percent(one.requests / asked) if asked else "none",
            "failed": f"{one.failed:,.0f}",
            **{
                f"{name} in the model, ms": "none" if ms is None else f"{ms:,.3f}"
                for name, ms in times.items()
            },
        }

    names = titles(versions)
    frame = pd.DataFrame({names[role]: column(parts[role]) for role in ROLES})
    frame = frame.rename_axis("figure").reset_index()
    st.table(frame, hide_index=True, border="horizontal", alt="The active model and its challenger")


def shadow(compared: dict[str, float]) -> None:
    """How often the challenger, which nobody is answered by, says the same."""
    counts = Counter(compared)
    both = counts["agree"] + counts["differ"]
    st.subheader("In the shadow", anchor=False)
    if not both:
        st.caption("No row has been compared yet.")
        return
    st.progress(
        counts["agree"] / both,
        text=f"{percent(counts['agree'] / both, 1)} of {both:,.0f} rows: the challenger says the same. "
        f"{counts['differ']:,.0f} differ, {counts['failed']:,.0f} failed, {counts['dropped']:,.0f} were "
        "dropped because too many waited.",
    )


def answers(first: Rollout, last: Rollout, versions: Versions) -> None:
    """The share of each class among the answers of either, where the model answers with classes."""
    rows = []
    for role, number in (("active", versions.active), ("challenger", versions.challenger)):
        found = versions.find(number)
        key = found.model_version if found else ""
        counts = between(first.answers.get(key, {}), last.answers.get(key, {}))
        total = sum(counts.values())
        rows += [
            {"class": shown(label), "role": role, "share": count / total, "text": percent(count / total)}
            for label, count in sorted(counts.items(), key=lambda one: -one[1])[:MOST_BARS]
            if label
        ]
    if not rows:
        return
    st.subheader("Answers by class", anchor=False)
    st.altair_chart(bars(rows), width="stretch", alt="Answers by class, of either; in words below.")
    st.markdown("  \n".join(in_words(role, rows) for role in ROLES))


def in_words(role: str, rows: list[dict]) -> str:
    told = [f"{plain(row['class'])} {row['text']}" for row in rows if row["role"] == role]
    return f"{role}: {', '.join(told) or 'no answers'}"


def colour() -> altair.Color:
    """Not those of the servers."""
    palette = CLASS_COLOURS["dark" if charts.is_dark() else "light"][:2]
    return altair.Color("server:N", scale=altair.Scale(domain=list(ROLES), range=palette), legend=None)


def bars(rows: list[dict]) -> altair.LayerChart:
    axis = altair.Axis(labelLimit=140, labelFontSize=13, labelColor=charts.ink(), ticks=False, domain=False)
    order = list(dict.fromkeys(row["class"] for row in rows))
    frame = pd.DataFrame(rows).rename(columns={"role": "server"})
    frame["text"] = frame["server"] + " " + frame["text"]
    base = altair.Chart(frame).encode(
        y=altair.Y("class:N", sort=order, title=None, axis=axis),
        yOffset=altair.YOffset("server:N", sort=list(ROLES)),
        x=altair.X("share:Q", scale=altair.Scale(domain=[0, 1.35]), axis=None),
        tooltip=["class:N", "server:N", altair.Tooltip("share:Q", format=".1%")],
    )
    drawn = base.mark_bar(cornerRadiusEnd=3, height=16).encode(color=colour())
    labels = base.mark_text(align="left", dx=6, fontSize=12, color=charts.ink()).encode(text="text:N")
    return (
        (drawn + labels)
        .properties(height=altair.Step(20))
        .configure(background="transparent")
        .configure_view(strokeWidth=0)
    )


def draw(looks: list[Rollout]) -> None:
    """A chart for each figure, and below it the last figure in words."""
    lines = {role: spans([look.roles[role] for look in looks]) for role in ROLES}
    now = time.monotonic()
    minutes = min(history.MINUTES, max(1, math.ceil((now - looks[0].at) / 60)))
    dash = altair.StrokeDash(
        "server:N", scale=altair.Scale(domain=list(ROLES), range=charts.DASHES), legend=None
    )
    shape = altair.Shape("server:N", scale=altair.Scale(domain=list(ROLES), range=charts.SHAPES), legend=None)
    for column, (name, heading) in zip(st.columns(2, gap="medium"), FIGURES, strict=True):
        with column:
            st.subheader(heading, anchor=False)
            st.altair_chart(
                charts.figure(lines, name, now, minutes, Lines(colour(), dash, shape)),
                width="stretch",
                alt=f"{heading}, over the last minutes, of either model; in words below.",
            )
            st.markdown("  \n".join(latest(role, lines[role], name) for role in ROLES))
    st.caption(
        "The active model is the solid line and the circle, its challenger the dashed one and the square."
    )


def latest(role: str, line: list[Span], name: str) -> str:
    """The latest figure of a line and its highest."""
    values = [getattr(span, name) for span in line]
    known = [value for value in values if value is not None]
    if not known:
        return f"{role}: {'nothing was asked in this time' if line else 'not known'}"
    tell = "{:,.1f}".format if name == "rate" else "{:,.3f}".format
    last = "nothing asked now" if values[-1] is None else f"{tell(values[-1])} now"
    return f"{role}: {last}, at most {tell(max(known))}"
