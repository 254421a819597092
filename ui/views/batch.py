"""Batch: many rows to one server, from text or a CSV file, and what became of each."""

import re
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from ui import batch, client, page, rows
from ui.card import Card
from ui.choice import about, choose
from ui.notices import link, plain, show
from ui.prediction import Prediction, shown
from ui.servers import Server, servers
from ui.snippets import show_snippets

MOST_LINES = 50  # shown of those without an answer
MOST_IN_CODE = 5  # rows in the call that can be copied
STOPPED = (
    f"This page stops after {batch.MOST_REFUSED} refused rows: it is the table that needs a look. "
    "Put right what is named below, and send it again."
)


@dataclass(frozen=True)
class Sent:
    """The last rows that were sent, and what became of them."""

    server: Server
    card: Card
    table: rows.Table
    run: batch.Run
    name: str = field(default_factory=page.new_answer)


def main() -> None:
    page.begin(
        "Batch",
        "Send many rows to a server at once, and read what it answers to each.",
        {8: " has what many rows in one request are good for"},
    )
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
    if sent is not None and (sent.server, sent.card.key) != (server, card.key):
        sent = None
    if sent:
        with st.container(key="panel-answer"), page.answer(sent.name, [], []):
            read(sent)
    with st.container(key="panel-call"):
        st.header("The same call, from elsewhere", anchor=False)
        call(server, card, sent)


def call(server: Server, card: Card, sent: Sent | None) -> None:
    """With the rows that were sent last, or else with the first examples."""
    given = [row.features for row in sent.table.rows if row.features] if sent else examples(card)[:2]
    if sent and len(given) > MOST_IN_CODE:
        st.caption(f"With the first {MOST_IN_CODE} of the {len(given):,} rows that were sent.")
    show_snippets(server, client.BATCH, {"instances": [list(row) for row in given[:MOST_IN_CODE]]})


def enter(server: Server, card: Card) -> None:
    """The rows as text or as a file, sent at the press of a button."""
    names = ", ".join(shown(feature.name) for feature in card.features[:12])
    more = f" and {len(card.features) - 12} more" if len(card.features) > 12 else ""
    st.caption(
        "One row a line, its numbers separated by commas. The first line may name the columns, in any order; "
        f"without names they are: {plain(names)}{more}. At most {rows.MOST:,} rows."
    )
    typed, file = st.tabs(["Typed or pasted", "A CSV file"])
    with typed, st.form("typed", border=False):
        key, kept = f"rows:{card.key}", st.session_state.setdefault("typed rows", {})
        if key not in st.session_state:  # Streamlit forgets a field when its page is left
            st.session_state[key] = kept.get(key) or rows.write_rows(card, examples(card))
        kept[key] = text = st.text_area("Rows as CSV", height=180, key=key)
        if st.form_submit_button("Predict all", type="primary", icon=":material/send:"):
            send(server, card, text)
    with file:
        upload = st.file_uploader("CSV file", type=["csv", "txt"], key=f"file:{card.key}")
        label, icon = "Predict the file", ":material/send:"
        if st.button(label, type="primary", icon=icon, disabled=upload is None):
            send(server, card, upload.getvalue())


def send(server: Server, card: Card, content: str | bytes) -> None:
    """Read the rows, send those that can be sent, and show how far it is."""
    st.session_state.pop("batch", None)
    try:
        table = rows.read_rows(rows.decode(content) if isinstance(content, bytes) else content, card)
    except ValueError as error:
        st.warning(f"**Nothing was sent.**  \n{plain(str(error))}", icon=":material/error:")
        return
    features = [row.features for row in table.rows if row.features is not None]
    run, bar = batch.Run([]), st.progress(0.0, text="Sending")
    for run in batch.run(server, features, card):
        settled = run.predicted + run.refused
        bar.progress(settled / len(features), text=f"{settled:,} of {len(features):,} rows")
    bar.empty()
    st.session_state["batch"] = Sent(server, card, table, run)


