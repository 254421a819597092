"""What a server says of the versions of its model, and what it is told to do with them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ui import answers, client
from ui.answers import Exchange, Failure
from ui.servers import Server

OFF = "off"
STATES = ("active", "challenger", "stored", "registered", "refused")
MODES = ("off", "canary", "shadow")
COPYING = 130.0  # seconds; what moves a model's files between the registry and the store takes a while
IS_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII).fullmatch
IS_VERSION = re.compile(r"[1-9]\d{0,8}", re.ASCII).fullmatch


@dataclass(frozen=True)
class Version:
    """`state`: what the server does with it; `reason`: why it was refused. `model_version`: the card's."""

    version: str
    state: str
    aliases: tuple[str, ...]
    reason: str
    model_version: str
    algorithm: str
    created_at: datetime | None
    metrics: dict[str, float]


@dataclass(frozen=True)
class Versions:
    """`following`: the alias that the server follows; `pinned`: the version that it serves in its place.
    `available`: whether the registry answers. `mode` and `percent`: what the challenger does. The newest
    version is the first."""

    name: str
    available: bool
    following: str
    pinned: str
    active: str
    challenger: str
    mode: str
    percent: int
    versions: tuple[Version, ...]

    def find(self, version: str) -> Version | None:
        return next((one for one in self.versions if one.version == version), None)


Change = Callable[[], Versions | Failure]


def listed(server: Server) -> Versions | str | Failure:
    """GET /models/NAME/versions of the model that the server follows; OFF where it follows none."""
    name = followed(server)
    if isinstance(name, Failure) or name == OFF:
        return name
    return _read(client.send(server, "GET", f"/models/{name}/versions"))


def followed(server: Server) -> str | Failure:
    """GET /models: the name of the model that the server follows; OFF where it follows none."""
    exchange = client.send(server, "GET", "/models")
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status == 404 and exchange.body is not None:
        return OFF  # a minimal server
    if exchange.status != 200:
        return answers.refused(exchange, "a list of models")
    name = exchange.body.get("following") if isinstance(exchange.body, dict) else None
    return name if isinstance(name, str) and IS_NAME(name) else OFF


def register(server: Server, name: str) -> Versions | Failure:
    """Make a version of what the last train or adopt wrote under that name."""
    return _tell(server, "POST", f"/models/{name}/versions", {})


def move(server: Server, name: str, alias: str, version: str) -> Versions | Failure:
    """From now on the alias is that version."""
    return _tell(server, "PUT", f"/models/{name}/aliases/{alias}", {"version": version})


def end_challenge(server: Server, name: str) -> Versions | Failure:
    return _tell(server, "DELETE", f"/models/{name}/aliases/challenger")


def roll_back(server: Server, name: str) -> Versions | Failure:
    return _tell(server, "POST", f"/models/{name}/rollback")


def activate(server: Server, name: str, version: str) -> Versions | Failure:
    """Serve that version, whatever the alias says."""
    return _tell(server, "POST", f"/models/{name}/activate", {"version": version})


def follow(server: Server, name: str, alias: str) -> Versions | Failure:
    """Follow the alias again."""
    return _tell(server, "POST", f"/models/{name}/activate", {"alias": alias})


def roll_out(server: Server, name: str, mode: str, percent: int) -> Versions | Failure:
    """What the challenger does from now on."""
    return _tell(server, "PUT", f"/models/{name}/rollout", {"mode": mode, "percent": percent})


def _tell(server: Server, method: str, path: str, body: dict | None = None) -> Versions | Failure:
    content = None if body is None else json.dumps(body).encode()
    headers = None if body is None else client.JSON
    return _read(client.send(server, method, path, content, headers, seconds=COPYING))


def _read(exchange: Exchange | Failure) -> Versions | Failure:
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status not in (200, 201):
        return answers.refused(exchange, "a list of versions")
    try:
        return read_versions(exchange.body)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        return answers.unexpected(exchange, "a list of versions")


def read_versions(body: Any) -> Versions:
    """The list in a server's JSON; ValueError, TypeError or LookupError where it is none."""
    rollout = body["rollout"]
    found = Versions(
        body["name"],
        body["registry"] == "available",
        *(_text(body.get(name)) for name in ("following", "pinned", "active", "challenger")),
        rollout["mode"],
        int(rollout["percent"]),
        tuple(map(read_version, body["versions"])),
    )
    if not IS_NAME(found.name) or found.mode not in MODES or not 0 <= found.percent <= 100:
        raise ValueError
    return found


def read_version(body: Any) -> Version:
    found = Version(
        body["version"],
        body["state"],
        tuple(map(_text, body["aliases"])),
        *(_text(body.get(name)) for name in ("reason", "model_version", "algorithm")),
        datetime.fromisoformat(body["created_at"]).astimezone() if body.get("created_at") else None,
        {_text(name): float(value) for name, value in (body.get("metrics") or {}).items()},
    )
    if not IS_VERSION(found.version) or found.state not in STATES:
        raise ValueError
    return found


def _text(value: Any) -> str:
    return value.strip()[:300] if isinstance(value, str) else ""
