"""Predict: one row of features to one server, and its answer."""

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from ui import charts, client, inputs
from ui.card import Card
from ui.choice import about, choose
from ui.notices import plain, request_text, response_text, show
from ui.prediction import Prediction, percent, shown
from ui.servers import Server, servers
from ui.snippets import show_snippets

WIDE_FORM = 12  # features from which the form takes the whole width


@dataclass(frozen=True)
class Sent:
    """The last row that was sent, and what came back."""

    server: Server
    card: Card
    row: list[float]
    answer: tuple[Prediction, client.Exchange] | client.Failure

    @property
    def exchange(self) -> client.Exchange | None:
        return self.answer.exchange if isinstance(self.answer, client.Failure) else self.answer[1]


def main() -> None:
    st.title("Predict", anchor=False)
    st.markdown("Send one row of features to a server, and read what it answers.")
    server, other = choose(servers())
    card, failures = client.first_card([server, other])
    for failure in failures:
        show(failure)
    if card is None:
        st.button("Try again", icon=":material/refresh:")
        return
    about(card)
    if failures:
        st.caption(f"The fields below come from {other.name}'s model card, until {server.name} answers.")
    wide = len(card.features) > WIDE_FORM
    left, right = (st.container(), st.container()) if wide else st.columns([1, 1], gap="medium")
    with left, st.container(key="panel-input", height="content" if wide else "stretch"):
        enter(server, card)
    sent = st.session_state.get("sent")
    if sent is not None and (sent.server, sent.card.key) != (server, card.key):
        sent = None
    with right, st.container(key="panel-answer", height="content" if wide else "stretch"):
        read(sent)
    with st.container(key="panel-call"):
        st.header("The same call, from elsewhere", anchor=False)
        show_snippets(server.url + client.PREDICT, {"features": sent.row if sent else inputs.values(card)})
    if sent and sent.exchange:
        with st.container(key="panel-wire"):
            wire(sent.exchange)


def enter(server: Server, card: Card) -> None:
    """The form; pressing its button, or Enter in a field, sends the row."""
    st.header("Input", anchor=False)
    if inputs.examples(card):
        st.session_state.pop("sent", None)
    with st.form("input", border=False):
        row = inputs.fields(card, "predict")
        if st.form_submit_button("Predict", type="primary", icon=":material/send:"):
            answer = client.predict(server, row, card)
            st.session_state["sent"] = Sent(server, card, row, answer)


def read(sent: Sent | None) -> None:
    """The answer in words, its probabilities as a chart with a table, and how long it took."""
    st.header("Answer", anchor=False)
    if sent is None:
        st.caption("Nothing sent yet. Choose an example or type values, then press Predict.")
        return
    if isinstance(sent.answer, client.Failure):
        show(sent.answer)
        return
    server, (prediction, exchange) = sent.server, sent.answer
    with st.container(key="words", gap="xsmall"):
        if sent.card.target:
            st.caption(plain(sent.card.target))
        st.subheader(plain(prediction.words), anchor=False)
        took = f"{exchange.milliseconds:.1f} ms"
        st.caption(f"{server.mark} {server.name} answered in {took} with status {exchange.status}")
    if not prediction.probabilities:
        if sent.card.classes:
            st.caption("This model names the class and gives no probabilities.")
        return
    chart, table = st.columns([1, 1], gap="medium", vertical_alignment="center")
    with chart:
        st.altair_chart(
            charts.probabilities(prediction, server),
            width="stretch",
            alt="Bars: the probability of each class, as in the table beside.",
        )
    with table:
        rows = [(plain(shown(name)), percent(chance, 1)) for name, chance in prediction.probabilities]
        frame = pd.DataFrame(rows, columns=["class", "probability"])
        st.table(frame, hide_index=True, border="horizontal", alt="The probability of each class")


def wire(exchange: client.Exchange) -> None:
    """The bytes that went and came."""
    request, response = st.columns(2, gap="medium")
    with request:
        st.header("Request", anchor=False)
        st.code(request_text(exchange), language=None, wrap_lines=True)
    with response:
        st.header("Response", anchor=False)
        st.code(response_text(exchange), language=None, wrap_lines=True)


main()
