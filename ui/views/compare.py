"""Compare: the same input to both servers, once, many times, and wrong."""

from secrets import token_hex

import pandas as pd
import streamlit as st

from ui import charts, client, inputs, latency, mistakes, page, visit, wire
from ui.card import Card
from ui.notices import more, plain, show
from ui.prediction import Prediction
from ui.servers import Server, servers

# What a header that differs means; the others speak for themselves.
HEADERS = {
    "server": "the program that serves it",
    "date": "when it was answered",
    "content-length": "bytes in the body: the same JSON, written with or without spaces",
    "connection": "whether the connection stays open",
    "traceparent": "which trace of the server's this request is in (W3C Trace Context)",
}
Answer = client.Exchange | client.Failure


def main() -> None:
    page.begin(
        "Compare",
        "Send the same input to both servers: once, many times, or with a mistake in it.",
        {5: " has what both agree on", 6: " what they answer to mistakes"},
    )
    pair = servers()
    card, failures = client.first_card(pair)
    if card is None:
        for failure in failures:
            show(failure)
        st.button("Try again", icon=":material/refresh:")
        return
    with st.container(key="panel-input"):
        st.header("Input", anchor=False)
        inputs.examples(card)
        with st.expander(f"Values: {inputs.in_short(inputs.values(card))}"):
            row = inputs.fields(card, "compare")
    once, many, wrong = st.tabs(["Once", "Many times", "With a mistake"], key="way")
    with once:
        send_once(pair, card, row)
    with many:
        send_many(pair, row)
    with wrong:
        send_wrong(pair, card, row)


def send_once(pair: tuple[Server, Server], card: Card, row: list[float]) -> None:
    kept = {"on_click": inputs.keep, "args": (card, "compare")}
    if st.button("Send to both", type="primary", icon=":material/send:", **kept):
        request_id = token_hex(8)  # the same to both, since the full servers answer with it
        answers = [client.predict(server, row, card, request_id=request_id) for server in pair]
        for answer in answers:
            remember(answer)
        st.session_state["once"] = (card.key, row, answers, page.new_answer())
    kept = st.session_state.get("once")
    if kept is None or kept[0] != card.key:
        st.caption("One request to each; the answers appear side by side.")
        return
    _, then, found, name = kept
    answers = [answer if isinstance(answer, client.Failure) else answer[1] for answer in found]
    predictions = [None if isinstance(answer, client.Failure) else answer[0] for answer in found]
    with page.answer(name, row, then):
        verdict(*agreement(answers, predictions))
        if any(predictions) and (caution := inputs.caution(card, then)):
            st.warning(caution, icon=":material/warning:")
        side_by_side(pair, answers, "once")
        if all(isinstance(answer, client.Exchange) for answer in answers):
            st.caption("A single time says little, and the first after a pause is slower: see Many times.")
        in_detail(answers, "once")


def remember(answer: tuple[Prediction, client.Exchange] | Answer) -> None:
    """Among the recent requests of this browser."""
    if isinstance(answer, tuple):
        visit.current().remember(answer[1], answer[0].words)
    else:
        visit.current().remember(answer.exchange if isinstance(answer, client.Failure) else answer)


def verdict(alike: bool, words: str) -> None:
    icon = ":material/check_circle:" if alike else ":material/warning:"
    (st.success if alike else st.warning)(f"**{plain(words)}**", icon=icon)


def agreement(answers: list[Answer], predictions: list[Prediction | None]) -> tuple[bool, str]:
    """Whether both answered alike, and what they said, in a sentence."""
    one, other = answers
    if not any(predictions):
        refused = [answer.exchange or answer for answer in answers]
        return mistakes.verdict(*refused)
    for answer in answers:
        if isinstance(answer, client.Failure):
            return False, mistakes.nothing(answer)
    if one.status == other.status and one.body == other.body:
        return True, f"Both answer alike: {predictions[0].words}. Same status, same JSON."
    words = [prediction.words for prediction in predictions]
    if words[0] == words[1]:
        return False, f"Both predict {words[0]}, and their JSON differs."
    return False, f"They differ: {words[0]} against {words[1]}."


def side_by_side(pair: tuple[Server, Server], answers: list[Answer], way: str) -> None:
    """Status, time and body of each, one beside the other."""
    place = st.container()
    raw = wire.raw_switch(way)
    for column, server, answer in zip(place.columns(2, gap="medium"), pair, answers, strict=True):
        with column, st.container(key=f"panel-{way}-{server.name.lower()}", height="stretch"):
            st.header(f"{server.mark} {server.name}", anchor=False)
            exchange = answer if isinstance(answer, client.Exchange) else answer.exchange
            if isinstance(answer, client.Failure):
                show(answer)
            if exchange:
                st.caption(f"status {exchange.status} · {exchange.milliseconds:.1f} ms")
                if exchange.problem and exchange is answer:
                    st.markdown("  \n".join(more(exchange.problem)))
                wire.body(exchange, raw)


