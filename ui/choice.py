"""Which of the two servers is asked, kept from page to page."""

import streamlit as st

from ui.card import Card
from ui.notices import plain
from ui.servers import Server


def choose(pair: tuple[Server, Server]) -> tuple[Server, Server]:
    """The server that is asked, and the other one."""
    by_name = {server.name: server for server in pair}
    chosen = st.segmented_control(
        "Server",
        list(by_name),
        default=pair[0].name,
        required=True,
        format_func=lambda name: f"{by_name[name].mark} {name}",
        key="chosen server",
        persist_state="session",
    )
    server = by_name.pop(chosen)
    return server, *by_name.values()


def about(card: Card) -> None:
    """Which model this is, in a line."""
    version = f"version {plain(card.version)}" if card.version else ""
    parts = [plain(card.title) or plain(card.name), plain(card.algorithm), version]
    st.caption(" · ".join(part for part in parts if part))
