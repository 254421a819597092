"""Load: many requests a second to one server or both, and how they bear it."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from ui import client, generator, inputs, knee, load, load_charts, load_reading, page, sign_in, visit
from ui.card import Card
from ui.choice import about
from ui.load_runs import Run
from ui.notices import plain, show
from ui.servers import Server, servers

LINES = (
    ("rate", "Answers a second"),
    ("p95", "Latency p95, milliseconds"),
)
EVERY = 0.5  # seconds, between two drawings of a test that runs


@dataclass(frozen=True)
class Preset:
    """`rate`: requests a second, and `seconds` for each server, where they are given."""

    what: str
    rate: int | None = None
    seconds: int | None = None


PRESETS = {
    "Gentle": Preset("How fast each server answers when it has all the time it needs.", 20, 10),
    "Steady": Preset(
        "Whether each server keeps up with steady traffic, and how even its answers are.", 200, 20
    ),
    "Find the knee": Preset(
        f"How much each server bears: {knee.FIRST} requests a second, then twice as many, and so on, each "
        f"for {knee.STEP:g} seconds, until it does not keep up. A minute or so for both."
    ),
    "My own": Preset("As many requests as you choose, for as long as you choose."),
}


def main() -> None:
    page.begin(
        "Load",
        "Ask a server many times a second, whether or not it has answered, and see how it bears it.",
        {8: " measures like this, and then makes it fast"},
    )
    pair = servers()
    here = visit.current()
    card, failures = client.first_card(pair)
    if card is None:
        for failure in failures:
            show(failure)
        st.button("Try again", icon=":material/refresh:")
        return
    about(card)
    running = here.load if here.load and here.load.is_alive() else None
    with st.container(key="panel-test"):
        st.header("Test", anchor=False)
        pressed, trial = enter(pair, card, running)
    if pressed and trial:
        here.load = Run(trial, card, here.loads, sign_in.current())
        here.load.start()
        st.rerun()  # with the button that stops it
    if pressed:
        st.warning(
            "**No server is chosen.**  \nChoose one or both, and start again.", icon=":material/error:"
        )
    elif running:
        with st.container(key="running"):
            watch(running)
    elif here.loads:
        with st.container(key="result"):
            results(list(here.loads))


def enter(pair: tuple[Server, Server], card: Card, running: Run | None) -> tuple[bool, load.Trial | None]:
    """Whom to ask, how often, for how long: whether to start, and what. What is changed while a test runs
    counts for the next."""
    by_name, row = {server.name: server for server in pair}, inputs.values(card)
    with st.container(horizontal=True, gap="medium"):
        name = st.segmented_control("Kind", list(PRESETS), default="Gentle", required=True, key="load kind")
        chosen = st.segmented_control(
            "Servers",
            list(by_name),
            selection_mode="multi",
            default=list(by_name),
            format_func=lambda name: f"{by_name[name].mark} {name}",
            key="load servers",
        )
    preset = PRESETS[name]
    rate, seconds = preset.rate, preset.seconds
    if name == "My own":
        with st.container(key="features"):
            rate = st.number_input("Requests a second", *load.RATES, 100, step=50, key="load rate")
            seconds = st.number_input("Seconds for each server", *load.SECONDS, 10, key="load seconds")
    asks = f" {rate:,} requests a second, for {seconds} seconds on each server." if rate else ""
    st.caption(
        f"{preset.what}{asks} Every request has the row of Predict and Compare: {inputs.in_short(row)}. Two "
        "servers take turns of a few seconds and never work at the same time: on one machine, each would be "
        "measured against what the other leaves it. The test goes on when this page is left or loaded anew."
    )
    if running:
        st.button("Stop the test", icon=":material/stop:", key="stop", on_click=running.end)
        return False, None
    pressed = st.button("Start", type="primary", icon=":material/speed:", key="start")
    asked = [by_name[name] for name in by_name if name in chosen]
    if not asked:
        return pressed, None
    if rate is None:
        return pressed, knee.Search(servers=asked, row=row, name=name)
    return pressed, load.Test(servers=asked, row=row, name=name, rate=rate, seconds=seconds)


@st.fragment(run_every=EVERY)
def watch(run: Run) -> None:
    """How far a test is. Only this part of the page is drawn again."""
    trial = run.trial
    if not run.is_alive():
        st.rerun()
    st.caption(asked(trial))
    if run.latest is None:
        st.progress(0.0, text="Warming up")
        return
    over, now, told = run.latest
    elapsed = told.get("elapsed", trial.turn_seconds)
    share, text = trial.progress(over, now, elapsed)
    text += ": waiting for the last answers" if elapsed > trial.turn_seconds + load_charts.AWAITED else ""
    st.progress(share, text=text)
    if told["event"] == "progress":
        st.markdown(sentence(now, told))
    if isinstance(trial, load.Test):
        draw(trial)
    elif trial.told:
        draw_knee(trial)


def asked(trial: load.Trial) -> str:
    """For example "1,000 requests to each server, in 2 turns of 5 s"."""
    whom = "each server" if len(trial.servers) > 1 else trial.servers[0].name
    if isinstance(trial, knee.Search):
        return f"More and more requests to {whom}, in steps of {trial.turn_seconds:g} s."
    turns = f"{trial.turns} turn{'s' if trial.turns > 1 else ''} of {trial.turn_seconds:.2g} s"
    return f"{trial.rate * trial.seconds:,} requests to {whom}, in {turns}."


def sentence(now: load.Load, told: dict) -> str:
    p95 = "no answer yet" if told["p95"] is None else f"p95 {told['p95']:,.1f} ms"
    return (
        f"{now.server.mark} {now.server.name}: {told['sent']:,} sent, {told['answered']:,} answered, "
        f"{told['failed']:,} failed; now {told['rate']:,.0f} a second, {p95}"
    )


def draw(test: load.Test) -> None:
    """Each figure over the seconds of load."""
    for column, (name, heading) in zip(st.columns(2, gap="medium"), LINES, strict=True):
        with column, st.container(key=f"panel-load-{name}", height="stretch"):
            st.header(heading, anchor=False)
            if any(part.moments for part in test.loads):
                alt = f"{heading}, over the seconds of load, for each server; the figures are in the table."
                chart = load_charts.under_load(test.loads, name, test.turn_seconds)
                st.altair_chart(chart, width="stretch", alt=alt)
    late = [part for part in test.loads if load_charts.after_turns(part, test.turn_seconds)]
    if late:
        names = " and ".join(part.server.name for part in late)
        st.caption(
            f"Each server's turns are drawn one after the other. Shaded: a turn of {test.turn_seconds:.2g} "
            f"seconds was over, nothing more was sent, and {names} still had answers to give. So the time "
            "goes on beyond the seconds that were asked for: these are the late answers."
        )


def draw_knee(search: knee.Search) -> None:
    with st.container(key="panel-knee"):
        st.header("Latency, the more is asked", anchor=False)
        alt = "The latency p95 of each server at each rate; the figures are in the table."
        st.altair_chart(load_charts.knee(search), width="stretch", alt=alt)
        st.caption(
            "Each point is a rate that was tried, and the time within which 19 of 20 answers came. Up to the "
            "knee, which the upright lines mark, more requests cost nobody much; beyond it they queue, and "
            "everybody waits. On both scales, equal steps are equal factors. FastAPI is the solid line and "
            "the circle, Flask the dashed one and the square."
        )


def results(trials: list[load.Trial]) -> None:
    """The last test, or an earlier one, and all of them in short."""
    told = [trial for trial in trials if trial.told]
    chosen = trials[0]
    if len(told) > 1:
        with st.container(key="panel-kept"):
            before_and_after(told)
            index = st.selectbox(
                "Show",
                range(len(trials)),
                format_func=lambda index: title(trials[index]) + (", the last one" if not index else ""),
                key=f"load shown {trials[0].at}",
            )
            chosen = trials[index]
    read(chosen)


def title(trial: load.Trial) -> str:
    what = f", {trial.rate:,} a second" if isinstance(trial, load.Test) else ""
    return f"{trial.at:%H:%M:%S} {trial.name}{what}"


def before_and_after(trials: list[load.Trial]) -> None:
    st.header("Before and after", anchor=False)
    rows = [(title(trial), *figures) for trial in trials for figures in load_reading.in_short(trial)]
    frame = pd.DataFrame(rows, columns=["test", "server", "answers a second", "p50, ms", "p99, ms"])
    st.table(frame, hide_index=True, border="horizontal", alt="The last load tests in short")
    st.caption(
        "The last tests of this browser, the latest first. Of a search for the knee: what was at the knee."
    )


def read(trial: load.Trial) -> None:
    """What came of a test, as far as it went."""
    if trial.failure:
        show(trial.failure)
    if trial.stopped and not trial.failure:
        done = sum(len(part.turns) for part in trial.loads)
        of = f" of {len(trial.order)}" if isinstance(trial, load.Test) else ""
        words = "What follows is of those." if trial.told else "That is too few to tell anything."
        st.warning(f"**Stopped after {done}{of} turns.** {words}")
    if not trial.told:
        return
    search = isinstance(trial, knee.Search)
    heading, *sentences = load_reading.knees(trial) if search else load_reading.reading(trial)
    with st.container(key="reading"):
        st.header(plain(heading), anchor=False)
        st.caption(asked(trial))
        st.markdown("  \n".join(map(plain, sentences)))
    if search:
        draw_knee(trial)
        read_steps(trial)
    else:
        draw(trial)
        read_figures(trial)
    st.caption(
        "Latency counts from the moment at which a request was due, so the time that it waits for a free "
        f"connection counts too; there are {generator.CONNECTIONS}. After {generator.TIMEOUT} seconds it "
        "counts as not answered. The servers, the load generator and this page share one machine, so the "
        "figures compare the servers here, and promise nothing elsewhere."
    )


def read_steps(search: knee.Search) -> None:
    with st.container(key="panel-steps"):
        st.header("Figures", anchor=False)
        columns = {
            f"{server.mark} {server.name}": load_reading.steps(search, server) for server in search.servers
        }
        rates = sorted(
            {rate for column in columns.values() for rate in column},
            key=lambda text: int(text.replace(",", "")),
        )
        rows = [(rate, *(column.get(rate, "") for column in columns.values())) for rate in rates]
        frame = pd.DataFrame(rows, columns=["requests a second", *columns])
        st.table(frame, hide_index=True, border="horizontal", alt="What each server did at each rate")
        st.caption(
            "Where it says how many were answered, the server did not keep up: it gave fewer than 95 of 100 "
            "answers in time, or more than 1 of 100 was no prediction. A rate that fails is tried twice."
        )


def read_figures(test: load.Test) -> None:
    chart, table = st.columns([3, 2], gap="medium")
    with chart, st.container(key="panel-load-histogram", height="stretch"):
        st.header("How many answers took how long", anchor=False)
        st.altair_chart(
            load_charts.load_histogram(test.loads),
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


main()
