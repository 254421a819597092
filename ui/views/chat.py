"""Chat: prompts to the language model of one server, or of both side by side, answered as a stream."""

import streamlit as st

from ui import chat_answers, chat_figures, chat_settings, language_model, page, sign_in, visit
from ui.answering import Answering
from ui.answers import Failure
from ui.chat import Chat, Settings
from ui.notices import plain, show
from ui.servers import Server, servers
from ui.snippets import show_snippets

EVERY = 0.2  # seconds, between two looks at what has come
BOTH = "Both"
SECONDS = 120  # in which an answer comes, in the call that can be copied
FIRST = "Say hello in one sentence."


def main() -> None:
    page.begin(
        "Chat",
        "Write to a language model, and watch its answer come token by token.",
        {13: " has how an answer is streamed", 14: " what the filters do, and the cost"},
    )
    here = visit.current()
    busy = here.answering is not None and here.answering.is_alive()
    asked = choose(servers(), busy)
    failures = [failure for server in asked if (failure := about(server, here.chat))]
    for failure in failures:
        show(failure)
    if len(failures) == len(asked) and not here.chat.turns:
        st.button("Try again", icon=":material/refresh:")
        return
    if spent := chat_figures.spent(here.chat.spent):
        st.caption(spent)
    with st.container(gap="xsmall"):
        with st.expander("Settings", key="chat settings"):
            settings = chat_settings.enter(busy)
        with st.expander("The same call, from elsewhere"):
            call(here.chat, asked[0], settings)
    prompt = st.chat_input("Your prompt", key="prompt", disabled=busy)
    for turn in here.chat.turns[: -1 if busy else None]:
        chat_answers.draw(turn)
    if busy:
        follow(here.answering)
    elif prompt and prompt.strip():
        start(here, prompt, settings, asked)
    elif here.chat.turns:
        after(here, settings, asked)
    else:
        st.caption(
            "Nothing asked yet. Write a prompt below, and press Enter; Shift and Enter begin a new line. "
            "Filters read each prompt before the model does, and each answer before it leaves the server: "
            "what they did is told below the answer."
        )


def choose(pair: tuple[Server, Server], busy: bool) -> list[Server]:
    """The servers that the next prompt goes to."""
    by_name = {server.name: [server] for server in pair} | {BOTH: list(pair)}
    chosen = st.segmented_control(
        "Server",
        list(by_name),
        default=pair[0].name,
        required=True,
        format_func=lambda name: " ".join([*(server.mark for server in by_name[name]), name]),
        key="chat with",
        persist_state="session",
        disabled=busy,
    )
    return by_name[chosen]


def about(server: Server, chat: Chat) -> Failure | None:
    """Which language model it has, and what it has counted today. What is known is not asked for again: each
    question counts against a limit."""
    key = server.url, sign_in.current().means(server)
    names, used = (st.session_state.setdefault(name, {}) for name in ("language models", "used today"))
    if key not in names:
        found = language_model.name(server)
        if isinstance(found, Failure):
            return found
        names[key] = found
    if key not in used or used[key][0] != chat.spent.answers:
        used[key] = chat.spent.answers, language_model.used_today(server)
    counted = used[key][1]
    if isinstance(counted, Failure):
        show(counted)
        said = ""
    else:
        whose = "your tenant" if key[1] else "all who use it"
        said = f" · today, for {whose}: {chat_figures.used_today(counted)}"
    st.caption(f"{server.mark} {server.name}: {plain(names[key])}{said}")
    return None


def call(chat: Chat, server: Server, settings: Settings) -> None:
    """With the last prompt, or a first one, and the settings as they are now."""
    prompt = chat.turns[-1].prompt if chat.turns else FIRST
    st.caption('With `"stream": true` in the body the answer comes as server-sent events, as on this page.')
    body = settings.body([{"role": "user", "content": prompt}])
    show_snippets(server, language_model.CHAT, body, seconds=SECONDS)


def start(here: visit.Visit, prompt: str, settings: Settings, asked: list[Server]) -> None:
    """Have a prompt answered. The page is drawn anew, with its fields at rest until the answer has come."""
    chat, signed = here.chat, sign_in.current()
    turn, bodies = chat.begin(prompt, settings, asked)
    credentials = [signed.credential(server, SECONDS) for server in asked]
    here.answering = Answering(turn, bodies, credentials, chat.spent)
    here.answering.start()
    st.rerun()


@st.fragment(run_every=EVERY)
def follow(answering: Answering) -> None:
    """What has come by now. Only this part of the page is drawn again, until the answer has ended."""
    if not answering.is_alive():
        st.rerun()
    answering.seen()
    chat_answers.draw(answering.turn)
    st.button("Stop", icon=":material/stop:", shortcut="Esc", on_click=answering.stop, key="stop-answer")


def after(here: visit.Visit, settings: Settings, asked: list[Server]) -> None:
    turns = here.chat.turns
    with st.container(horizontal=True, key="after"):
        again = st.button(
            "Send it again",
            icon=":material/refresh:",
            help="The last prompt, with the settings as they are now.",
        )
        st.button("New chat", icon=":material/add:", on_click=turns.clear)
    if again:
        prompt = turns.pop().prompt
        start(here, prompt, settings, asked)
    page.write_next(f"turn-{turns[-1].name}")


main()
