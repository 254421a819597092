"""Access: sign in, who am I to each server, what is left of my limits, and my API keys."""

from datetime import datetime
from functools import partial

import streamlit as st

from ui import account, notices, page, sign_in, visit
from ui.account import OFF, ON, Me
from ui.answers import Failure
from ui.choice import choose
from ui.notices import plain
from ui.servers import Server, servers

show = partial(notices.show, access_page=False)
EXPIRY = {"in 7 days": 7, "in 30 days": 30, "in 90 days": 90, "in a year": 365, "never": None}
Found = Me | str | Failure


def main() -> None:
    page.begin(
        "Access",
        "Sign in, see who you are to each server and what you may do, and make API keys.",
        {9: " attacks both servers, and shows why they hold"},
    )
    pair = servers()
    found = {server: account.me(server) for server in pair}
    with st.container():  # a place of its own: what comes and goes moves no form, which would be there twice
        for words in st.session_state.pop("signed out", []):
            st.success(f"**{words}**", icon=":material/logout:")
        outcomes()
    asking = tuple(server for server, one in found.items() if one == ON or ended(one))
    if asking:
        with st.container(key="panel-signin"):
            ask_who(asking)
    for column, (server, one) in zip(st.columns(2, gap="medium"), found.items(), strict=True):
        with column, st.container(key=f"panel-{server.name.lower()}", height="stretch"):
            state(server, one)
    if any(isinstance(one, Me) for one in found.values()):
        with st.container(key="panel-keys"):
            keys(pair, found)
    if sign_in.current().anywhere:
        st.button("Sign out", icon=":material/logout:", on_click=leave, args=(pair,))
        st.caption(
            "It revokes the tokens on the servers. Tokens and keys are only in this page's memory: if it is "
            "loaded anew, you sign in again."
        )


def ended(found: Found) -> bool:
    """Whether a server did not take what this visitor was signed in with."""
    return isinstance(found, Failure) and found.exchange is not None and found.exchange.status == 401


def ask_who(asking: tuple[Server, ...]) -> None:
    """A name and its password, or a key, for the servers that ask."""
    st.header("Sign in", anchor=False)
    names = " and ".join(server.name for server in asking)
    st.caption(f"At {names}. What you type is sent there, and not kept.")
    by_password, by_key = st.tabs(["Name and password", "API key"])
    with by_password, st.form("sign in with a password", border=False):
        st.text_input("Name", max_chars=64, autocomplete="username", key="typed name")
        st.text_input(
            "Password", type="password", max_chars=1024, autocomplete="current-password", key="typed password"
        )
        st.form_submit_button(
            "Sign in", type="primary", icon=":material/login:", on_click=with_password, args=(asking,)
        )
    with by_key, st.form("sign in with a key", border=False):
        st.text_input("Key", type="password", max_chars=100, autocomplete="off", key="typed key")
        st.form_submit_button(
            "Use this key", type="primary", icon=":material/key:", on_click=with_key, args=(asking,)
        )


def with_password(asking: tuple[Server, ...]) -> None:
    """Try what was typed at each server, and forget the password."""
    name, password = st.session_state["typed name"].strip(), st.session_state["typed password"]
    st.session_state["typed password"] = ""
    if not name or not password:
        st.session_state["not sent"] = "Type a name and its password."
        return
    mine = sign_in.current()
    st.session_state["outcomes"] = [(one, mine.with_password(one, name, password)) for one in asking]


def with_key(asking: tuple[Server, ...]) -> None:
    key = st.session_state["typed key"].strip()
    st.session_state["typed key"] = ""
    if not sign_in.KEY(key):
        st.session_state["not sent"] = "This is no API key: one begins with sk\\_ and is 55 characters long."
        return
    mine = sign_in.current()
    st.session_state["outcomes"] = [(one, mine.with_key(one, key)) for one in asking]


def outcomes() -> None:
    """What came of signing in, at each server."""
    if why := st.session_state.pop("not sent", ""):
        st.warning(f"**Nothing was sent.**  \n{why}", icon=":material/error:")
    for server, failure in st.session_state.pop("outcomes", []):
        if failure is None:
            st.success(f"**Signed in at {server.name}.**", icon=":material/login:")
        else:
            show(failure)


def state(server: Server, found: Found) -> None:
    """Access on or off; and who the visitor is there."""
    st.header(f"{server.mark} {server.name}", anchor=False)
    if isinstance(found, Failure):
        show(found)
    elif found == OFF:
        st.badge("Access is off", icon=":material/lock_open:", color="gray")
        st.markdown(
            f"Whoever reaches {plain(server.url)} may use it. That is what a server on 127.0.0.1 does unless "
            "told otherwise: only this machine reaches it. With access on, you sign in here. To try it, "
            "stop what runs and start:"
        )
        st.code("python kit.py up --access", language=None)
    elif found == ON:
        st.badge("Access is on", icon=":material/lock:", color="green")
        st.markdown("You are not signed in here.")
    else:
        st.badge("Access is on", icon=":material/lock:", color="green")
        who(server, found)
        limits(found)


