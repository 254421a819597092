"""Health: how both servers are and what they have to do, asked anew every few seconds."""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pandas as pd
import streamlit as st

from ui import answers, charts, client, history, page
from ui.metrics import Sample, Span, milliseconds, spans
from ui.notices import plain, show
from ui.prediction import percent
from ui.servers import Server, servers

# What is drawn: (its name in Span, the heading, what is worth knowing)
LINES = (
    ("rate", "Requests a second", "Health checks, such as this page's, are not counted."),
    (
        "failed",
        "Error ratio: share of answers that failed",
        "Statuses from 500, the server's fault. A 4xx is the client's, and not counted here.",
    ),
    ("p50", "Latency p50, milliseconds", "Half of the answers came within this time."),
    ("p95", "Latency p95, milliseconds", "19 of 20 answers came within this time."),
)


@st.fragment(run_every=history.EVERY)
def watch() -> None:
    """Both servers side by side, then their charts. Only this part of the page is drawn again."""
    pair = servers()
    with ThreadPoolExecutor(2 * len(pair)) as pool:  # so that a slow one does not delay the other
        found = list(pool.map(client.health, pair))
        watched = history.watch(pair)
        list(pool.map(history.Watched.look, [one for one in watched if one.latest is None]))
    for column, server, health in zip(st.columns(2, gap="medium"), pair, found, strict=True):
        with column, st.container(key=f"panel-{server.name.lower()}", height="stretch"):
            state(server, health)
    st.caption(f"Asked at {datetime.now():%H:%M:%S}; asked again every {history.EVERY} seconds.")
    counted = {}
    for health, one in zip(found, watched, strict=True):
        if not isinstance(health, client.Health):
            continue  # nothing is told twice
        if isinstance(one.latest, client.Failure):
            show(without_metrics(one.server, health, one.latest))
        elif one.latest:
            counted[one.server] = one.latest
    if counted:
        with st.container(key="panel-totals"):
            st.header("Since each server's start", anchor=False)
            totals(counted)
    if any(one.samples for one in watched):
        st.header("In the last minutes", anchor=False)
        draw({one.server: spans(list(one.samples)) for one in watched})


def totals(counted: dict[Server, Sample]) -> None:
    """What each has counted since it was started, whoever asked and whether or not a page was open."""

    def figures(sample: Sample) -> dict[str, str]:
        times = {"p50": milliseconds(0.5, sample.buckets), "p95": milliseconds(0.95, sample.buckets)}
        return {
            "requests": f"{sample.requests:,.0f}",
            "refused, status 4xx": f"{sample.refused:,.0f}",
            "failed, status 5xx": f"{sample.failed:,.0f}",
            **{f"latency {name}, ms": "none" if ms is None else f"{ms:,.2f}" for name, ms in times.items()},
        }

    columns = {f"{server.mark} {server.name}": figures(sample) for server, sample in counted.items()}
    frame = pd.DataFrame(columns).rename_axis("figure").reset_index()
    st.table(frame, hide_index=True, border="horizontal", alt="What each server has counted since its start")
    st.caption(
        "Health checks, such as this page's, are not counted. p50: half of the answers came within this "
        "time; p95: 19 of 20 did."
    )


def draw(found: dict[Server, list[Span]]) -> None:
    """A chart for each figure, both servers in each, and below it the figures in words."""
    if not any(found.values()):
        st.caption(f"The first lines need two looks at the counters: they come in {history.EVERY} seconds.")
        return
    now = time.monotonic()
    oldest = min(line[0].at for line in found.values() if line)
    minutes = min(history.MINUTES, max(1, math.ceil((now - oldest) / 60)))
    for half in (LINES[:2], LINES[2:]):
        for column, (name, heading, note) in zip(st.columns(2, gap="medium"), half, strict=True):
            with column, st.container(key=f"panel-{name}", height="stretch"):
                st.header(heading, anchor=False)
                st.altair_chart(
                    charts.over_time(found, name, now, minutes),
                    width="stretch",
                    alt=f"{heading}, over the last minutes, for both servers; in words below.",
                )
                st.markdown("  \n".join(in_words(server, found[server], name) for server in found))
                st.caption(note)
    st.caption(
        f"At most the last {history.MINUTES} minutes, from the counters in the servers' /metrics. "
        "FastAPI is the solid line and the circle, Flask the dashed one and the square. To see them move, "
        "send requests: on Load, or Many times on Compare."
    )


def in_words(server: Server, line: list[Span], name: str) -> str:
    """The latest figure of a line and its highest."""
    values = [getattr(span, name) for span in line]
    known = [value for value in values if value is not None]
    what = f"{server.mark} {server.name}"
    if not known:
        return f"{what}: {'nothing was asked in this time' if line else 'not known'}"
    tell = percent if name == "failed" else "{:,.1f}".format
    last = "nothing asked now" if values[-1] is None else f"{tell(values[-1])} now"
    return f"{what}: {last}, at most {tell(max(known))}"


def without_metrics(server: Server, health: client.Health, failure: client.Failure) -> client.Failure:
    """Why there is no line for a server that is up, and what to do."""
    if not health.minimal:
        return failure
    return client.Failure(
        server,
        f"What answers for {server.name} is a minimal server, which counts nothing.",
        "To see its charts, stop it and start the full server.",
        server.start,
    )


def state(server: Server, health: client.Health | client.Failure) -> None:
    st.header(f"{server.mark} {server.name}", anchor=False)
    if isinstance(health, client.Failure):
        st.badge("Not available", icon=":material/cancel:", color="red")
        show(health)
        return
    if health.ready:
        st.badge("Ready", icon=":material/check_circle:", color="green")
    else:
        st.badge("Live, not ready", icon=":material/warning:", color="orange")
    facts = {
        "Live": "yes: the process answers",
        "Ready": "yes: it predicts" if health.ready else "no: it cannot predict",
        "Model": health.model and " ".join((health.model, health.version or "")),
        "Up for": None if health.uptime_seconds is None else duration(health.uptime_seconds),
        "Answered in": f"{health.exchange.milliseconds:.1f} ms",
        "Address": server.url,
        "Program": health.app,
    }
    st.table(
        {"": {name: plain(value) for name, value in facts.items() if value}},
        border="horizontal",
        hide_header=True,
    )
    if not health.ready:
        show(answers.refused(health.exchange, "its health"))


def duration(seconds: float) -> str:
    """For example "42 s", "3 min 5 s", "2 h 10 min", "4 d 3 h"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


page.begin(
    "Health",
    "Whether each server is up and ready, which model it serves, and how much it has to do.",
    {7: " has what is asked and counted here"},
)
watch()
