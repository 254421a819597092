"""From the first moment of a full server's life to its last: what it accepts it answers, what it cannot do it
says at once, and nobody who stalls keeps it from its end."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest
from classroom.servers import ROOT, Server, free_port, serve
from pairs import FULL
from promises import check_answer
from waiting_model import QUICK, SLOW, Hold
from wire import Connection, post, request_bytes, send

from apps.service.settings import SettingsError
from apps.service.settings import read as read_settings
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/json"}
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals (Windows has CTRL_BREAK_EVENT)")
both_names = pytest.mark.parametrize("name", FULL)


def full_server(name: str, env: dict[str, str], **options):
    return serve(name, env={"LOG_FORMAT": "json", "METRICS_PORT": "0", **env}, **options)


@pytest.fixture(scope="module")
def iris_env(iris_root) -> dict[str, str]:
    return {"MODEL_PATH": str(iris_root / "models" / "iris")}


def ended(server: Server) -> int:
    """The exit code. Fails where the process does not end."""
    return server.process.wait(PATIENCE)


def body(features: list[float]) -> bytes:
    return json.dumps({"features": features}).encode()


def until_nobody_new(server: Server) -> None:
    """Ask whether it is ready until it takes no connection any more: no until then, once it has said so."""
    refused, deadline = False, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            answer = send(server.url, request_bytes("GET", "/health/ready", {}))
        except (OSError, HTTPException):
            return
        if answer.status == 503:
            refused = True
            assert json.loads(answer.body)["type"] == "/problems/draining"
        assert answer.status == 503 or not refused
    raise AssertionError("it accepts connections still")


@posix
@both_names
def test_a_request_in_flight_is_answered_before_the_end(name, waiting_env, holding):
    with (
        full_server(name, waiting_env | {"GRACE_SECONDS": "60", "PREDICT_TIMEOUT_SECONDS": "60"}) as server,
        ThreadPoolExecutor(2) as clients,
        Hold(holding) as hold,
    ):
        slow = clients.submit(post, server.url, body(SLOW))
        rows = json.dumps({"instances": [SLOW, QUICK]}).encode()
        batch = clients.submit(post, server.url, rows, "/predict/batch")
        hold.await_begin()
        time.sleep(0.3)  # the batch has come too
        server.process.send_signal(signal.SIGTERM)
        until_nobody_new(server)
        assert server.alive and not slow.done()
        hold.release()
        assert json.loads(slow.result().body)["prediction"] == [3.0]
        assert json.loads(batch.result().body)["prediction"] == [3.0, 2.0]
        assert ended(server) == 0


@posix
@both_names
def test_while_it_drains_it_is_alive_not_ready_and_still_answers(name, iris_env):
    with full_server(name, iris_env | {"DRAIN_SECONDS": "4"}) as server, Connection(server.url) as kept:
        kept.send(request_bytes("GET", "/health/ready", {}, keep=True))
        assert kept.receive().status == 200
        server.process.send_signal(signal.SIGTERM)
        while server.get("/health/ready").status_code == 200:
            time.sleep(0.02)
        for path in ("/health", "/health/ready", "/v2/health/ready"):
            answer = send(server.url, request_bytes("GET", path, {}))
            check_answer(server, answer)
            assert (answer.status, json.loads(answer.body)["type"]) == (503, "/problems/draining")
        assert server.get("/health/live").status_code == 200
        assert server.get("/v2/health/live").status_code == 200
        assert post(server.url, body([5.1, 3.5, 1.4, 0.2])).status == 200
        kept.send(request_bytes("GET", "/health/live", {}, keep=True))
        assert kept.receive().status == 200
        until_nobody_new(server)
        assert ended(server) == 0


@posix
@both_names
def test_what_takes_longer_than_the_grace_is_given_up(name, waiting_env, holding):
    env = waiting_env | {"GRACE_SECONDS": "1", "PREDICT_TIMEOUT_SECONDS": "60"}
    with full_server(name, env) as server, Connection(server.url) as connection, Hold(holding) as hold:
        connection.send(request_bytes("POST", "/predict", JSON, body(SLOW)))
        hold.await_begin()
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0
        with contextlib.suppress(OSError, HTTPException):
            assert connection.receive().status == 503
        assert "Traceback" not in server.log.read_text(encoding="utf-8")


@posix
@both_names
def test_a_second_signal_ends_it_at_once(name, waiting_env, holding):
    env = waiting_env | {"GRACE_SECONDS": "600", "PREDICT_TIMEOUT_SECONDS": "600"}
    with full_server(name, env) as server, Connection(server.url) as connection, Hold(holding) as hold:
        connection.send(request_bytes("POST", "/predict", JSON, body(SLOW)))
        hold.await_begin()
        server.process.send_signal(signal.SIGTERM)
        until_nobody_new(server)
        assert server.alive
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0


@posix
@both_names
def test_connections_without_a_request_do_not_hold_up_the_end(name, iris_env):
    env = iris_env | {"GRACE_SECONDS": "600", "KEEP_ALIVE_SECONDS": "600", "REQUEST_TIMEOUT_SECONDS": "3"}
    parts = [
        b"",  # says nothing
        b"GE",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 40\r\n\r\n{",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    ]
    with full_server(name, env) as server, contextlib.ExitStack() as stack:
        for part in parts * 3:
            stack.enter_context(Connection(server.url)).send(part)
        for _ in range(3):
            idle = stack.enter_context(Connection(server.url))
            idle.send(request_bytes("GET", "/health", {}, keep=True))
            assert idle.receive().status == 200
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0


@posix
@both_names
def test_no_request_is_lost_when_a_server_under_load_is_told_to_stop(name, iris_env):
    """Its clients do as a load balancer does: they look at readiness, and send elsewhere once it is gone."""
    ready, statuses, failed = threading.Event(), [], []
    ready.set()

    def watch(server: Server) -> None:
        while ready.is_set():
            if send(server.url, request_bytes("GET", "/health/ready", {})).status != 200:
                ready.clear()
            time.sleep(0.05)

    def load(server: Server, keep: bool) -> None:
        request = request_bytes("POST", "/predict", JSON, body([5.1, 3.5, 1.4, 0.2]), keep=keep)
        connection = None
        while ready.is_set():
            try:
                connection = connection or Connection(server.url)
                connection.send(request)
                statuses.append(connection.receive().status)
                if not keep:
                    connection.close()
                    connection = None
            except (OSError, HTTPException) as error:
                failed.append(error)
                connection = None
        if connection:
            connection.close()

    with full_server(name, iris_env | {"DRAIN_SECONDS": "2"}) as server, ThreadPoolExecutor(7) as clients:
        clients.submit(watch, server)
        for keep in (True, True, True, False, False, False):
            clients.submit(load, server, keep)
        while len(statuses) < 500:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0
    assert (failed, set(statuses)) == ([], {200})


@posix
@both_names
def test_kept_connections_are_told_of_the_end_and_lose_no_request(name, iris_env):
    """Their clients know nothing of readiness and never stop asking."""
    request = request_bytes("POST", "/predict", JSON, body([5.1, 3.5, 1.4, 0.2]), keep=True)
    ended_by, answered = [], threading.Semaphore(0)

    def load(server: Server) -> None:
        with Connection(server.url) as connection:
            while True:
                try:
                    connection.send(request)
                    answer = connection.receive()
                except (OSError, HTTPException) as error:
                    ended_by.append(error)
                    return
                answered.release()
                if answer.headers.get("connection") == "close":
                    ended_by.append(answer.status)
                    return

    with full_server(name, iris_env) as server, ThreadPoolExecutor(16) as clients:
        for _ in range(16):
            clients.submit(load, server)
        for _ in range(500):
            answered.acquire()
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0
    assert ended_by == [200] * 16


@both_names
def test_while_the_model_loads_the_server_is_live_and_not_ready(name, waiting_env, holding):
    with Hold(holding, "loading") as hold, full_server(name, waiting_env, wait="port") as server:
        hold.await_begin()
        for path in ("/health", "/health/ready", "/model", "/predict"):
            method, data = ("POST", body(QUICK)) if path == "/predict" else ("GET", b"")
            answer = send(server.url, request_bytes(method, path, JSON, data))
            check_answer(server, answer)
            assert (answer.status, json.loads(answer.body)["type"]) == (503, "/problems/model-loading"), path
        assert server.get("/health/live").status_code == 200
        hold.release()
        while server.get("/health/ready").status_code == 503:
            time.sleep(0.05)
        assert post(server.url, body(QUICK)).status == 200


@posix
@both_names
def test_a_model_that_still_loads_does_not_hold_up_the_end(name, waiting_env, holding):
    with Hold(holding, "loading") as hold, full_server(name, waiting_env, wait="port") as server:
        hold.await_begin()
        assert server.get("/health/live").status_code == 200  # it is ready to be told, too
        server.process.send_signal(signal.SIGTERM)
        assert ended(server) == 0


@both_names
def test_after_a_kill_the_next_one_has_the_port_at_once(name, iris_env):
    port = free_port()
    for _ in range(2):
        server = Server(name, env=iris_env | {"METRICS_PORT": "0"}, port=port)
        try:
            server.wait()
            with Connection(server.url) as connection:
                connection.send(request_bytes("GET", "/health", {}, keep=True))
                assert connection.receive().status == 200
                server.process.kill()
                server.process.wait(PATIENCE)
        finally:
            server.stop()


@posix
@both_names
def test_ctrl_c_in_a_terminal_ends_it_without_a_word(name, iris_env):
    """`Server` keeps SIGINT from what it starts; here is one that nothing stands before."""
    port = free_port()
    env = os.environ | iris_env | {"PORT": str(port), "METRICS_PORT": "0", "LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", f"apps.{name}_app"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                if send(f"http://127.0.0.1:{port}", request_bytes("GET", "/health", {})).status == 200:
                    break
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE)
        assert (process.returncode, output) == (0, b"")


WRONG = {
    "PORT": "five thousand",
    "MAX_BODY_BYTES": "0",
    "MAX_IN_FLIGHT": "-1",
    "GRACE_SECONDS": "nan",
    "REQUEST_TIMEOUT_SECONDS": "0",
    "LOG_LEVEL": "loud",
    "LOG_FORMAT": "xml",
    "MODEL_FORMAT": "pickle",
    "METRICS_PORT": "70000",
}


def failed_starts(name: str, environments: list[dict[str, str]]) -> list[tuple[int, str]]:
    """Exit code and output of servers that cannot start, all at the same time."""
    clean = {key: value for key, value in os.environ.items() if key not in WRONG}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"apps.{name}_app"],
            cwd=ROOT,
            env=clean | {"PORT": str(free_port())} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for env in environments
    ]
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]


@both_names
def test_a_setting_that_cannot_be_used_is_one_line_that_names_it(name):
    """What the others say is in test_settings_say_which_of_them_is_wrong."""
    for code, output in failed_starts(name, [{"PORT": "five thousand"}]):
        assert code not in (0, None)
        assert output.startswith(f"{name}_app: PORT: expected") and output.count("\n") == 1, output
        assert "five thousand" not in output


@pytest.mark.parametrize(("variable", "value"), [*WRONG.items()])
def test_settings_say_which_of_them_is_wrong(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        read_settings(port=8000)
    assert str(caught.value).startswith(f"{variable}: ") and "\n" not in str(caught.value)
    assert value not in str(caught.value) or value in "0"


@both_names
def test_an_address_that_is_not_to_be_had_is_one_line_that_says_so(name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = [{"PORT": port, "METRICS_PORT": "0"}, {"HOST": "192.0.2.1", "ACCESS": "off"}]
        starts = failed_starts(name, settings)
    for code, output in starts:
        assert code not in (0, None)
        assert output.startswith(f"{name}_app: cannot listen on ") and output.count("\n") == 1, output
        assert "while attempting" not in output  # Python's addition, which says the address once more
    assert f"127.0.0.1:{port}" in starts[0][1] and "set PORT" in starts[0][1]
