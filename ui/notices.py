"""What the page says when something is not as it should be; and text from elsewhere, made safe to show."""

import re

import streamlit as st

from ui import book
from ui.answers import Failure, Problem


def plain(text: str) -> str:
    """Text from a server, so that Streamlit shows it as it is and not as Markdown.

    Only what would be Markdown gets a backslash: a screen reader is given a field's label with it.
    """
    line = " ".join(text.split())
    return re.sub(r"[\\`*\[\]$~|<>&]|:(?=\S)|(?<!\w)_|_(?!\w)|^[#+\-=]|^\d+(?=[.)]\s)", _escaped, line)


def plain_lines(text: str) -> str:
    """The same for a text of several lines, which stay apart."""
    return "  \n".join(plain(line) or "&nbsp;" for line in text.splitlines())


def _escaped(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"


def show(failure: Failure, access_page: bool = True) -> None:
    """One sentence, one remedy, where to read more, and what to type where there is something; for who may
    not, a link to Access unless this is it."""
    lines = [f"**{plain(failure.sentence)}**", plain(failure.remedy)]
    if failure.problem:
        lines += more(failure.problem, said=failure.sentence)
    elif book.troubleshooting():
        lines.append(f"[More on what can go wrong]({book.troubleshooting()})")
    st.warning("  \n".join(lines), icon=":material/error:")
    if access_page and failure.problem and failure.problem.slug in ("unauthorized", "forbidden"):
        st.page_link("views/access.py", label="To the page Access", icon=":material/login:")
    shells = ("macOS, Linux:", "PowerShell:") if len(failure.commands) > 1 else ("",)
    for shell, command in zip(shells, failure.commands, strict=False):
        if shell:
            st.caption(shell)
        st.code(command, language=None, wrap_lines=True)


def more(problem: Problem, said: str = "") -> list[str]:
    """What the server calls the problem, linked to what explains it, its detail if that was not `said` yet,
    and the id to give to its operator."""
    title = link(problem)
    detail = plain(problem.detail)
    lines = [title if not detail or problem.detail in said else f"{title}: {detail}"]
    if problem.request_id:
        lines.append(f"Request id, for the server's operator: {plain(problem.request_id)}")
    return lines


def link(problem: Problem) -> str:
    """Its status and title, linked to the book's page on it, or else to the server's own, if there is one."""
    title = f"{problem.status} {plain(problem.title)}"
    page = problem.page and (book.problem(problem.slug) or problem.page)
    return f"[{title}]({page})" if page else title
