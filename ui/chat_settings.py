"""The settings of a chat, each with what it does, kept from page to page."""

import streamlit as st

from ui.chat import Settings

NUMBERS = {  # of Settings: the least, the most, the step, and what it does
    "max_tokens": (
        (1, None, 50),
        "The answer ends after so many tokens, whole or not. A token is a word or a part of one; of the tiny "
        "model, it is a character.",
    ),
    "temperature": (
        (0.0, 2.0, 0.1),
        "0 takes the likeliest next token each time. The higher, the more often an unlikely one is drawn.",
    ),
    "top_p": (
        (0.0, 1.0, 0.05),
        "Draws only from the likeliest tokens that together have this share of the probability. 1: from all.",
    ),
    "repetition_penalty": (
        (0.1, 2.0, 0.05),
        "Above 1, what was said a moment ago becomes less likely. At 1 a small model soon goes round in "
        "circles; at 1.3 it lacks the words it needs.",
    ),
}


def enter(disabled: bool) -> Settings:
    """Fields for all of them. `disabled` while something is being answered with them."""
    start, given = Settings(), {}
    system = st.text_area(
        "System prompt",
        start.system,
        height=80,
        placeholder="You answer in one sentence.",
        key="chat system",
        persist_state="session",
        disabled=disabled,
    )
    st.caption(
        "Goes before the chat with every prompt, and tells the model how to answer. Its tokens count too."
    )
    with st.container(key="settings"):
        for name, ((least, most, step), what) in NUMBERS.items():
            with st.container(gap="xxsmall"):
                given[name] = st.number_input(
                    name,
                    least,
                    most,
                    getattr(start, name),
                    step,
                    key=f"chat {name}",
                    persist_state="session",
                    disabled=disabled,
                )
                st.caption(what)
        with st.container(gap="xxsmall"):
            seed = st.number_input(
                "seed",
                0,
                2**31 - 1,
                None,
                1,
                key="chat seed",
                persist_state="session",
                placeholder="none",
                disabled=disabled,
            )
            st.caption(
                "With the same number, prompt and settings the same answer comes again, on the same machine. "
                "Empty: another one each time."
            )
        with st.container(gap="xxsmall"):
            stop = st.text_area(
                "stop", height=68, key="chat stop", persist_state="session", disabled=disabled
            )
            st.caption(
                "The answer ends before any of these texts: one a line, at most four. Texts, and no patterns."
            )
    stops = tuple(line for line in (stop or "").splitlines() if line)
    return Settings(system or "", **given, seed=seed, stop=stops)


def in_short(settings: Settings) -> str:
    """For the line that is there when the fields are not."""
    parts = [f"at most {settings.max_tokens:,} tokens", f"temperature {settings.temperature:.2g}"]
    parts += ["a system prompt"] if settings.system.strip() else []
    parts += [f"seed {settings.seed}"] if settings.seed is not None else []
    return ", ".join(parts)
