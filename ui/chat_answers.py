"""The turns of a chat, drawn: a prompt and the answer to it, or two side by side."""

import time

import pandas as pd
import streamlit as st

from ui import chat_figures, page
from ui.chat import Reply, Turn
from ui.notices import plain, plain_lines, show


def draw(turn: Turn) -> None:
    """With the browser scrolled to it, when it is new."""
    key = f"turn-{turn.name}"
    with st.container(key=key):
        page.scroll_to(key)
        with st.chat_message("user", avatar=":material/person:"):
            st.markdown(plain_lines(turn.prompt))
        table = len(turn.replies) > 1 and all(reply.ended and reply.text for reply in turn.replies)
        columns = st.columns(len(turn.replies), gap="medium")
        for column, reply in zip(columns, turn.replies, strict=True):
            with (
                column,
                st.container(key=f"panel-reply-{turn.name}-{reply.server.name.lower()}", height="stretch"),
            ):
                answer(reply)
                if not table and (found := chat_figures.figures(reply)):
                    st.caption(" · ".join(f"{name}: {value}" for name, value in found.items()))
        if table:
            compare(turn)


def answer(reply: Reply) -> None:
    server = reply.server
    model = f" · {plain(reply.model)}" if reply.model else ""
    st.header(f"{server.mark} {server.name}{model}", anchor=False)
    if reply.text:
        st.markdown(plain_lines(reply.text) + ("" if reply.ended else " ▌"))
    elif not reply.ended:
        waited = time.perf_counter() - reply.asked if reply.asked else 0.0
        st.caption(f"Waiting for the first token, for {waited:.0f} s.")
    elif not reply.failure and not reply.stopped:
        st.caption("The answer is empty.")
    if reply.failure:
        show(reply.failure)
        if reply.text:
            st.caption("It is not whole: what stands above is what had come by then.")
    if ended := chat_figures.how_it_ended(reply):
        st.caption(ended)
    for sentence in chat_figures.filters(reply):
        st.markdown(f":material/filter_alt: {sentence}")


def compare(turn: Turn) -> None:
    """Both answers' figures in a table, and whether they are the same."""
    one, other = turn.replies
    with st.container(key=f"panel-both-{turn.name}"):
        st.header("Side by side", anchor=False)
        if one.text == other.text:
            st.markdown("Both answered alike, character for character.")
        elif all(reply.finish_reason for reply in turn.replies):
            st.markdown(
                "They differ, as two answers of one server would. In a new chat, with a seed or at "
                "temperature 0, they should not."
            )
        columns = {
            f"{reply.server.mark} {reply.server.name}": chat_figures.figures(reply) for reply in turn.replies
        }
        frame = pd.DataFrame(columns).fillna("").rename_axis("figure").reset_index()
        st.table(frame, hide_index=True, border="horizontal", alt="What both answers took")
        st.caption(
            "They were computed at the same time, on one machine: each is slower than it would be alone."
        )
