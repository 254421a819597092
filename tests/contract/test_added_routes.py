"""Routes that people add to the full servers do what they do on the bare framework: same status, body and
headers, live, with the service's ids, log, metrics and limits on.

The routes are in added_fastapi.py and added_flask.py."""

import json
from functools import partial
from pathlib import Path

import httpx
import pytest
from classroom import servers
from classroom.servers import Kind, Server, free_port
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.waiting import until

HERE = Path(__file__).parent
NAMES = ("fastapi", "flask")
OUR_OWN = {"date", "server", "x-request-id", "traceparent", "connection"}
PASSWORD = "hunter2-of-a-client"

REQUESTS = {
    "def": ("GET", "/added/def", {}),
    "stream": ("GET", "/added/stream", {}),
    "events": ("GET", "/added/events", {}),
    "upload": ("POST", "/added/upload", {"files": {"file": ("a.txt", b"x" * 10_000)}}),
    "yield": ("GET", "/added/yield", {}),
    "file": ("GET", "/added/file", {}),
    "redirect": ("GET", "/added/moved", {}),
    "typed": ("POST", "/added/typed", {"json": {"name": "Ada", "password": PASSWORD, "age": 36}}),
}
CASES = [(name, case) for name in NAMES for case in REQUESTS] + [("fastapi", "async")]


def start(name: str, how: str, **env: str) -> Server:
    """One of the two apps as a process of its own. Stop it."""
    app, root = None if how == "bare" else f"{name}_app", str(servers.ROOT)
    own = {"HOST": servers.HOST, "PORT": "{port}", "PYTHONPATH": root, "LOG_FORMAT": "json"} | env
    key = f"added_{name}_{how}"
    servers.KINDS[key] = Kind((str(HERE / f"added_{name}.py"), how), 8000, "/health", app, own, grace=12)
    server = Server(key)
    try:
        server.wait()
    except BaseException:
        server.stop()
        raise
    return server


@pytest.fixture(scope="module")
def bare():
    started = {name: start(name, "bare") for name in NAMES}
    yield started
    for server in started.values():
        server.stop()


@pytest.fixture(scope="module")
def metrics_port() -> dict[str, int]:
    return {name: free_port() for name in NAMES}


@pytest.fixture(scope="module")
def added(iris_root, metrics_port):
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "MAX_IN_FLIGHT": "1"}
    started = {
        name: start(name, "full", **env, METRICS_HOST="127.0.0.1", METRICS_PORT=str(metrics_port[name]))
        for name in NAMES
    }
    yield started
    for server in started.values():
        server.stop()


def lines_of(server: Server, request_id: str) -> list[dict]:
    """What the log says of a request. Waits for the first line."""

    def found() -> list[dict]:
        text = server.log.read_text(encoding="utf-8").splitlines()
        lines = [json.loads(line) for line in text if request_id in line]
        return lines if any(line["event"] == "request" for line in lines) else []

    return until(found, lambda: f"no line for {request_id}")


def is_free(server: Server) -> bool:
    """Whether nothing is in flight: MAX_IN_FLIGHT is one."""
    return server.get("/added/def").status_code == 200


@pytest.mark.parametrize(("name", "case"), CASES)
def test_an_added_route_answers_as_on_the_bare_framework(bare, added, name, case):
    method, path, options = REQUESTS.get(case, ("GET", f"/added/{case}", {}))
    until(lambda: is_free(added[name]))
    expected = bare[name].request(method, path, **options)
    found = added[name].request(method, path, **options, headers={"X-Request-ID": f"added-{case}"})
    assert (found.status_code, found.content) == (expected.status_code, expected.content)
    theirs = {key: value for key, value in expected.headers.items() if key not in OUR_OWN}
    assert {key: value for key, value in found.headers.items() if key not in OUR_OWN} == theirs
    assert found.headers["x-request-id"] == f"added-{case}"
    assert [line["status"] for line in lines_of(added[name], f"added-{case}")] == [found.status_code]


@pytest.mark.parametrize("name", NAMES)
def test_one_that_raises_is_a_problem_and_a_fault_in_the_log(bare, added, name):
    until(lambda: is_free(added[name]))
    found = added[name].get("/added/raises", headers={"X-Request-ID": "added-raises"})
    assert found.status_code == bare[name].get("/added/raises").status_code == 500
    assert found.json()["type"] == "/problems/internal-error" and "luck" not in found.text
    events = [line["event"] for line in lines_of(added[name], "added-raises")]
    assert sorted(events) == ["fault", "request"]


@pytest.mark.parametrize("name", NAMES)
def test_one_that_would_end_the_process_is_a_problem_too(added, name):
    until(lambda: is_free(added[name]))
    for number in range(20):
        found = added[name].get("/added/exits", headers={"X-Request-ID": f"added-exits-{number}"}, timeout=5)
        assert (found.status_code, found.json()["type"]) == (500, "/problems/internal-error")
    events = [line["event"] for line in lines_of(added[name], "added-exits-19")]
    assert sorted(events) == ["fault", "request"]


