"""What all pages have: how they begin, an answer that knows whether it is still the answer, and the little
that only a browser can do."""

from pathlib import Path
from secrets import token_hex

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ui import book

SCRIPT = (Path(__file__).resolve().parent / "page.js").read_text(encoding="utf-8")


def begin(title: str, what: str, lessons: dict[int, str]) -> None:
    """The title, what can be done here, and the lessons that explain it, each with what it has to say."""
    st.title(title, anchor=False)
    st.markdown(what)
    if lessons:
        st.caption(" ".join(f"{book.lesson(number)}{says}." for number, says in lessons.items()))


def prepare() -> None:
    """What page.js does: an answer is marked when what was entered changes, and scrolled to when it is new.
    It comes before a page's fields: who is quick types before a page is drawn to its end."""
    in_browser(SCRIPT)


def end() -> None:
    """The book, where there is one."""
    if book.address():
        st.caption(f"[The book of Servelab]({book.address()}) has the lessons, and everything else.")


def new_answer() -> str:
    """The name of an answer that has just come. Streamlit gives it to the part of the page that shows it."""
    return token_hex(4)


def answer(name: str, now: list[float], then: list[float]) -> DeltaGenerator:
    """A place for an answer that `new_answer` named, to which the browser scrolls when it is new; what it
    says is marked where it is the answer to other values than those that are entered `now`."""
    place = st.container(key=f"answer-{name}")
    if now != then:
        place.caption(":material/history: **This answers the earlier values.** Send it again for these.")
    with place:
        scroll_to(f"answer-{name}")
    return place


def scroll_to(key: str) -> None:
    """Have the browser scroll to a container of this key, the first time that it is told to; to be called in
    it, in every run: one that another run cuts short may never come to the browser."""
    in_browser(f"servelabShow('{key}')")


def write_next(name: str) -> None:
    """Have the browser put the cursor where prompts are written, once for each answer of a name."""
    in_browser(f"servelabWrite('{name}')")


def in_browser(script: str) -> None:
    """Run a script of ours, once. Never put into it what somebody else wrote."""
    st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)