def read(sent: Sent) -> None:
    """How it went in a sentence, the rows that have no answer and why, and the answers."""
    server, run = sent.server, sent.run
    outcomes = iter(run.outcomes)
    pairs = [(row, None if row.features is None else next(outcomes)) for row in sent.table.rows]
    answered = [(row, outcome) for row, outcome in pairs if isinstance(outcome, Prediction)]
    refused = [(row, outcome) for row, outcome in pairs if isinstance(outcome, client.Failure)]
    st.header(f"{len(answered):,} of {len(pairs):,} rows predicted", anchor=False)
    if run.requests:
        requests = "1 request" if run.requests == 1 else f"{run.requests:,} requests"
        st.caption(
            f"{server.mark} {server.name} answered {requests} in {run.milliseconds:,.1f} ms altogether."
        )
    if not run.whole:
        st.caption(f"This {server.name} has no POST {client.BATCH}: the rows were sent one by one.")
    if sent.table.unused:
        st.caption(f"Columns that are no features, and were not sent: {plain(', '.join(sent.table.unused))}.")
    if run.failure:
        show(run.failure)
    if run.left:
        why = "" if run.failure else STOPPED
        st.warning(f"**{run.left:,} rows were not answered.** {why}", icon=":material/error:")
    faults = [(row.line, row.fault) for row in sent.table.rows if row.fault]
    faults += [(row.line, reason(failure)) for row, failure in refused]
    if faults:
        missing(sorted(faults))
    if refused:
        st.caption(refusals(server, run, [failure for _, failure in refused]))
    if answered:
        answers(sent.card, answered)


def reason(failure: client.Failure) -> str:
    """What the server said about a row, without its number in the batch: it is shown at its line."""
    detail = failure.exchange.detail if failure.exchange else ""
    return re.sub(r" in row \d+\b", "", detail) or failure.sentence


def refusals(server: Server, run: batch.Run, failures: list[client.Failure]) -> str:
    """How the server refuses rows, and where it explains its problems."""
    problems = {failure.problem.slug: failure.problem for failure in failures if failure.problem}
    links = [link(problem) for problem in problems.values() if problem.page]
    said = [f"What {server.name} calls it: {', '.join(links)}."] if links else []
    if run.whole:
        said.append(
            f"{server.name} takes a batch whole or not at all, and names the first row that it refuses. "
            "This page left that row out and sent the others again."
        )
    return " ".join(said)


def missing(faults: list[tuple[int, str]]) -> None:
    """The lines that have no answer, each with its reason."""
    st.header("Lines to put right", anchor=False)
    frame = pd.DataFrame(
        [(line, plain(fault)) for line, fault in faults[:MOST_LINES]], columns=["line", "what is wrong there"]
    )
    st.table(frame, hide_index=True, border="horizontal", alt="The lines without an answer, and why")
    if len(faults) > MOST_LINES:
        st.caption(f"And {len(faults) - MOST_LINES:,} lines more.")


def answers(card: Card, answered: list[tuple[rows.Row, Prediction]]) -> None:
    """A table of all answers beside what was sent, to look through and to download."""
    st.header("Answers", anchor=False)
    names, columns = (
        ["line", "prediction"],
        [
            [row.line for row, _ in answered],
            [shown(prediction.label) for _, prediction in answered],
        ],
    )
    if any(prediction.probabilities for _, prediction in answered):
        names.append("probability")
        columns.append([prediction.chance for _, prediction in answered])
    for feature, values in zip(
        card.features, zip(*(row.features for row, _ in answered), strict=True), strict=True
    ):
        names.append(shown(feature.name))
        while names[-1] in names[:-1]:
            names[-1] += " (feature)"
        columns.append(values)
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)))
    st.dataframe(
        frame,
        hide_index=True,
        height="auto" if len(frame) <= 10 else 390,
        column_config={"line": st.column_config.NumberColumn(width="small", format="%d")},
    )
    st.download_button(
        "Download the answers",
        frame.to_csv(index=False).encode("utf-8-sig"),
        "predictions.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",  # the page has nothing to do anew: it would take back a tab chosen meanwhile
    )


def examples(card: Card) -> list[tuple[float, ...]]:
    """A few rows to begin with."""
    return [preset.features for preset in card.presets] or [tuple(card.medians)]


main()
