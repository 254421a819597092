"""What a server says of who signed in: GET /me, and the API keys at /keys."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ui import answers, client, sign_in
from ui.answers import Failure
from ui.servers import Server

Read = TypeVar("Read")
ON, OFF = "on", "off"


@dataclass(frozen=True)
class Limit:
    """`remaining` of `limit` requests; all of them again in `reset_seconds` at the latest."""

    name: str
    limit: int
    remaining: int
    reset_seconds: int
    window_seconds: int | None = None


@dataclass(frozen=True)
class Me:
    """`expires_at`: seconds since 1970. `parallel`: requests at a time."""

    subject: str
    name: str
    kind: str
    tenant: str
    scopes: tuple[str, ...]
    expires_at: float | None
    limits: tuple[Limit, ...]
    parallel: int | None


@dataclass(frozen=True)
class Key:
    """`secret` only where it has just been made. Times are in seconds since 1970."""

    prefix: str
    label: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None
    secret: str = field(default="", repr=False)


def me(server: Server) -> Me | str | Failure:
    """GET /me: who is signed in there; ON where nobody is, OFF where access is off. Credentials that are not
    good any more are forgotten."""
    exchange = client.send(server, "GET", "/me")
    if isinstance(exchange, Failure):
        return exchange
    if exchange.body is not None and exchange.status == 404:
        return OFF
    if exchange.problem and exchange.status == 401:
        if not exchange.signed:
            return ON
        sign_in.current().forget(server)
    return _read(exchange, 200, read_me, "who you are")


def keys(server: Server) -> list[Key] | Failure:
    exchange = client.send(server, "GET", "/keys")
    return _read(exchange, 200, lambda body: [read_key(one) for one in body["keys"]], "a list of keys")


def make_key(server: Server, label: str, scopes: list[str], days: int | None) -> Key | Failure:
    body = {"label": label, "scopes": scopes, **({"expires_in_days": days} if days else {})}
    exchange = client.send(server, "POST", "/keys", json.dumps(body).encode(), client.JSON)
    return _read(exchange, 201, read_key, "a key")


def revoke_key(server: Server, prefix: str) -> Key | Failure:
    return _read(client.send(server, "DELETE", f"/keys/{prefix}"), 200, read_key, "a key")


def _read(
    exchange: client.Exchange | Failure, status: int, read: Callable[[Any], Read], wanted: str
) -> Read | Failure:
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status != status:
        return answers.refused(exchange, wanted)
    try:
        return read(exchange.body)
    except (ValueError, TypeError, LookupError, AttributeError):
        return answers.unexpected(exchange, wanted)


def read_me(body: Any) -> Me:
    limits = [_limit(str(one["class"]), one) for one in body.get("limits") or []]
    if body.get("quota"):
        limits.append(_limit("a day, of your tenant", body["quota"]))
    parallel = body.get("parallel")
    return Me(
        *(_text(body[name]) for name in ("subject", "name", "kind", "tenant")),
        scopes=tuple(map(_text, body["scopes"])),
        expires_at=_moment(body.get("expires_at")),
        limits=tuple(limits),
        parallel=_count(parallel["limit"]) if parallel else None,
    )


def read_key(body: Any) -> Key:
    prefix = _text(body["prefix"])
    if not prefix.isalnum() or not prefix.isascii():
        raise ValueError
    return Key(
        prefix,
        _text(body["label"]),
        tuple(map(_text, body["scopes"])),
        _moment(body["created_at"]) or 0.0,
        _moment(body.get("expires_at")),
        _text(body.get("key", "")),
    )


def _limit(name: str, one: Any) -> Limit:
    limit, window = _count(one["limit"]), one.get("window_seconds")
    remaining = min(_count(one["remaining"]), limit)
    return Limit(name, limit, remaining, _count(one["reset_seconds"]), window and _count(window))


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _moment(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise ValueError
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value[:200]
