"""With ACCESS=on: who may use which route, on both servers alike, and what tells the others why not."""

import json
import os
import subprocess
import sys
import time

import httpx
import pytest
from classroom.servers import ROOT
from credentials import PASSWORD, Guarded, bearer, eventually, predict

from apps.service.access.declared import PUBLIC, SCOPES, SIGNED_IN


@pytest.fixture(params=["fastapi", "flask"])
def server(request: pytest.FixtureRequest, guarded: Guarded):
    return guarded.servers[request.param]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str, list[str]]]]:
    """Of each server: template, method and scopes, as it knows them itself."""
    code = (
        "import json, os; from apps import {0} as door; from apps.service import build\n"
        "service = build('{0}', 0); door.create_app(service)\n"
        "found = [(t, m, sorted(d.scope for d in ds)) for t, m, ds in service.requests.routes.listed()]\n"
        "print(json.dumps(sorted(found)), flush=True); os._exit(0)"
    )
    folder = str(tmp_path_factory.mktemp("access"))
    env = os.environ | {"ACCESS": "on", "ACCESS_PATH": folder, "METRICS_PORT": "0"}
    found = {}
    for name in ("fastapi", "flask"):
        command = [sys.executable, "-c", code.format(f"{name}_app")]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_both_servers_declare_the_same(routes):
    assert routes["fastapi"] == routes["flask"]
    assert all(len(scopes) == 1 for _, _, scopes in routes["fastapi"])


def test_the_matrix_of_routes_methods_and_callers(routes, guarded):
    """Every route and method that there is, and none can escape: the list is the servers' own."""
    for name, server in guarded.servers.items():
        callers = {
            "nobody": {},
            "wrong token": bearer("a.b.c"),
            "wrong key": {"X-API-Key": "sk_00000000_" + "a" * 43},
            "wrong scheme": {"Authorization": "Basic eDp5"},
            **{scope: bearer(guarded.token(server, f"only-{scope}")["access_token"]) for scope in SCOPES},
        }
        seen, expected = {}, {}
        with httpx.Client(base_url=server.url) as client:
            for template, method, (scope,) in routes[name]:
                path = template.replace("{", "").replace("}", "")
                for caller, headers in callers.items():
                    status = client.request(method, path, headers=headers).status_code
                    seen[template, method, caller] = status if status in (401, 403) else "let in"
                    if scope == PUBLIC:
                        allowed = "let in"
                    elif caller not in SCOPES:
                        allowed = 401
                    else:
                        allowed = "let in" if scope in (SIGNED_IN, caller) else 403
                    if (template, method) == ("/token", "POST"):
                        allowed = "let in"
                    expected[template, method, caller] = allowed
        assert seen == expected


def test_what_matches_no_route_is_not_there_for_anybody(server):
    assert httpx.get(f"{server.url}/nope").status_code == 404
    refused = httpx.put(f"{server.url}/predict")
    assert refused.status_code == 405 and refused.headers["Allow"] == "POST"


def test_who_says_nothing_is_asked_and_who_is_wrong_is_told_so(server):
    """RFC 6750, section 3: no error code where no credentials came."""
    asked = predict(server)
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"] == 'Bearer realm="servelab"'
    told = predict(server, bearer("a.b.c"))
    assert told.status_code == 401 and 'error="invalid_token"' in told.headers["WWW-Authenticate"]
    assert told.json()["type"] == "/problems/unauthorized" and "a.b.c" not in told.text


def test_a_scope_that_is_missing_is_named(server, guarded):
    refused = predict(server, bearer(guarded.token(server, "only-jobs")["access_token"]))
    assert refused.status_code == 403
    challenge = refused.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge and 'scope="predict"' in challenge


