"""Predict: one row of features to one server, and its answer."""

import pandas as pd
import streamlit as st

from ui import charts, client, inputs
from ui.card import Card
from ui.notices import plain, request_text, response_text, show
from ui.prediction import Prediction, percent
from ui.snippets import snippets

WIDE_FORM = 12  # features from which the form takes the whole width


def main() -> None:
    st.title("Predict", anchor=False)
    st.markdown("Send one row of features to a server, and read what it answers.")
    pair = client.servers()
    names = [server.name for server in pair]
    chosen = st.segmented_control(
        "Server",
        names,
        default=st.session_state.get("chosen server", names[0]),
        required=True,
        format_func=lambda name: f"{pair[names.index(name)].mark} {name}",
    )
    st.session_state["chosen server"] = chosen
    server = pair[names.index(chosen)]
    card, failures = client.first_card([server, *(other for other in pair if other is not server)])
    for failure in failures:
        show(failure)
    if card is None:
        st.button("Try again", icon=":material/refresh:")
        return
    if failures:
        others = [other.name for other in pair if other is not server]
        st.caption(f"The fields below are from {others[0]}'s model card, until {server.name} answers.")
    about(card)
    wide = len(card.features) > WIDE_FORM
    left, right = (st.container(), st.container()) if wide else st.columns([5, 6], gap="large")
    with left:
        enter(server, card)
    with right:
        st.subheader("Answer", anchor=False)
        answer = st.session_state.get("answer")
        if answer is None or answer[0] != (server, card.key):
            st.caption("Nothing sent yet. Choose an example or type values, then press Predict.")
        elif isinstance(answer[2], client.Failure):
            show(answer[2])
        else:
            read(server, *answer[2])
    st.divider()
    call(server, card)


def about(card: Card) -> None:
    """Which model this is, in a line."""
    version = f"version {plain(card.version)}" if card.version else ""
    parts = [plain(card.title) or plain(card.name), plain(card.algorithm), version]
    st.caption(" · ".join(part for part in parts if part))


def enter(server: client.Server, card: Card) -> None:
    """The form; pressing its button, or Enter in a field, sends the row."""
    st.subheader("Input", anchor=False)
    if inputs.examples(card):
        st.session_state.pop("answer", None)
    with st.form("input", border=False):
        row = inputs.fields(card)
        if st.form_submit_button("Predict", type="primary", icon=":material/send:"):
            answer = client.predict(server, row, card)
            st.session_state["answer"] = ((server, card.key), row, answer)


def read(server: client.Server, prediction: Prediction, exchange: client.Exchange) -> None:
    """The answer in words, its probabilities as a chart with a table, and how long it took."""
    with st.container(key="words"):
        st.header(plain(prediction.words), anchor=False)
    st.caption(
        f"{server.mark} {server.name} answered in {exchange.milliseconds:.1f} ms with status {exchange.status}"
    )
    if not prediction.probabilities:
        return
    chart, table = st.columns([3, 2], gap="medium", vertical_alignment="center")
    with chart:
        st.altair_chart(
            charts.probabilities(prediction, server.colour),
            width="stretch",
            alt="Bars: the probability of each class, as in the table beside.",
        )
    with table:
        rows = [(name, percent(chance, 1)) for name, chance in prediction.probabilities]
        frame = pd.DataFrame(rows, columns=["class", "probability"])
        st.table(frame, hide_index=True, border="horizontal", alt="The probability of each class")


def call(server: client.Server, card: Card) -> None:
    """The same call from elsewhere, and the bytes that went and came."""
    answer = st.session_state.get("answer")
    sent = answer is not None and answer[0] == (server, card.key)
    row = answer[1] if sent else inputs.values(card)
    st.subheader("The same call, from elsewhere", anchor=False)
    codes = snippets(server, row)
    for tab, (code, language) in zip(st.tabs(list(codes)), codes.values(), strict=True):
        with tab:
            st.code(code, language=language, wrap_lines=True)
    exchange = None
    if sent:
        exchange = answer[2].exchange if isinstance(answer[2], client.Failure) else answer[2][1]
    if exchange:
        st.subheader("What went over the wire", anchor=False)
        request, response = st.columns(2, gap="large")
        with request:
            st.caption("Request")
            st.code(request_text(exchange), language=None, wrap_lines=True)
        with response:
            st.caption("Response")
            st.code(response_text(exchange), language=None, wrap_lines=True)


main()
