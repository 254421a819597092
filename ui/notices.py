"""What the page says when something is not as it should be; and text from elsewhere, made safe to show."""

import re

import streamlit as st

from ui.client import Exchange, Failure


def plain(text: str) -> str:
    """Text from a server, so that Streamlit shows it as it is and not as Markdown.

    Only what would be Markdown gets a backslash: a screen reader is given a field's label with it.
    """
    line = " ".join(text.split())
    return re.sub(r"[\\`*\[\]$~|<>&]|:(?=\S)|(?<!\w)_|_(?!\w)|^[#+\-=]|^\d+(?=[.)]\s)", _escaped, line)


def _escaped(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"


def show(failure: Failure) -> None:
    """One sentence, one remedy, and what to type where there is something."""
    st.warning(f"**{plain(failure.sentence)}**  \n{plain(failure.remedy)}", icon=":material/error:")
    shells = ("macOS, Linux:", "PowerShell:") if len(failure.commands) > 1 else ("",)
    for shell, command in zip(shells, failure.commands, strict=False):
        if shell:
            st.caption(shell)
        st.code(command, language=None, wrap_lines=True)


def request_text(exchange: Exchange) -> str:
    """The request as it went over the wire, headers that matter only."""
    shown = ("host", "content-type", "content-length")
    sent = {name.lower(): value for name, value in exchange.sent_headers.items()}
    path = "/" + exchange.url.split("://", 1)[-1].partition("/")[2]
    lines = [
        f"{exchange.method} {path} HTTP/1.1",
        *(f"{name}: {sent[name]}" for name in shown if name in sent),
    ]
    return "\n".join([*lines, "", exchange.sent]).rstrip()


def response_text(exchange: Exchange) -> str:
    """The answer as it came, at most its first 20,000 characters."""
    lines = [f"HTTP/1.1 {exchange.status}", *(f"{name}: {value}" for name, value in exchange.headers.items())]
    return "\n".join([*lines, "", exchange.text[:20_000]]).rstrip()
