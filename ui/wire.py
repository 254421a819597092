"""A request and its answer as they went over the wire: laid out for reading, or byte for byte."""

import streamlit as st

from ui.client import Exchange
from ui.indented import difference, indented

MOST = 20_000  # characters of a body
SENT = (  # the headers that matter
    "host",
    "content-type",
    "content-length",
    "x-request-id",
    "authorization",
    "x-api-key",
)


def raw_switch(key: str) -> bool:
    """Whether to show what was sent as it was sent. For all that this page shows with the same key."""
    return st.toggle("Raw", key=f"raw {key}", help="The bytes as they were sent, without indentation.")


def request(exchange: Exchange, raw: bool) -> None:
    sent = {name.lower(): value for name, value in exchange.sent_headers.items()}
    head = [f"{exchange.method} {exchange.path} HTTP/1.1"]
    head += [f"{name}: {sent[name]}" for name in SENT if name in sent]
    _code(head, exchange.sent, raw)


def response(exchange: Exchange, raw: bool) -> None:
    head = [f"HTTP/1.1 {exchange.status}", *(f"{name}: {value}" for name, value in exchange.headers.items())]
    _code(head, exchange.text, raw)


def body(exchange: Exchange, raw: bool) -> None:
    _code([], exchange.text, raw)


def compared(one: Exchange, other: Exchange) -> None:
    """The bodies of two answers line by line, and what differs marked."""
    lines = difference(*(indented(exchange.text) or exchange.text for exchange in (one, other)))[:1000]
    if any(line.startswith(("- ", "+ ")) for line in lines):
        st.caption(
            f"Line by line: − is only in {one.server.name}'s answer, + only in {other.server.name}'s; "
            "what has no mark is in both."
        )
        st.code("\n".join(lines)[:MOST], language="diff", wrap_lines=True)
    else:
        st.caption(f"Line by line, the two bodies are the same: {len(lines)} lines, and none differs.")


def _code(head: list[str], content: str, raw: bool) -> None:
    pretty = None if raw else indented(content)
    shown = (pretty or content)[:MOST]
    language = "json" if pretty and not head else None
    lines = [*head, *([""] if head and content else []), shown]
    st.code("\n".join(lines).rstrip() or "(empty)", language=language, wrap_lines=not raw)
    if len(pretty or content) > MOST:
        st.caption(f"These are the first {MOST:,} of {len(pretty or content):,} characters.")