@pytest.mark.parametrize("name", NAMES)
def test_one_that_gives_a_status_of_its_own_keeps_it(bare, added, name):
    until(lambda: is_free(added[name]))
    found = added[name].get("/added/conflict")
    assert found.status_code == bare[name].get("/added/conflict").status_code == 409
    problem = found.json()
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Conflict", 409)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_breaks_is_broken_off_and_a_fault_in_the_log(bare, added, name):
    for server in (bare[name], added[name]):
        with pytest.raises(httpx.RemoteProtocolError):
            server.get("/added/breaks", headers={"X-Request-ID": "added-breaks"})
    lines = lines_of(added[name], "added-breaks")
    assert sorted(line["event"] for line in lines) == ["fault", "request"]
    until(lambda: is_free(added[name]))


def test_a_stream_of_flasks_that_would_end_the_process_is_broken_off_too(added):
    """One of FastAPI's ends it: it runs in a task of its own, whose SystemExit asyncio hands on."""
    flask = added["flask"]
    with pytest.raises(httpx.RemoteProtocolError):
        flask.get("/added/exits-in-mid-stream", headers={"X-Request-ID": "added-mid-stream"}, timeout=5)
    lines = lines_of(flask, "added-mid-stream")
    assert sorted(line["event"] for line in lines) == ["fault", "request"]
    until(lambda: is_free(flask))


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_is_in_flight_until_its_client_leaves(bare, added, name):
    for server in (bare[name], added[name]):
        until(partial(is_free, server))
        with httpx.stream("GET", server.url + "/added/endless", headers={"X-Request-ID": "added-endless"}):
            refused = server.get("/added/def")
            assert refused.status_code == (200 if server is bare[name] else 503)
        until(partial(is_free, server))
        until(lambda server=server: "endless" in server.get("/added/done").json())
    assert [line["status"] for line in lines_of(added[name], "added-endless")] == [200]


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_nobody_reads_is_given_up(iris_root, name):
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "MAX_IN_FLIGHT": "1", "KEEP_ALIVE_SECONDS": "1"}
    server = start(name, "full", **env, METRICS_PORT="0")
    try:
        asked = {"X-Request-ID": "added-torrent"}
        with httpx.stream("GET", server.url + "/added/torrent", headers=asked):
            until(lambda: is_free(server))
            assert [line["status"] for line in lines_of(server, "added-torrent")] == [200]
    finally:
        server.stop()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_done_after_the_answer_holds_up_nobody(bare, added, name):
    for server in (bare[name], added[name]):
        until(partial(is_free, server))
        before = server.get("/added/done").json().count("later")
        assert server.post("/added/later").json() == {"kind": "later"}
        assert is_free(server)  # with work still to do
        until(
            lambda server=server, wanted=before + 1: server.get("/added/done").json().count("later") == wanted
        )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_opened_for_a_request_is_closed(bare, added, name):
    for server in (bare[name], added[name]):
        until(partial(is_free, server))
        assert server.get("/added/yield").status_code == 200
        found = server.get("/added/done").json()
        assert found.count("opened") == found.count("closed") > 0


@pytest.mark.parametrize(
    "sent", ['{"name":"Ada","password":"%s","age":"old"}', '{"password":"%s"}', '"%s"', "%s"]
)
def test_a_validation_error_repeats_nothing(added, sent):
    found = {}
    for name, server in added.items():
        json_type = {"Content-Type": "application/json", "X-Request-ID": "added-typed-wrong"}
        answer = server.post("/added/typed", content=sent % PASSWORD, headers=json_type)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-input")
        assert PASSWORD not in answer.text and "old" not in answer.text
        found[name] = answer.json()
        assert lines_of(server, "added-typed-wrong")[-1]["problem"] == "invalid-input"
        assert PASSWORD not in server.log.read_text(encoding="utf-8")
    assert found["fastapi"] == found["flask"]


def test_a_websocket_works_as_on_the_bare_framework(bare, added):
    for server in (bare["fastapi"], added["fastapi"]):
        url = server.url.replace("http", "ws") + "/added/echo"
        with connect(url, additional_headers={"X-Request-ID": "added-echo"}, proxy=None) as socket:
            for text in ("hello", "again", "x" * 100_000):
                socket.send(text)
                assert socket.recv(10) == text
            refused = server.get("/added/def")
            assert refused.status_code == (200 if server is bare["fastapi"] else 503)
    assert socket.response.headers["X-Request-ID"] == "added-echo"
    assert [line["status"] for line in lines_of(added["fastapi"], "added-echo")] == [101]
    until(lambda: is_free(added["fastapi"]))


@pytest.mark.parametrize(("path", "status"), [(f"/added/typed?age={PASSWORD}", 400), ("/added/none", 403)])
def test_a_websocket_that_is_refused_repeats_nothing(added, path, status):
    url = added["fastapi"].url.replace("http", "ws")
    with pytest.raises(InvalidStatus) as refused, connect(url + path, proxy=None):
        pass
    response = refused.value.response
    assert response.status_code == status and PASSWORD.encode() not in response.body
    assert status == 403 or json.loads(response.body)["type"] == "/problems/invalid-input"


def test_the_metrics_count_the_added_routes_and_nothing_stays_in_flight(added, metrics_port):
    for name, server in added.items():
        until(partial(is_free, server))
        found = httpx.get(f"http://127.0.0.1:{metrics_port[name]}/metrics", trust_env=False).text
        assert "http_requests_in_flight 0.0" in found
        assert 'status="200"' in found
