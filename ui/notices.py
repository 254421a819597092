"""What the page says when something is not as it should be; and text from elsewhere, made safe to show."""

import re

import streamlit as st

from ui.answers import Exchange, Failure, Problem


def plain(text: str) -> str:
    """Text from a server, so that Streamlit shows it as it is and not as Markdown.

    Only what would be Markdown gets a backslash: a screen reader is given a field's label with it.
    """
    line = " ".join(text.split())
    return re.sub(r"[\\`*\[\]$~|<>&]|:(?=\S)|(?<!\w)_|_(?!\w)|^[#+\-=]|^\d+(?=[.)]\s)", _escaped, line)


def _escaped(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"


def show(failure: Failure) -> None:
    """One sentence, one remedy, where to read more, and what to type where there is something."""
    lines = [f"**{plain(failure.sentence)}**", plain(failure.remedy)]
    if failure.problem:
        lines += more(failure.problem, said=failure.sentence)
    st.warning("  \n".join(lines), icon=":material/error:")
    shells = ("macOS, Linux:", "PowerShell:") if len(failure.commands) > 1 else ("",)
    for shell, command in zip(shells, failure.commands, strict=False):
        if shell:
            st.caption(shell)
        st.code(command, language=None, wrap_lines=True)


def more(problem: Problem, said: str = "") -> list[str]:
    """What the server calls the problem, linked to its page on it, its detail if that was not `said` yet,
    and the id to give to its operator."""
    title = f"{problem.status} {plain(problem.title)}"
    title = f"[{title}]({problem.page})" if problem.page else title
    detail = plain(problem.detail)
    lines = [title if not detail or problem.detail in said else f"{title}: {detail}"]
    if problem.request_id:
        lines.append(f"Request id, for the server's operator: {plain(problem.request_id)}")
    return lines


def request_text(exchange: Exchange) -> str:
    """The request as it went over the wire, headers that matter only."""
    shown = ("host", "content-type", "content-length", "x-request-id")
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
