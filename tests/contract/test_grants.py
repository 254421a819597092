"""Tokens, on both servers alike: who gets one for what, and what ends it (RFC 6749, 7009, 9700)."""

import httpx
import pytest
from classroom.servers import Server
from credentials import PASSWORD, Guarded, bearer, eventually, predict

from apps.service.access.declared import SCOPES


@pytest.fixture(params=["fastapi", "flask"])
def server(request: pytest.FixtureRequest, guarded: Guarded) -> Server:
    return guarded.servers[request.param]


def test_a_password_gives_a_token_that_answers(server, guarded):
    found = guarded.token(server)
    assert found["token_type"] == "Bearer" and found["expires_in"] == 900
    assert found["scope"].split() == sorted(SCOPES)
    assert predict(server, bearer(found["access_token"])).status_code == 200
    assert predict(server, {"Authorization": f"bearer {found['access_token']}"}).status_code == 200


def test_fewer_scopes_may_be_asked_for_and_no_others(server, guarded):
    assert guarded.token(server, scope="predict")["scope"] == "predict"
    form = {"username": "only-jobs", "password": PASSWORD, "scope": "predict"}
    refused = httpx.post(f"{server.url}/token", data=form)
    assert refused.status_code == 400 and refused.json()["error"] == "invalid_scope"


def test_a_client_gets_a_token_for_its_secret_either_way_and_nothing_to_refresh(server):
    asked = {"grant_type": "client_credentials"}
    by_header = httpx.post(f"{server.url}/token", data=asked, auth=("robot", PASSWORD))
    named = {"client_id": "robot", "client_secret": PASSWORD}
    by_form = httpx.post(f"{server.url}/token", data=asked | named)
    for answer in (by_header, by_form):
        assert answer.status_code == 200 and "refresh_token" not in answer.json()
        assert answer.headers["Cache-Control"] == "no-store"
        assert predict(server, bearer(answer.json()["access_token"])).status_code == 200
    wrong = httpx.post(f"{server.url}/token", data=asked, auth=("robot", "x"))
    assert wrong.status_code == 401 and wrong.json()["error"] == "invalid_client"
    assert wrong.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=password&username=alice", "invalid_request"),
        ("grant_type=password&username=alice&username=bob&password=x", "invalid_request"),
        ("grant_type=implicit", "unsupported_grant_type"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=x", "invalid_grant"),
        ("grant_type=password&username=%ff&password=x", "invalid_request"),
        ("&".join(f"a{n}=1" for n in range(100)), "invalid_request"),
    ],
)
def test_a_form_that_is_none_gets_the_reason_of_rfc_6749(server, form, error):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = httpx.post(f"{server.url}/token", content=form, headers=headers)
    assert answer.status_code == 400 and answer.json()["error"] == error
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_body_that_is_no_form_is_not_read(server):
    assert httpx.post(f"{server.url}/token", json={"username": "alice"}).status_code == 415


def test_wrong_password_and_unknown_user_are_told_the_same(server):
    said = []
    for name in ("alice", "nobody-of-that-name", "robot"):
        form = {"username": name, "password": "x"}
        answer = httpx.post(f"{server.url}/token", data=form, headers={"X-Request-ID": "same"})
        assert answer.status_code == 401 and answer.json()["error"] == "invalid_grant"
        said.append((answer.content, answer.headers["WWW-Authenticate"]))
    assert len(set(said)) == 1


