"""Predict: one row of features to one server, its answer, and what it would be with another value."""

from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from ui import charts, client, inputs, page, sweeps, truth, visit, what_if
from ui.card import Card, Value
from ui.choice import about, choose
from ui.notices import plain, show
from ui.prediction import Prediction, percent, shown
from ui.recent import show_recent
from ui.servers import Server, servers
from ui.snippets import show_snippets
from ui.why import why

WIDE_FORM = 12  # features from which the form takes the whole width
LESSONS = {"FastAPI": 3, "Flask": 4}  # that build what answers


@dataclass(frozen=True)
class Sent:
    """The last row that was sent, and what came back."""

    server: Server
    card: Card
    row: list[Value]
    answer: tuple[Prediction, client.Exchange] | client.Failure
    name: str = field(default_factory=page.new_answer)


def main() -> None:
    place = st.container()
    server, other = choose(servers())
    with place:
        says = {LESSONS[server.name]: " builds the server that answers here"}
        page.begin("Predict", "Send one row of features to a server, and read what it answers.", says)
    card, failures = client.first_card([server, other])
    for failure in failures:
        show(failure)
    if card is None:
        st.button("Try again", icon=":material/refresh:")
        show_recent()
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
        read(sent, inputs.values(card), [failure.sentence for failure in failures])
    row = inputs.values(card)
    with st.container(key="panel-whatif"):
        ask_what_if(server, card, row, sent)
    with st.container(key="panel-call"):
        st.header("The same call, from elsewhere", anchor=False)
        show_snippets(server, client.PREDICT, {"features": row})
    show_recent()


def enter(server: Server, card: Card) -> None:
    """The form; its button, or Enter in a field, sends the row."""
    st.header("Input", anchor=False)
    if inputs.examples(card):
        st.session_state.pop("sent", None)
    with st.form("input", border=False):
        row = inputs.fields(card, "predict")
        kept = {"on_click": inputs.keep, "args": (card, "predict")}
        if st.form_submit_button("Predict", type="primary", icon=":material/send:", **kept):
            answer = client.predict(server, row, card)
            st.session_state["sent"] = Sent(server, card, row, answer)
            if isinstance(answer, client.Failure):
                visit.current().remember(answer.exchange)
            else:
                visit.current().remember(answer[1], answer[0].words)


def read(sent: Sent | None, now: list[Value], told: list[str]) -> None:
    """The answer in words, its probabilities as a chart with a table, and how long it took."""
    st.header("Answer", anchor=False)
    if sent is None:
        st.caption(
            "Nothing sent yet. Choose an example or type values, then press Predict, or Enter in a field."
        )
        return
    with page.answer(sent.name, now, sent.row):
        if isinstance(sent.answer, client.Failure):
            if sent.answer.sentence in told:
                st.caption("No answer came, for the reason above.")
            else:
                show(sent.answer)
        else:
            answered(sent, *sent.answer)
            if not sent.card.targets:  # models of several outputs are not explained
                why(sent.server, sent.card, sent.row, sent.name)
            truth.ask(sent.card, *sent.answer, sent.name)


def answered(sent: Sent, prediction: Prediction, exchange: client.Exchange) -> None:
    server = sent.server
    with st.container(key="words", gap="xsmall"):
        if sent.card.target:
            st.caption(plain(sent.card.target))
        st.subheader(plain(prediction.words), anchor=False)
        took = f"{exchange.milliseconds:.1f} ms"
        st.caption(
            f"{server.mark} {server.name} answered in {took} with status {exchange.status}, "
            f"to {inputs.in_short(sent.row)}"
        )
    if caution := inputs.caution(sent.card, sent.row):
        st.warning(caution, icon=":material/warning:")
    if prediction.parts:
        answered_parts(prediction)
        return
    if sent.card.finds_outliers:
        st.caption("inlier: like the rows that the model learned from; outlier: unlike them.")
        return
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


def answered_parts(prediction: Prediction) -> None:
    """What is answered for each of several targets."""
    rows = [
        (plain(shown(name)), plain(shown(part.label)), "" if part.chance is None else percent(part.chance, 1))
        for name, part in prediction.parts
    ]
    frame = pd.DataFrame(rows, columns=["target", "answer", "probability"])
    if not any(part.probabilities for _, part in prediction.parts):
        frame = frame.drop(columns="probability")
    st.table(frame, hide_index=True, border="horizontal", alt="What is answered for each target")


def ask_what_if(server: Server, card: Card, row: list[Value], sent: Sent | None) -> None:
    """One feature over its range, in one request."""
    st.header("What if one value were another?", anchor=False)
    st.caption(
        "Choose a feature. It takes every value over its range, or each category, while the others stay as "
        f"they were sent last: {inputs.in_short(row)}. That is one request to {client.BATCH}, where the "
        "server has it."
    )
    names = [plain(shown(feature.name)) for feature in card.features]
    position = st.selectbox(
        "Vary",
        range(len(names)),
        index=None,
        format_func=names.__getitem__,
        placeholder="Choose a feature",
        key=f"vary:{card.key}",
    )
    if position is None:
        return
    asked = (server, card.key, tuple(row), position)
    kept = st.session_state.get("what if")
    if kept is None or kept[0] != asked or isinstance(kept[1], client.Failure):
        kept = asked, what_if.sweep(server, card, row, position)
        st.session_state["what if"] = kept
    if isinstance(kept[1], client.Failure):
        if sent and isinstance(sent.answer, client.Failure) and sent.row == row:
            st.caption(f"Nothing to draw: {server.name} gives no answer to this row, as told above.")
        else:
            show(kept[1])
    else:
        sweeps.draw(kept[1], card)


main()