def who(server: Server, me: Me) -> None:
    means = sign_in.current().means(server)
    if means == "token":
        until = "the token is renewed by itself"
    else:
        until = f"the key expires {day(me.expires_at)}" if me.expires_at else "the key does not expire"
    facts = {
        "Who": me.name or me.subject,
        "Signed in with": "a password" if means == "token" else f"the {me.subject.replace(':', ' ')}",
        "For how long": until,
        "Scopes": ", ".join(me.scopes) or "none",
        "Tenant": me.tenant,
    }
    st.table(
        {"": {name: plain(value) for name, value in facts.items()}}, border="horizontal", hide_header=True
    )


def limits(me: Me) -> None:
    """A meter for each: what is left, in numbers too."""
    if not me.limits and me.parallel is None:
        st.caption("No limits: ask as often as you like.")
        return
    st.markdown("**What is left**")
    for one in me.limits:
        window = f" in {one.window_seconds:,} seconds" if one.window_seconds else ""
        text = f"{plain(one.name)}: {one.remaining:,} of {one.limit:,} left{window}"
        if one.remaining < one.limit:
            text += f"; all again within {one.reset_seconds:,} s"
        st.progress(one.remaining / one.limit if one.limit else 0.0, text=text)
    if me.parallel is not None:
        st.caption(f"Of your requests, {me.parallel:,} may be answered at a time.")


def keys(pair: tuple[Server, Server], found: dict[Server, Found]) -> None:
    st.header("My API keys", anchor=False)
    st.caption(
        "For programs that cannot renew a token. Servers that share their accounts, as those of "
        "kit.py up do, have the same keys."
    )
    server, _ = choose(pair)
    me = found[server]
    if not isinstance(me, Me):
        st.caption(f"You are not signed in at {server.name}.")
        return
    if made := st.session_state.get("new key"):
        new_key(made)
    if failure := st.session_state.pop("key failure", None):
        show(failure)
    listed = account.keys(server)
    if isinstance(listed, Failure):
        show(listed)
        return
    is_person = sign_in.current().means(server) == "token"
    for key in listed:
        one_key(server, key, is_person)
    if not listed:
        st.caption("There are none yet.")
    if is_person:
        make(server, me)
    else:
        st.caption("You are signed in with a key, which makes and revokes no keys: a password does.")


def new_key(made: account.Key) -> None:
    st.success("**This is your new key. It is shown this once: copy it now.**", icon=":material/key:")
    st.code(made.secret, language=None, wrap_lines=True)
    st.button("I have copied it", on_click=st.session_state.pop, args=("new key", None))


def one_key(server: Server, key: account.Key, may_revoke: bool) -> None:
    ends = f"expires {day(key.expires_at)}" if key.expires_at else "does not expire"
    with st.container(horizontal=True, vertical_alignment="center", key=f"key-{key.prefix}"):
        label = f"**{plain(key.label)}** · " if key.label else ""
        scopes = plain(", ".join(key.scopes)) or "no scopes"
        st.markdown(f"`sk_{key.prefix}` · {label}{scopes} · made {day(key.created_at)}, {ends}")
        if may_revoke and st.session_state.get("revoking") != key.prefix:
            st.button(
                f"Revoke sk_{key.prefix}",
                icon=":material/delete:",
                on_click=st.session_state.update,
                args=({"revoking": key.prefix},),
            )
    if may_revoke and st.session_state.get("revoking") == key.prefix:
        st.warning(
            f"**Revoke sk_{key.prefix}?**  \nWhat uses it gets 401 from then on, within two seconds on every "
            "server. It cannot be taken back.",
            icon=":material/warning:",
        )
        with st.container(horizontal=True):
            st.button("Revoke it", type="primary", on_click=revoke, args=(server, key.prefix))
            st.button("Keep it", on_click=st.session_state.pop, args=("revoking", None))


def make(server: Server, me: Me) -> None:
    with st.form("make a key", border=False, clear_on_submit=True):
        label = st.text_input("What the key is for", max_chars=64)
        scopes = st.segmented_control(
            "Its scopes",
            me.scopes,
            selection_mode="multi",
            default=[scope for scope in me.scopes if scope == "predict"],
        )
        expiry = st.selectbox("It expires", list(EXPIRY), index=2)
        pressed = st.form_submit_button("Make a key", type="primary", icon=":material/key:")
    if not pressed:
        return
    if not scopes:
        st.warning("**Nothing was sent.**  \nChoose a scope or more.", icon=":material/error:")
        return
    made = account.make_key(server, label, list(scopes), EXPIRY[expiry])
    st.session_state["key failure" if isinstance(made, Failure) else "new key"] = made
    st.rerun()


def revoke(server: Server, prefix: str) -> None:
    st.session_state.pop("revoking", None)
    done = account.revoke_key(server, prefix)
    if isinstance(done, Failure):
        st.session_state["key failure"] = done
    elif (made := st.session_state.get("new key")) and made.prefix == prefix:
        del st.session_state["new key"]


def leave(pair: tuple[Server, Server]) -> None:
    """Sign out, and forget what was asked and answered meanwhile."""
    failures = sign_in.current().sign_out(pair)
    visit.current().forget()
    st.session_state.clear()
    st.session_state["signed out"] = ["You are signed out."]
    st.session_state["outcomes"] = [(failure.server, failure) for failure in failures]


def day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


main()
