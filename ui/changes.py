"""Buttons that have a server change something: asked before where it matters, done once, told in place."""

from secrets import token_hex

import streamlit as st

from ui import sign_in, visit
from ui.answers import Failure
from ui.notices import show
from ui.registry import Change
from ui.servers import Server
from ui.telling import Telling

EVERY = 1.0  # seconds, between two looks at what a server is doing as it was told


def told_here(place: str) -> bool:
    """Whether a server is doing what it was told. If it was told at this place of the page, that stands here,
    or what came of it."""
    telling = visit.current().telling
    busy = telling is not None and telling.is_alive()
    if telling and telling.place == place:
        if busy:
            wait(telling)
        else:
            outcome(telling)
    return busy


def button(
    server: Server,
    place: str,
    busy: bool,
    label: str,
    done: str,
    what: Change,
    *,
    icon: str,
    asks: str = "",
    disabled=False,
) -> None:
    """Does it; or, where there is something to ask before, asks."""
    told = (place, label, done, what)
    st.button(
        label,
        icon=f":material/{icon}:",
        disabled=busy or disabled,
        on_click=ask_before if asks else do,
        args=(asks, told) if asks else (server, told),
    )


def ask_before(asks: str, told: tuple[str, str, str, Change]) -> None:
    st.session_state["question"] = (token_hex(4), asks, told)


def question(server: Server) -> None:
    if "question" not in st.session_state:
        return
    token, asks, told = st.session_state["question"]
    st.warning(asks, icon=":material/warning:")
    with st.container(horizontal=True):
        st.button("Do it", type="primary", key=f"do {token}", on_click=answer, args=(server, token))
        st.button("Leave it", key=f"leave {token}", on_click=leave, args=(token,))


def answer(server: Server, token: str) -> None:
    """Yes, to this question: a second click finds none, or another question, which stays."""
    if is_asked(token):
        do(server, st.session_state["question"][2])


def leave(token: str) -> None:
    """No, to this question alone."""
    if is_asked(token):
        del st.session_state["question"]


def is_asked(token: str) -> bool:
    return st.session_state.get("question", ("",))[0] == token


def do(server: Server, told: tuple[str, str, str, Change]) -> None:
    here = visit.current()
    if here.telling is not None and here.telling.is_alive():
        return
    st.session_state.pop("question", None)
    here.telling = Telling(server, *told, sign_in.current())
    here.telling.start()


@st.fragment(run_every=EVERY)
def wait(telling: Telling) -> None:
    if not telling.is_alive():
        st.rerun()
    st.info(
        f"**{telling.doing}** at {telling.server.name}, for {telling.seconds:.0f} seconds. It goes on if "
        "this page is left or loaded anew; the first takes longest.",
        icon=":material/hourglass_empty:",
    )


def outcome(telling: Telling) -> None:
    """Of what a server was told last."""
    if isinstance(telling.outcome, Failure):
        show(telling.outcome)
    else:
        st.success(f"**{telling.done}**", icon=":material/check_circle:")
