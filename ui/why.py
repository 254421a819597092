"""Why did the model answer so? What each feature did, asked of the server that answered."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ui import client, contributions
from ui.card import Card
from ui.client import Failure
from ui.explanation import Explanation
from ui.notices import plain, show
from ui.prediction import shown
from ui.servers import Server


def why(server: Server, card: Card, row: Sequence, answer: str) -> None:
    """A button that asks, and what came of it. `answer` is the name of the answer that it stands beside."""
    if st.button("Why?", icon=":material/help:", key=f"why:{answer}"):
        with st.spinner("Trying other values …"):
            st.session_state["why"] = answer, client.explain(server, row, card)
    asked, found = st.session_state.get("why", (None, None))
    if asked != answer:
        return
    if isinstance(found, Failure):
        show(found)
    else:
        read(found)


def read(explanation: Explanation) -> None:
    points = ", in percentage points" if explanation.is_chance else ""
    st.markdown(f"**What each value did**: {plain(shown(explanation.explained))}{points}")
    st.altair_chart(
        contributions.bars(explanation),
        width="stretch",
        alt="Bars to the right for what raised it, to the left for what lowered it; in figures below.",
    )
    st.markdown(sentence(explanation))
    notes = [
        "Thin lines: the standard error. This is what the model does with these values, and not what causes "
        "what; each value is varied as if it had nothing to do with the others."
    ]
    if not explanation.complete:
        notes.insert(0, "Time ran out (EXPLAIN_SECONDS), so these figures are rough.")
    st.caption(" ".join(notes))
    with st.expander("As a table"):
        rows = [
            (plain(part.name), explanation.signed(part.contribution), f"± {explanation.change(part.error)}")
            for part in explanation.parts
        ]
        frame = pd.DataFrame(rows, columns=["value", "contribution", "standard error"])
        st.table(frame, hide_index=True, border="horizontal", alt="What each value did")


def sentence(explanation: Explanation) -> str:
    """What the picture shows, in Markdown."""
    moved, before = [], ""
    for part in explanation.told:
        verb = "lowers it" if part.contribution < 0 else "raises it"
        change = plain(explanation.change(part.contribution))
        moved.append(f"{plain(part.name)} {'' if verb == before else f'{verb} '}by {change}")
        before = verb
    most = f"Most of all, {', '.join(moved)}." if moved else "No value moves it by more than chance."
    return (
        f"**{most}** All together lead from {plain(explanation.level(explanation.baseline))}, the average "
        f"over the training, to {plain(explanation.level(explanation.answer))}."
    )
