"""Accounts for both servers, made as `kit.py users` makes them, and tokens as nobody should make them."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt
from classroom.servers import Server
from pairs import pair

from apps.service.access import tokens
from apps.service.access.accounts import Accounts, epoch_of
from apps.service.access.declared import SCOPES

PASSWORD = "correct horse battery staple"
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}


@dataclass
class Guarded:
    """Both servers with access on, which share their accounts."""

    servers: dict[str, Server]
    accounts: Accounts
    folder: Path

    def token(self, server: Server, name: str = "alice", **fields: str) -> dict:
        form = {"grant_type": "password", "username": name, "password": PASSWORD, **fields}
        answer = httpx.post(f"{server.url}/token", data=form)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make(self, name: str = "alice", scopes: list[str] | None = None, **claims) -> str:
        """A token as a server makes it, with claims changed, or left out where they are None."""
        epoch = epoch_of(self.accounts.account(name))
        made, _ = tokens.Tokens(None, self.folder, 900).make(name, "user", scopes or ["predict"], epoch)
        return self.sign(changed(jwt.decode(made, options={"verify_signature": False}), claims))

    def sign(self, claims: dict | bytes, **header) -> str:
        """With the servers' own key, whatever the claims are."""
        key = json.loads((self.folder / "signing_keys.json").read_text())["keys"][0]
        head = {"alg": "EdDSA", "typ": "at+jwt", "kid": key["kid"], **header}
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        signed = f"{encoded(json.dumps(head).encode())}.{encoded(payload)}"
        return f"{signed}.{encoded(tokens.private(key).sign(signed.encode()))}"


def changed(claims: dict, changes: Mapping) -> dict:
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@contextmanager
def guarded_pair(folder: Path, model: Path, env: Mapping[str, str] | None = None) -> Iterator[Guarded]:
    accounts = accounts_in(folder, (env or {}).get("DATABASE_URL"))
    settings = {"ACCESS": "on", "ACCESS_PATH": str(folder), "MODEL_PATH": str(model), **(env or {})}
    with pair(settings) as servers:
        yield Guarded(servers, accounts, folder)
    accounts.close()


def accounts_in(folder: Path, database: str | None = None) -> Accounts:
    """Of alice, who may do all, of a robot, and of one who may do one thing only for each scope."""
    accounts = Accounts(database, folder)
    accounts.create_tables()
    accounts.add("alice", [*SCOPES], password=PASSWORD)
    accounts.add("robot", ["predict"], kind="client", password=PASSWORD)
    for scope in SCOPES:
        accounts.add(f"only-{scope}", [scope], password=PASSWORD)
    return accounts


def predict(server: Server, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return httpx.post(f"{server.url}/predict", json=ROW, headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def eventually(true, seconds: float = 20) -> bool:
    """Whether it becomes true within the seconds that a revocation may take."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.1)
    return False
