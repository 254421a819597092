"""Batch: many rows to one server, from text or a CSV file, and what became of each."""

import re
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from ui import batch, client, rows
from ui.card import Card
from ui.choice import about, choose
from ui.notices import plain, show
from ui.prediction import Prediction, shown
from ui.servers import Server, servers
from ui.snippets import show_snippets

TYPED, FILE = "Typed or pasted", "A CSV file"


@dataclass(frozen=True)
class Sent:
    """The last rows that were sent, and what became of them."""

    server: Server
    card: Card
    table: rows.Table
    run: batch.Run


def main() -> None:
    st.title("Batch", anchor=False)
    st.markdown("Send many rows to a server at once, and read what it answers to each.")
    server, other = choose(servers())
    card, failures = client.first_card([server, other])
    for failure in failures:
        show(failure)
    if card is None:
        st.button("Try again", icon=":material/refresh:")
        return
    about(card)
    with st.container(key="panel-input"):
        st.header("Rows", anchor=False)
        enter(server, card)
    sent = st.session_state.get("batch")
    if sent is not None and (sent.server, sent.card.key) == (server, card.key):
        with st.container(key="panel-answer"):
            read(sent)
    with st.container(key="panel-call"):
        st.header("The same call, from elsewhere", anchor=False)
        show_snippets(server.url + client.BATCH, {"instances": [list(row) for row in examples(card)[:2]]})


def enter(server: Server, card: Card) -> None:
    """The rows as text, read, and sent at the press of the button."""
    way = st.segmented_control("From", [TYPED, FILE], default=TYPED, required=True, key="rows from")
    st.caption(
        "One row a line, its numbers separated by commas. The first line may name the columns, in any order; "
        f"without names they are: {plain(', '.join(shown(feature.name) for feature in card.features[:12]))}"
        + (f" and {len(card.features) - 12} more." if len(card.features) > 12 else ".")
    )
    with st.form("rows", border=False):
        if way == TYPED:
            example = rows.write_rows(card, examples(card))
            text = st.text_area("Rows as CSV", example, height=180, key=f"rows:{card.key}")
        else:
            text = st.file_uploader("CSV file", type=["csv", "txt"], key=f"file:{card.key}")
        if not st.form_submit_button("Predict all", type="primary", icon=":material/send:"):
            return
    st.session_state.pop("batch", None)
    if text is None:
        st.warning("**No file is chosen.**  \nChoose one, and press Predict all again.")
        return
    try:
        table = rows.read_rows(text if way == TYPED else rows.decode(text.getvalue()), card)
    except ValueError as error:
        st.warning(f"**Nothing was sent.**  \n{plain(str(error))}", icon=":material/error:")
        return
    st.session_state["batch"] = Sent(server, card, table, send(server, card, table))


def send(server: Server, card: Card, table: rows.Table) -> batch.Run:
    """Send the rows that can be sent, and show how far it is."""
    features = [row.features for row in table.rows if row.features is not None]
    done = batch.Run([])
    bar = st.progress(0.0, text="Sending")
    for done in batch.run(server, features, card):
        settled = done.predicted + done.refused
        bar.progress(settled / len(features), text=f"{settled:,} of {len(features):,} rows")
    bar.empty()
    return done


def read(sent: Sent) -> None:
    """How it went in a sentence, the rows that have no answer and why, and the answers."""
    server, run = sent.server, sent.run
    outcomes = iter(run.outcomes)
    pairs = [(row, None if row.features is None else next(outcomes)) for row in sent.table.rows]
    answered = [(row, outcome) for row, outcome in pairs if isinstance(outcome, Prediction)]
    faults = [(row.line, why(outcome)) for row, outcome in pairs if isinstance(outcome, client.Failure)]
    faults = sorted(faults + [(row.line, row.fault) for row in sent.table.rows if row.fault])
    st.header(f"{len(answered):,} of {len(pairs):,} rows predicted", anchor=False)
    requests = "1 request" if run.requests == 1 else f"{run.requests:,} requests"
    st.caption(f"{server.mark} {server.name} answered {requests} in {run.milliseconds:,.1f} ms altogether.")
    if not run.whole:
        st.caption(f"This {server.name} has no POST {client.BATCH}: the rows were sent one by one.")
    if sent.table.unused:
        st.caption(f"Columns that are no features, and were not sent: {plain(', '.join(sent.table.unused))}.")
    if run.failure:
        show(run.failure)
    if faults:
        missing(server, run, faults)
    if answered:
        answers(sent.card, answered)


def why(failure: client.Failure) -> str:
    """What the server said about a row, without its number in the batch: it is shown at its line."""
    detail = failure.exchange.detail if failure.exchange else ""
    return re.sub(r" in row \d+\b", "", detail) or failure.sentence


def missing(server: Server, run: batch.Run, faults: list[tuple[int, str]]) -> None:
    """The lines that have no answer, each with its reason."""
    st.header("Lines to put right", anchor=False)
    frame = pd.DataFrame(
        [(line, plain(fault)) for line, fault in faults[:50]], columns=["line", "what is wrong there"]
    )
    st.table(frame, hide_index=True, border="horizontal", alt="The lines without an answer, and why")
    if len(faults) > 50:
        st.caption(f"And {len(faults) - 50:,} lines more.")
    if run.refused and run.whole:
        st.caption(
            f"{server.name} takes a batch whole or not at all, and names the first row, from 0, that it "
            "refuses. This page left that row out and sent the others again."
        )


def answers(card: Card, answered: list[tuple[rows.Row, Prediction]]) -> None:
    """A table of all answers, to look through and to download."""
    table = {
        "line": [row.line for row, _ in answered],
        shown(card.target or "prediction"): [shown(prediction.label) for _, prediction in answered],
    }
    if answered[0][1].probabilities:
        table["probability"] = [prediction.chance for _, prediction in answered]
    frame = pd.DataFrame(table)
    st.dataframe(frame, hide_index=True, height="auto" if len(frame) <= 10 else 390)
    st.download_button(
        "Download as CSV",
        frame.to_csv(index=False).encode("utf-8-sig"),
        "predictions.csv",
        "text/csv",
        icon=":material/download:",
    )


def examples(card: Card) -> list[tuple[float, ...]]:
    """A few rows to begin with."""
    return [preset.features for preset in card.presets] or [tuple(card.medians)]


main()
