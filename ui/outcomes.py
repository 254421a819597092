"""Rows that were sent in requests of this page's own, and what became of each."""

import re
from dataclasses import dataclass, field

import pandas as pd
import streamlit as st

from ui import batch, client, page, rows
from ui.card import Card
from ui.notices import link, plain, show
from ui.prediction import Prediction, shown
from ui.servers import Server

MOST_LINES = 50  # shown of those without an answer
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