def test_who_guesses_is_stopped_and_others_are_not(guarded):
    guarded.accounts.add("guessed", ["predict"], password=PASSWORD)
    server = guarded.servers["flask"]
    form = {"username": "guessed", "password": "wrong"}
    statuses = [httpx.post(f"{server.url}/token", data=form).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    refused = httpx.post(f"{server.url}/token", data=form | {"password": PASSWORD})
    assert refused.status_code == 429 and 1 <= int(refused.headers["Retry-After"]) <= 60
    guarded.token(server)


def test_a_refresh_token_is_good_once_and_who_steals_one_ends_the_login(server, guarded):
    first = guarded.token(server)

    def refresh(token: str) -> httpx.Response:
        return httpx.post(f"{server.url}/token", data={"grant_type": "refresh_token", "refresh_token": token})

    second = refresh(first["refresh_token"])
    assert second.status_code == 200
    again = refresh(first["refresh_token"])
    assert again.status_code == 400 and again.json()["error"] == "invalid_grant"
    assert refresh(second.json()["refresh_token"]).status_code == 400
    newest = bearer(second.json()["access_token"])
    assert eventually(lambda: predict(server, newest).status_code == 401)


def test_a_revoked_token_is_worthless_on_both(guarded):
    fastapi, flask = guarded.servers.values()
    found = guarded.token(fastapi)
    mine = bearer(found["access_token"])
    assert predict(fastapi, mine).status_code == predict(flask, mine).status_code == 200
    done = httpx.post(f"{flask.url}/token/revoke", data={"token": found["access_token"]})
    assert done.status_code == 200
    assert eventually(lambda: {predict(fastapi, mine).status_code, predict(flask, mine).status_code} == {401})
    assert httpx.post(f"{flask.url}/token/revoke", data={"token": "unknown"}).status_code == 200


def test_a_revoked_refresh_token_takes_its_access_tokens_along(server, guarded):
    found = guarded.token(server)
    mine = bearer(found["access_token"])
    assert predict(server, mine).status_code == 200
    httpx.post(f"{server.url}/token/revoke", data={"token": found["refresh_token"]})
    assert eventually(lambda: predict(server, mine).status_code == 401)


def test_whoever_is_disabled_is_out(server, guarded):
    name = f"leaver-{server.name}"
    guarded.accounts.add(name, ["predict"], password=PASSWORD)
    mine = bearer(guarded.token(server, name)["access_token"])
    assert predict(server, mine).status_code == 200
    guarded.accounts.disable(name)
    assert eventually(lambda: predict(server, mine).status_code == 401)
    assert httpx.post(f"{server.url}/token", data={"username": name, "password": PASSWORD}).status_code == 401


def test_keys_that_sign_are_public_and_rotate_with_two_alive(guarded, tmp_path):
    from apps.service.access.tokens import Tokens

    fastapi, flask = guarded.servers.values()
    mine = bearer(guarded.token(fastapi)["access_token"])
    assert predict(flask, mine).status_code == 200

    def kids(server) -> list[str]:
        return [key["kid"] for key in httpx.get(f"{server.url}/.well-known/jwks.json").json()["keys"]]

    (old,) = kids(fastapi)
    new = Tokens(None, guarded.folder, 900).rotate()
    assert eventually(lambda: kids(fastapi) == kids(flask) == [new, old])
    assert predict(flask, mine).status_code == predict(fastapi, mine).status_code == 200
    later = guarded.token(flask)["access_token"]
    assert predict(fastapi, bearer(later)).status_code == 200


def test_the_log_tells_what_was_refused_and_revoked_and_no_secret(guarded):
    for server in guarded.servers.values():
        found = guarded.token(server)
        mine = bearer(found["access_token"])
        httpx.post(f"{server.url}/token", data={"username": "a-password-typed-here", "password": "hunter2x"})
        made = httpx.post(
            f"{server.url}/keys", json={"label": "l", "scopes": ["predict"]}, headers=mine
        ).json()
        predict(server, {"X-API-Key": made["key"]})
        httpx.delete(f"{server.url}/keys/{made['prefix']}", headers=mine)
        httpx.post(f"{server.url}/token/revoke", data={"token": found["refresh_token"]})
        log = server.log.read_text()
        told = [f'"prefix":"{made["prefix"]}"', "login refused", "key made", "key revoked", "token revoked"]
        assert [line for line in told if line not in log] == []
        secrets = [PASSWORD, "hunter2x", "a-password-typed-here", made["key"], made["key"][12:]]
        secrets += [found["refresh_token"], *found["access_token"].split(".")[1:]]
        assert [secret for secret in secrets if secret in log] == []
