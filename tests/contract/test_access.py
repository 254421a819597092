"""With ACCESS=on: who may use which route, on both servers alike, and what tells the others why not."""

import json
import os
import subprocess
import sys

import httpx
import pytest
from classroom.servers import ROOT, Server
from credentials import Guarded, bearer, eventually, predict

from apps.service.access.declared import PUBLIC, SCOPES, SIGNED_IN


@pytest.fixture(params=["fastapi", "flask"])
def server(request: pytest.FixtureRequest, guarded: Guarded) -> Server:
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
    (told,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]  # no line of the log
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


def test_the_log_says_who_was_refused(server, guarded):
    refused = predict(server, bearer(guarded.token(server, "only-jobs")["access_token"]))
    assert refused.status_code == 403

    def lines() -> list[dict]:
        told = [json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines()]
        return [line for line in told if line.get("request_id") == refused.headers["X-Request-ID"]]

    assert eventually(lines)
    assert [line["caller"] for line in lines()] == ["user:only-jobs"]
