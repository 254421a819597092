"""Models: the versions that the registry has, which of them answers, and who gets a new one."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
import streamlit as st

from ui import history, page, registry, rollout, sign_in
from ui.answers import Failure
from ui.changes import button, question, told_here
from ui.choice import choose
from ui.notices import plain, show
from ui.registry import MODES, OFF, Version, Versions
from ui.servers import Server, servers

FOLLOW = "python kit.py up --follow"
TOLD_MODES = {"off": "Off", "canary": "Canary", "shadow": "Shadow"}
Found = Versions | str | Failure


def main() -> None:
    page.begin(
        "Models",
        "The versions that the registry has, which of them answers, and who gets a new one.",
        {10: " does all of it under load"},
    )
    pair = servers()
    found = ask(pair)
    states(pair, found)
    if not any(isinstance(one, Versions) for one in found.values()):
        return  # which the panels tell
    server, _ = choose(pair)
    one = found[server]
    if not isinstance(one, Versions):
        return
    st.caption("Servers of one machine share registry and store: what one of them is told, both do.")
    with st.container(key="panel-versions"):
        table(one)
    with st.container(key="panel-change"):
        change(server, one)
    if one.challenger or one.mode != "off":
        with st.container(key="panel-rollout"):
            challenge(server, one)
        with st.container(key="panel-side-by-side"):
            st.header("Side by side", anchor=False)
            watch_rollout(server, one)
    elif one.active:
        st.caption(
            "To try a version beside the one that answers, make it challenger. What it does is then said "
            "here."
        )


def ask(pair: tuple[Server, Server]) -> dict[Server, Found]:
    """Both at the same time, for this visitor."""
    signed = sign_in.current()

    def one(server: Server) -> Found:
        with sign_in.acting_for(signed):
            return registry.listed(server)

    with ThreadPoolExecutor(len(pair)) as pool:
        return dict(zip(pair, pool.map(one, pair), strict=True))


@st.fragment(run_every=history.EVERY)
def states(pair: tuple[Server, Server], listed: dict[Server, Found]) -> None:
    """What each server serves. Only this part is drawn again, until something else than that has changed."""
    found = ask(pair)
    if what_matters(found) != what_matters(listed):
        st.rerun()
    for column, (server, one) in zip(st.columns(2, gap="medium"), found.items(), strict=True):
        with column, st.container(key=f"panel-{server.name.lower()}", height="stretch"):
            state(server, one)


def what_matters(found: dict[Server, Found]) -> list:
    """What the rest of the page shows."""
    return [one if not isinstance(one, Failure) else one.sentence for one in found.values()]


def state(server: Server, one: Found) -> None:
    st.header(f"{server.mark} {server.name}", anchor=False)
    if isinstance(one, Failure):
        show(one)
        return
    if one == OFF:
        st.badge("Follows no registry", icon=":material/link_off:", color="gray")
        st.markdown(
            "It serves one model, from a file. To keep versions of it, try one beside another and go back, "
            "stop what runs and start:"
        )
        st.code(FOLLOW, language=None)
        return
    if one.pinned:
        st.badge(f"Pinned to version {one.pinned}", icon=":material/keep:", color="orange")
    elif one.following:
        st.badge(f"Follows {plain(one.following)}", icon=":material/sync:", color="green")
    else:
        st.badge("One version, by MODEL_URI", icon=":material/keep:", color="gray")
    facts = {
        "Model": one.name,
        "Answers": numbered(one, one.active) or "nothing yet: register a model, and make it champion",
        "Challenger": numbered(one, one.challenger) or "none",
        "Rollout": in_words(one),
        "Registry": "answers" if one.available else "away: what is in the store is served",
    }
    st.table(
        {"": {name: plain(value) for name, value in facts.items()}}, border="horizontal", hide_header=True
    )


def numbered(one: Versions, version: str) -> str:
    """For example "version 3 (4f0c…)"."""
    found = one.find(version)
    model = f" ({found.model_version})" if found and found.model_version else ""
    return f"version {version}{model}" if version else ""


def in_words(one: Versions) -> str:
    if one.mode == "canary":
        return f"canary: the challenger answers {one.percent} of 100 callers"
    if one.mode == "shadow":
        return "shadow: the challenger is asked too, and answers nobody"
    return "off: the active version answers everybody"


def table(one: Versions) -> None:
    st.header("Versions", anchor=False)
    if not one.versions:
        st.caption("There are none yet: register what was trained last.")
        return
    names = list(dict.fromkeys(name for version in one.versions for name in version.metrics))
    frame = pd.DataFrame(
        [
            {
                "version": version.version,
                "state": version.state,
                "aliases": ", ".join(version.aliases) or "none",
                **{name: f"{version.metrics[name]:.3f}" if name in version.metrics else "" for name in names},
            }
            for version in one.versions
        ]
    )
    st.table(frame, hide_index=True, border="horizontal", alt="All versions, the newest first")
    for version in one.versions:
        if version.reason:
            st.warning(
                f"**Version {version.version} is not served.**  \n{plain(version.reason)}",
                icon=":material/block:",
            )
    st.caption(
        "A version never changes; an alias moves from one to another. Stored: fetched to this machine, and "
        "checked. The metrics are those of the card, on its test rows."
    )


def change(server: Server, one: Versions) -> None:
    """What can be done with the versions. Each thing is done in the background, and one at a time."""
    st.header("Change", anchor=False)
    busy = told_here("change")
    tell = partial(button, server, "change", busy)
    name = one.name
    if one.versions:
        by_number = {version.version: version for version in one.versions}
        picked = st.selectbox(
            "Version",
            list(by_number),
            format_func=lambda number: title(by_number[number]),
            key="picked version",
        )
        st.caption(about(by_number[picked]))
        with st.container(horizontal=True):
            tell(
                "Make it champion",
                f"Version {picked} is the champion. Whoever follows it serves it within two seconds.",
                partial(registry.move, server, name, "champion", picked),
                asks=f"**Make version {picked} the champion?**  \nEverybody is answered by it, on every "
                "server that follows. Roll back to undo it.",
                icon="trophy",
                disabled="champion" in by_number[picked].aliases,
            )
            tell(
                "Make it challenger",
                f"Version {picked} is the challenger. What it does, the rollout says.",
                partial(registry.move, server, name, "challenger", picked),
                icon="swords",
                disabled="challenger" in by_number[picked].aliases,
            )
            tell(
                "Serve it by hand",
                f"Version {picked} answers, whatever the champion is, until you follow it again.",
                partial(registry.activate, server, name, picked),
                asks=f"**Serve version {picked} by hand?**  \nEverybody is answered by it, and the servers "
                "of this machine follow the champion no more, until you say so here.",
                icon="keep",
                disabled=one.pinned == picked,
            )
    with st.container(horizontal=True):
        tell(
            "Register what was trained last",
            f"What was trained or adopted last as {plain(name)} is in the registry.",
            partial(registry.register, server, name),
            icon="add",
        )
        if len(one.versions) > 1:
            tell(
                "Roll back",
                "The champion before this one is champion again.",
                partial(registry.roll_back, server, name),
                asks="**Roll back?**  \nThe version that was champion before this one is so again, and "
                "answers everybody on every server that follows.",
                icon="undo",
            )
        if one.pinned and one.following:
            tell(
                f"Follow the {one.following} again",
                f"The servers of this machine follow the {plain(one.following)} again.",
                partial(registry.follow, server, name, one.following),
                icon="sync",
            )
        if any("challenger" in version.aliases for version in one.versions):
            tell(
                "End the challenge",
                "There is no challenger any more.",
                partial(registry.end_challenge, server, name),
                icon="block",
            )
    question(server)


def title(version: Version) -> str:
    told = [f"version {version.version}", *version.aliases]
    told += [f"{name} {value:.3f}" for name, value in version.metrics.items()]
    return " · ".join(told)


def about(version: Version) -> str:
    """What it is, and since when."""
    told = [
        plain(version.algorithm),
        f"model {plain(version.model_version)}" if version.model_version else "",
    ]
    told += [f"registered {version.created_at:%Y-%m-%d %H:%M}"] if version.created_at else []
    return " · ".join(filter(None, told))


def challenge(server: Server, one: Versions) -> None:
    """What the challenger does."""
    st.header("Rollout", anchor=False)
    busy = told_here("rollout")
    mode = st.segmented_control(
        "What the challenger does",
        MODES,
        default=one.mode,
        required=True,
        format_func=TOLD_MODES.__getitem__,
        key="mode",
    )
    percent = one.percent
    if mode == "canary":
        percent = st.number_input("Callers of 100 that it answers", 0, 100, one.percent, key="percent")
    st.caption(
        "Off: nothing. Canary: it answers some of the callers, always the same ones. A caller is an account, "
        "or an address where nobody signs in, so all requests of this machine go the same way. Shadow: it "
        "is asked whatever the active version is asked, is compared with it, and answers nobody."
    )
    button(
        server,
        "rollout",
        busy,
        "Apply",
        f"The rollout is {mode}{f', {percent} of 100 callers' if mode == 'canary' else ''}, on every server "
        "of this machine.",
        partial(registry.roll_out, server, one.name, mode, int(percent)),
        icon="tune",
        disabled=(mode, percent) == (one.mode, one.percent),
    )


@st.fragment(run_every=history.EVERY)
def watch_rollout(server: Server, one: Versions) -> None:
    watched = history.watch([server])[0]
    if isinstance(watched.latest, Failure):
        show(watched.latest)
    else:
        rollout.side_by_side(server, one)


main()
