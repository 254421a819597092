"""Who this visitor is to the servers.

Tokens and keys are in Streamlit's session state, which is memory: never in an address, a file, a cache or a
log, and gone when the page is loaded anew. A password is sent once and not kept."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ui import answers, transport
from ui.answers import Exchange, Failure
from ui.servers import Server
from ui.transport import Credential

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,8000}", re.ASCII).fullmatch  # RFC 6750, section 2.1
KEY = re.compile(r"sk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", re.ASCII).fullmatch
EARLY = 60  # seconds before its end, at most, in which a token is exchanged for a new one


@dataclass(frozen=True)
class Grant:
    """What a server gave for a password. Times are in seconds since 1970."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: float
    renew_at: float


class SignIn:
    """With what a visitor is signed in at each server. It goes to the server that gave or took it, and to no
    other. Its methods may be called from several threads: a refresh token that is used twice ends a login."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}  # by a server's URL
        self._keys: dict[str, str] = {}
        self._lock = threading.Lock()

    def means(self, server: Server) -> str:
        """`token`, `key`, or "" for not signed in."""
        return "token" if server.url in self._grants else "key" if server.url in self._keys else ""

    @property
    def anywhere(self) -> bool:
        return bool(self._grants or self._keys)

    def credential(self, server: Server, seconds: float = 0) -> Credential | None:
        """What to send to a server for so many seconds; a token that would end is exchanged first."""
        if server.url in self._keys:
            return of_key(self._keys[server.url])
        if server.url not in self._grants:
            return None
        with self._lock:
            grant = self._grants.get(server.url)
            if grant and time.time() + seconds >= grant.renew_at:
                grant = self._renew(server, grant)
        return of_token(grant.access) if grant else None

    def with_password(self, server: Server, name: str, password: str) -> Failure | None:
        """Sign in at a server; None where it worked."""
        found = ask(server, grant_type="password", username=name, password=password)
        if isinstance(found, Failure):
            return found
        with self._lock:
            self._grants[server.url] = found
            self._keys.pop(server.url, None)
        return None

    def with_key(self, server: Server, key: str) -> Failure | None:
        """Sign in at a server with an API key, if it takes it; None where it does."""
        exchange = transport.send(server, "GET", "/me", credential=of_key(key))
        if isinstance(exchange, Failure):
            return exchange
        if exchange.status != 200:
            return refused(exchange, "who you are")
        with self._lock:
            self._keys[server.url] = key
            self._grants.pop(server.url, None)
        return None

    def forget(self, server: Server) -> None:
        """What a server does not take any more."""
        with self._lock:
            self._grants.pop(server.url, None)
            self._keys.pop(server.url, None)

    def sign_out(self, servers: tuple[Server, ...]) -> list[Failure]:
        """Forget everything, and have the servers revoke their tokens; why some did not, if so."""
        with self._lock:
            grants, self._grants, self._keys = self._grants, {}, {}
        failures = []
        for server in servers:
            if grant := grants.get(server.url):
                answer = post(server, "/token/revoke", token=grant.refresh or grant.access)
                if isinstance(answer, Failure):
                    failures.append(answer)
                elif answer.status != 200:
                    failures.append(answers.refused(answer, "that the token is revoked"))
        return failures

    def _renew(self, server: Server, grant: Grant) -> Grant | None:
        """A new pair for the refresh token. Where the server says no, the login has ended; where it says
        nothing, both are kept for when it does."""
        found = (
            ask(server, grant_type="refresh_token", refresh_token=grant.refresh) if grant.refresh else None
        )
        if isinstance(found, Grant):
            self._grants[server.url] = found
            return found
        refused = isinstance(found, Failure) and found.exchange and found.exchange.status in (400, 401)
        if refused or (not grant.refresh and time.time() >= grant.expires_at):
            del self._grants[server.url]
            return None
        return grant


def of_token(token: str) -> Credential:
    return Credential("Authorization", f"Bearer {token}", "Bearer $SERVELAB_TOKEN")


def of_key(key: str) -> Credential:
    return Credential("X-API-Key", key, "$SERVELAB_KEY")


def ask(server: Server, **form: str) -> Grant | Failure:
    """POST /token, RFC 6749."""
    exchange = post(server, "/token", **form)
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status != 200:
        return refused(exchange, "a token")
    body = exchange.body if isinstance(exchange.body, dict) else {}
    access, refresh = body.get("access_token"), body.get("refresh_token") or ""
    seconds = body.get("expires_in")
    if not all(isinstance(text, str) for text in (access, refresh)) or not TOKEN(access):
        return answers.unexpected(replace(exchange, text="", body={}), "a token")
    seconds = seconds if isinstance(seconds, int | float) and 0 < seconds < 1e9 else EARLY
    now = time.time()
    return Grant(access, refresh, now + seconds, now + seconds - min(EARLY, seconds / 5))


def post(server: Server, path: str, **form: str) -> Exchange | Failure:
    """A form; what it said is not kept."""
    exchange = transport.send(server, "POST", path, urlencode(form).encode(), FORM)
    return exchange if isinstance(exchange, Failure) else replace(exchange, sent="")


def refused(exchange: Exchange, wanted: str) -> Failure:
    if exchange.status == 401 and exchange.problem:
        return answers.not_known(exchange)
    if exchange.status != 404 or exchange.body is None:
        return answers.refused(exchange, wanted)
    return Failure(
        exchange.server,
        f"{exchange.server.name} has access off: whoever reaches it may use it.",
        "There is nothing to sign in to.",
    )


_acting: ContextVar[SignIn | None] = ContextVar("acting", default=None)


@contextmanager
def acting_for(one: SignIn) -> Iterator[None]:
    """For a thread of our own, which has no session: what it sends, it sends for this visitor."""
    token = _acting.set(one)
    try:
        yield
    finally:
        _acting.reset(token)


def current() -> SignIn:
    """This visitor's."""
    acting = _acting.get()
    if acting is not None:
        return acting
    if get_script_run_ctx(suppress_warning=True) is None:  # a thread that asks for nobody
        return SignIn()
    if "sign in" not in st.session_state:
        st.session_state["sign in"] = SignIn()
    return st.session_state["sign in"]