def in_detail(answers: list[Answer], way: str) -> None:
    """What was sent, and what differs in the two answers: their bodies line by line, and their headers."""
    exchanges = [answer if isinstance(answer, client.Exchange) else answer.exchange for answer in answers]
    if sent := next(filter(None, exchanges), None):
        with st.container(key=f"panel-{way}-sent"):
            st.header("What was sent to both", anchor=False)
            wire.request(sent, st.session_state.get(f"raw {way}", False))
    if all(exchanges):
        with st.container(key=f"panel-{way}-difference"):
            st.header("What differs in the answers", anchor=False)
            wire.compared(*exchanges)
            headers(*exchanges)


def headers(one: client.Exchange, other: client.Exchange) -> None:
    """The response headers that are not the same in both, and what they are."""
    names = sorted(set(one.headers) | set(other.headers))
    names = [name for name in names if one.headers.get(name) != other.headers.get(name)]
    if not names:
        st.caption("The headers do not differ.")
        return
    st.markdown("**Headers that differ**")
    for name in names:
        what = f", {HEADERS[name]}" if name in HEADERS else ""
        lines = [f"**{plain(name)}**{what}"]
        for exchange in (one, other):
            server, value = exchange.server, exchange.headers.get(name)
            lines.append(f"{server.mark} {server.name}: {'not sent' if value is None else plain(value)}")
        st.markdown("  \n".join(lines))


def send_many(pair: tuple[Server, Server], row: list[float]) -> None:
    n = st.segmented_control("Requests to each", [50, 200, 1000], default=200, required=True, key="requests")
    if st.button("Measure", type="primary", icon=":material/timer:"):
        bar, result = st.progress(0.0, text="Warming up"), None
        for result in latency.measure(pair, row, n):
            if isinstance(result, client.Failure):
                break
            done = len(result[1].milliseconds)
            if done % max(1, n // 50) == 0:
                bar.progress(done / n, text=f"{done} of {n} requests to each")
        bar.empty()
        st.session_state["many"] = (row, result, page.new_answer())
    then, result, name = st.session_state.get("many", (row, None, ""))
    if result is None:
        st.caption(
            "The servers take turns, request by request, after a few that are not counted: "
            "so neither has the warm machine to itself."
        )
        return
    with page.answer(name, row, then):
        if isinstance(result, client.Failure):
            show(result)
        else:
            measured(result)


def measured(timings: tuple[latency.Timing, latency.Timing]) -> None:
    """What the figures say, the distributions as a chart, the percentiles as a table."""
    one, other = timings
    first, *rest = latency.reading(one, other)
    with st.container(key="reading", gap="small"):
        st.header(plain(first), anchor=False)
        st.markdown(plain(" ".join(rest)))
    chart, table = st.columns([3, 2], gap="medium")
    with chart, st.container(key="panel-chart", height="stretch"):
        st.header("How many answers took how long", anchor=False)
        st.altair_chart(
            charts.latencies(timings),
            width="stretch",
            alt="How many answers took how long, for both servers; the table has the percentiles.",
        )
        st.caption(
            f"{one.server.mark} {one.server.name}: solid line. {other.server.mark} {other.server.name}: "
            "dashed line. The upright lines are the medians; the slowest lie beyond the right edge."
        )
    with table, st.container(key="panel-figures", height="stretch"):
        st.header("Within how many milliseconds", anchor=False)
        figures = {
            f"{timing.server.mark} {timing.server.name}": {
                "p50": f"{timing.percentile(0.5):.2f}",
                "p90": f"{timing.percentile(0.9):.2f}",
                "p99": f"{timing.percentile(0.99):.2f}",
                "slowest": f"{max(timing.milliseconds):.2f}",
                "requests": f"{len(timing.milliseconds)}",
                "per second": f"{timing.per_second:.0f}",
            }
            for timing in timings
        }
        frame = pd.DataFrame(figures).rename_axis("figure").reset_index()
        st.table(
            frame, hide_index=True, border="horizontal", alt="Percentiles of the latencies of both servers"
        )
        st.caption("p90: nine of ten answers came within this time. Per second: one request at a time.")


def send_wrong(pair: tuple[Server, Server], card: Card, row: list[float]) -> None:
    choices = {mistake.name: mistake for mistake in mistakes.mistakes(card, row)}
    name = st.selectbox("Mistake", list(choices), key="mistake")
    mistake = choices[name]
    st.caption(plain(mistake.why))
    if st.button("Send it to both", type="primary", icon=":material/send:"):
        request_id = token_hex(8)
        answers = [mistake.send(server, request_id) for server in pair]
        for answer in answers:
            remember(answer)
        st.session_state["wrong"] = (name, row, answers, page.new_answer())
    kept = st.session_state.get("wrong")
    if kept is None or kept[0] != name:
        return
    _, then, answers, named = kept
    with page.answer(named, row, then):
        verdict(*mistakes.verdict(*answers))
        side_by_side(pair, answers, "wrong")
        in_detail(answers, "wrong")


main()
