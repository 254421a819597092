"""Was it right? Under an answer: to tell the server the truth, where it keeps a log of its predictions."""

import streamlit as st

from ui import monitoring
from ui.answers import Failure
from ui.card import Card
from ui.client import Exchange
from ui.monitoring import OFF
from ui.notices import plain, show
from ui.prediction import Prediction, shown

MOST_BUTTONS = 12


def ask(card: Card, prediction: Prediction, exchange: Exchange, name: str) -> None:
    """Below the answer of this name, once it is known that its server takes the truth."""
    request_id = exchange.body.get("request_id") if isinstance(exchange.body, dict) else None
    if not isinstance(request_id, str) or not (card.classes or prediction.value is not None):
        return
    taken = f"takes the truth {exchange.server.name}"
    if taken not in st.session_state:
        found = monitoring.quality(exchange.server, card.name, 1)
        if isinstance(found, Failure):
            return
        st.session_state[taken] = found != OFF
    if st.session_state[taken]:
        with st.container(key=f"truth-{name}"):
            tell(card, exchange, request_id, name)


def tell(card: Card, exchange: Exchange, request_id: str, name: str) -> None:
    if card.classes:
        label = "Was it right? Choose what it truly was"
        kind = st.segmented_control if len(card.classes) <= MOST_BUTTONS else st.selectbox
        options = {} if kind is st.segmented_control else {"index": None, "placeholder": "Choose a class"}
        truth = kind(
            label, card.classes, format_func=lambda one: plain(shown(one)), key=f"truth of {name}", **options
        )
    else:
        truth = st.number_input(
            "Was it right? Type what it truly was, and press Enter", value=None, key=f"truth of {name}"
        )
    if truth is None:
        return
    known = st.session_state.get("truth told", ())
    if known[:2] != (request_id, truth):
        known = (request_id, truth, monitoring.tell(exchange.server, request_id, truth))
        st.session_state["truth told"] = known
    said = known[2]
    if isinstance(said, Failure):
        show(said)
    elif isinstance(said, bool):
        st.caption(f"Noted: it was {'right' if said else 'wrong'}. Monitor counts it.")
    else:
        st.caption(f"Noted: it was {abs(said):.4g} too {'low' if said > 0 else 'high'}. Monitor counts it.")
