"""Load: many requests a second to one server or both, and how they bear it."""

import time
from contextlib import closing

import pandas as pd
import streamlit as st

from ui import charts, client, inputs, load, load_reading
from ui.card import Card
from ui.choice import about
from ui.notices import plain, show
from ui.servers import Server, servers

LINES = (
    ("rate", "Answers a second"),
    ("p95", "Latency p95, milliseconds"),
)
EVERY = 0.5  # seconds, between two drawings of the charts


def main() -> None:
    st.title("Load", anchor=False)
    st.markdown("Ask a server many times a second, whether or not it has answered, and see how it bears it.")
    pair = servers()
    card, failures = client.first_card(pair)
    if card is None:
        for failure in failures:
            show(failure)
        st.button("Try again", icon=":material/refresh:")
        return
    about(card)
    started = st.session_state.pop("load started", False)
    with st.container(key="panel-input"):
        st.header("Test", anchor=False)
        test = enter(pair, card, started)
    below = st.empty()
    if started and not test.loads:
        below.warning(
            "**No server is chosen.**  \nChoose one or both, and start again.", icon=":material/error:"
        )
        return
    if started:
        st.session_state["load"] = test
        with below.container(key="running"):
            run(test, card)
        st.rerun()  # without the button that stops it
    if "load" in st.session_state:
        with below.container(key="result"):
            read(st.session_state["load"])


def enter(pair: tuple[Server, Server], card: Card, started: bool) -> load.Test:
    """Whom to ask, how often, for how long; what is changed while a test runs counts for the next."""
    by_name, row = {server.name: server for server in pair}, inputs.values(card)
    with st.form("test", border=False):
        chosen = st.segmented_control(
            "Servers",
            list(by_name),
            selection_mode="multi",
            default=list(by_name),
            format_func=lambda name: f"{by_name[name].mark} {name}",
            key="load servers",
        )
        with st.container(key="features"):
            rate = st.number_input("Requests a second", *load.RATES, 100, step=50, key="load rate")
            seconds = st.number_input("Seconds for each server", *load.SECONDS, 10, key="load seconds")
        features = ", ".join(f"{value:g}" for value in row[:6]) + (" and more" if len(row) > 6 else "")
        st.caption(
            f"Every request has the row of Predict and Compare: {plain(features)}. Two servers take turns "
            "of a few seconds and never work at the same time: on one machine, each would be measured "
            "against what the other leaves it."
        )
        if started and chosen:  # a press reruns the page, which ends the test
            st.form_submit_button("Stop the test", icon=":material/stop:", key="stop")
        else:
            start = st.session_state.__setitem__
            args, icon = ("load started", True), ":material/speed:"
            st.form_submit_button("Start", type="primary", icon=icon, on_click=start, args=args, key="start")
    return load.Test([load.Load(by_name[name], rate) for name in chosen], rate, seconds, row)


def run(test: load.Test, card: Card) -> None:
    """Run the test, and show it while it runs. Streamlit ends this run wherever it draws next when Stop is
    pressed, the page is left or its window closed: the load ends with it."""
    drawn = 0.0
    st.caption(asked(test))
    bar, told_to = st.progress(0.0, text="Warming up"), st.empty()
    places = panels()
    with closing(test.run(card)) as events:
        for over, now, told in events:
            elapsed = min(told.get("elapsed", test.turn_seconds), test.turn_seconds)
            text = f"{now.server.name}, turn {over // len(test.loads) + 1} of {test.turns}"
            text += (
                ": waiting for the last answers" if told.get("elapsed", 0) > test.turn_seconds + 0.3 else ""
            )
            bar.progress(min(1.0, (over + elapsed / test.turn_seconds) / len(test.order)), text=text)
            if told["event"] == "progress":
                told_to.markdown(sentence(now, told))
            if time.monotonic() - drawn > EVERY:
                drawn = time.monotonic()
                draw(test, places)


def asked(test: load.Test) -> str:
    """For example "1,000 requests to each server, in 2 turns of 5 s"."""
    turns = f"{test.turns} turn{'s' if test.turns > 1 else ''} of {test.turn_seconds:.2g} s"
    whom = "each server" if len(test.loads) > 1 else test.loads[0].server.name
    return f"{test.rate * test.seconds:,} requests to {whom}, in {turns}."


def sentence(now: load.Load, told: dict) -> str:
    p95 = "no answer yet" if told["p95"] is None else f"p95 {told['p95']:,.1f} ms"
    return (
        f"{now.server.mark} {now.server.name}: {told['sent']:,} sent, {told['answered']:,} answered, "
        f"{told['failed']:,} failed; now {told['rate']:,.0f} a second, {p95}"
    )


def panels() -> list:
    """A place for each chart, under its heading."""
    places = []
    for column, (name, heading) in zip(st.columns(2, gap="medium"), LINES, strict=True):
        with column, st.container(key=f"panel-load-{name}", height="stretch"):
            st.header(heading, anchor=False)
            places.append(st.empty())
    return places


def draw(test: load.Test, places: list) -> None:
    for place, (name, heading) in zip(places, LINES, strict=True):
        if any(part.moments for part in test.loads):
            alt = f"{heading}, over the seconds of load, for each server; the figures are in the table."
            place.altair_chart(charts.under_load(test.loads, name), width="stretch", alt=alt)


def read(test: load.Test) -> None:
    """What came of the last test, as far as it went."""
    if test.failure:
        show(test.failure)
    complete = all(part.turns for part in test.loads)
    if test.stopped and not test.failure:
        done = sum(len(part.turns) for part in test.loads)
        st.warning(
            f"**Stopped after {done} of {len(test.order)} turns.** "
            + ("What follows is of those." if complete else "That is too few to tell anything.")
        )
    if not complete:
        return
    heading, *sentences = load_reading.reading(test)
    with st.container(key="reading"):
        st.header(plain(heading), anchor=False)
        st.caption(asked(test))
        st.markdown("  \n".join(map(plain, sentences)))
    draw(test, panels())
    chart, table = st.columns([3, 2], gap="medium")
    with chart, st.container(key="panel-load-histogram", height="stretch"):
        st.header("How many answers took how long", anchor=False)
        st.altair_chart(
            charts.load_histogram(test.loads),
            width="stretch",
            alt="The share of answers by how long they took, for each server; the table has the percentiles.",
        )
        st.caption(
            "From when a request was due to the end of its answer, on a scale where each step is ten times "
            "the one before. FastAPI is the solid line and the circle, Flask the dashed one and the square."
        )
    with table, st.container(key="panel-load-figures", height="stretch"):
        st.header("Figures", anchor=False)
        columns = {
            f"{part.server.mark} {part.server.name}": load_reading.figures(part) for part in test.loads
        }
        frame = pd.DataFrame(columns).rename_axis("figure").reset_index()
        st.table(frame, hide_index=True, border="horizontal", alt="Rates and percentiles of each server")
        middle = f"The middle one of {test.turns} turns; the slowest is of all. " if test.turns > 1 else ""
        st.caption(f"{middle}p99: 99 of 100 answers came within this time.")
    st.caption(
        "Latency counts from the moment at which a request was due, so the time that it waits for a free "
        f"connection counts too; there are {load.CONNECTIONS}. After {load.TIMEOUT} seconds it counts as not "
        "answered. The servers, the load generator and this page "
        "share one machine, so the figures compare the servers here, and promise nothing elsewhere."
    )


main()