def test_credentials_are_looked_at_before_the_body(server):
    answer = httpx.post(f"{server.url}/predict", content=b"{", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 401


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


def test_the_document_says_who_may(guarded):
    documents = [httpx.get(f"{server.url}/openapi.json").json() for server in guarded.servers.values()]
    for document in documents:
        document["info"].pop("summary")
    assert documents[0] == documents[1]
    schemes = documents[0]["components"]["securitySchemes"]
    assert schemes["token"]["flows"]["password"]["tokenUrl"] == "/token"
    paths = documents[0]["paths"]
    assert paths["/predict"]["post"]["security"] == [{"token": ["predict"]}, {"key": ["predict"]}]
    assert {"401", "403"} <= {*paths["/predict"]["post"]["responses"]}
    assert "security" not in paths["/health"]["get"]
    assert "application/x-www-form-urlencoded" in paths["/token"]["post"]["requestBody"]["content"]


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


UNDECLARED = """
from apps import {0}_app as door
from apps.service import build
service = build("{0}_app", port=0)
def create_app(service):
    app = door.create_app(service)
    {1}
    return app
from apps.servers import {2}_server as server
server.run(create_app, service)
"""


@pytest.mark.parametrize(
    ("name", "route", "server"),
    [
        ("fastapi", "app.get('/mine')(lambda: 1)", "uvicorn"),
        ("flask", "app.get('/mine')(lambda: '1')", "waitress"),
    ],
)
def test_a_route_that_declares_nothing_stops_the_start(name, route, server, tmp_path):
    env = os.environ | {"ACCESS": "on", "ACCESS_PATH": str(tmp_path), "PORT": "0", "METRICS_PORT": "0"}
    command = [sys.executable, "-c", UNDECLARED.format(name, route, server)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode not in (0, None)
    told = done.stderr.splitlines()[0]
    assert told.startswith(f"{name}_app: ") and "/mine does not" in told and "@access" in told


UNUSABLE = [
    ({"HOST": "0.0.0.0"}, "Set ACCESS=on"),
    ({"HOST": "::"}, "Set ACCESS=on"),
    ({"ACCESS": "on", "JWT_SECRET": "changeme"}, "JWT_SECRET: expected 32 bytes or more"),
    ({"ACCESS": "on", "JWT_SECRET": "your-256-bit-secret" * 3}, "JWT_SECRET: expected a random one"),
    ({"ACCESS": "on", "DATABASE_URL": "nonsense"}, "DATABASE_URL: expected a URL"),
    ({"ACCESS": "on", "DATABASE_URL": "oracle+none://a:hunter2@b"}, "DATABASE_URL: expected a URL"),
    ({"ACCESS": "on", "DATABASE_URL": "sqlite:////dev/null/x"}, "DATABASE_URL: the database cannot be used"),
    ({"ACCESS": "on", "ACCESS_PATH": "/dev/null/x"}, "ACCESS_PATH: "),
    ({"ACCESS": "on", "TOKEN_SECONDS": "86400"}, "TOKEN_SECONDS: "),
    ({"ACCESS": "maybe"}, "ACCESS: "),
    ({"ALLOWED_HOSTS": "http://a.example"}, "ALLOWED_HOSTS: "),
    ({"RATE_LIMITS": "many"}, "RATE_LIMITS: expected 600/minute"),
    ({"RATE_LIMITS": "prediction=1/minute"}, "RATE_LIMITS: "),
    ({"TRUSTED_PROXIES": "proxy"}, "TRUSTED_PROXIES: "),
    ({"RATE_LIMITS": "1/minute", "REDIS_URL": "http://:hunter2@a"}, "REDIS_URL: expected an address"),
]
STARTS = """
import json, os, sys
from apps.service import build
before = dict(os.environ)
for settings in json.loads(sys.argv[2]):
    os.environ.clear()
    os.environ.update(before | settings)
    try:
        build(sys.argv[1], port=0)
    except SystemExit as end:
        print(end)
"""


@pytest.mark.parametrize("name", ["fastapi_app", "flask_app"])
def test_what_cannot_be_used_stops_the_start_with_a_sentence(name, tmp_path):
    """All in one process, up to what every server does first; one of them in a process of its own."""
    env = os.environ | {"ACCESS_PATH": str(tmp_path), "PORT": "0", "METRICS_PORT": "0"}
    command = [sys.executable, "-c", STARTS, name, json.dumps([settings for settings, _ in UNUSABLE])]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=True)
    said = done.stdout.splitlines()
    assert len(said) == len(UNUSABLE), done.stdout
    for line, (_, told) in zip(said, UNUSABLE, strict=True):
        assert line.startswith(f"{name}: ") and told in line and "hunter2" not in line
    settings, told = UNUSABLE[2]
    command = [sys.executable, "-m", f"apps.{name}"]
    done = subprocess.run(command, cwd=ROOT, env=env | settings, capture_output=True, text=True, timeout=60)
    assert done.returncode not in (0, None)
    assert done.stderr.startswith(f"{name}: {told}") and done.stderr.count("\n") == 1


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
