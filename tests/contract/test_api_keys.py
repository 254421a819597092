"""API keys, on both servers alike."""

import time

import httpx
import pytest
from classroom.servers import Server
from credentials import Guarded, bearer, eventually, predict


@pytest.fixture(params=["fastapi", "flask"])
def server(request: pytest.FixtureRequest, guarded: Guarded) -> Server:
    return guarded.servers[request.param]


def test_a_key_is_shown_once_and_works_until_it_is_revoked(guarded):
    fastapi, flask = guarded.servers.values()
    mine = bearer(guarded.token(fastapi)["access_token"])
    asked = {"label": "a test", "scopes": ["predict"], "expires_in_days": 1}
    made = httpx.post(f"{fastapi.url}/keys", json=asked, headers=mine)
    assert made.status_code == 201 and made.headers["Cache-Control"] == "no-store"
    key, prefix = made.json()["key"], made.json()["prefix"]
    assert key.startswith(f"sk_{prefix}_") and made.json()["expires_at"] > time.time()
    listed = httpx.get(f"{flask.url}/keys", headers=mine)
    assert prefix in [one["prefix"] for one in listed.json()["keys"]]
    assert key not in listed.text and key not in str(vars(guarded.accounts.keys("alice")[0]))
    with_key = {"X-API-Key": key}
    assert predict(fastapi, with_key).status_code == predict(flask, with_key).status_code == 200
    assert predict(flask, {"X-API-Key": key[:-1] + ("a" if key[-1] != "a" else "b")}).status_code == 401
    assert httpx.get(f"{flask.url}/me", headers=with_key).json()["subject"] == f"key:sk_{prefix}"
    assert httpx.post(f"{flask.url}/keys", json=asked, headers=with_key).status_code == 403
    gone = httpx.delete(f"{flask.url}/keys/{prefix}", headers=mine)
    assert gone.status_code == 200 and gone.json()["prefix"] == prefix
    assert httpx.delete(f"{flask.url}/keys/{prefix}", headers=mine).status_code == 404
    assert eventually(
        lambda: {predict(fastapi, with_key).status_code, predict(flask, with_key).status_code} == {401}
    )


def test_nobody_gives_a_key_more_than_they_have_or_revokes_another_s(server, guarded):
    mine = bearer(guarded.token(server, "only-jobs")["access_token"])
    asked = {"label": "more", "scopes": ["predict"]}
    assert httpx.post(f"{server.url}/keys", json=asked, headers=mine).status_code == 400
    _, stored = guarded.accounts.add_key("alice", "hers", ["predict"])
    assert httpx.delete(f"{server.url}/keys/{stored.prefix}", headers=mine).status_code == 404


def test_an_expired_key_is_refused(server, guarded):
    key, _ = guarded.accounts.add_key("alice", "short", ["predict"], days=1e-9)
    assert predict(server, {"X-API-Key": key}).status_code == 401


def test_each_of_two_credentials_has_to_be_valid(server, guarded):
    key, _ = guarded.accounts.add_key("alice", "two", ["predict"])
    mine = bearer(guarded.token(server)["access_token"])
    assert predict(server, {"X-API-Key": key} | mine).status_code == 200
    assert predict(server, {"X-API-Key": key} | bearer("a.b.c")).status_code == 401
    assert predict(server, {"X-API-Key": "x"} | mine).status_code == 401


def test_me_is_who_asks(server, guarded):
    me = httpx.get(f"{server.url}/me", headers=bearer(guarded.token(server, scope="predict")["access_token"]))
    assert me.json() | {"expires_at": 0} == {
        "subject": "user:alice",
        "kind": "user",
        "name": "alice",
        "tenant": "default",
        "scopes": ["predict"],
        "expires_at": 0,
        "limits": [],
    }
