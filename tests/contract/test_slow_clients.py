"""Clients that stall, flood or vanish cost a server a connection, and nobody else anything."""

import contextlib
import json
import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from pairs import FULL, pair
from promises import Watch, check_answer, memory
from wire import Connection, request_bytes

from tests.waiting import PATIENCE, until

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
JSON = {"Content-Type": "application/json"}
SETOSA = b'{"features":[5.1,3.5,1.4,0.2]}'
STALLS = {  # what is sent at once, and what then comes byte by byte
    "line": (b"GE", b""),
    "head": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX", b""),
    "head-in-drops": (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ", b"a" * 10_000),
    "headers-in-drops": (b"GET /health HTTP/1.1\r\nHost: localhost\r\n", b"X: a\r\n" * 10_000),
    "body": (HEAD + b"Content-Length: 40\r\n\r\n", b""),
    "body-cut": (HEAD + b'Content-Length: 40\r\n\r\n{"fea', b""),
    "body-in-drops": (HEAD + b"Content-Length: 10000\r\n\r\n", b" " * 10_000),
    "chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b""),
    "chunk-of-280-terabytes": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFF\r\n{", b""),
    "chunks-in-drops": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 10_000),
    "unknown-path": (b"POST /nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n", b""),
}
EACH = 4  # connections for each stall


@pytest.fixture(scope="module")
def impatient(iris_root):
    """Both full servers, which wait a second for a request to arrive, and answer eight at a time."""
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "REQUEST_TIMEOUT_SECONDS": "1"}
    env |= {"MAX_IN_FLIGHT": "8"}
    with pair(env) as servers:
        yield servers


def test_a_request_that_stalls_is_given_up_while_others_are_served(impatient):
    with contextlib.ExitStack() as stack:
        stalled = []
        for server in impatient.values():
            for name, (first, drops) in STALLS.items():
                for _ in range(EACH):
                    connection = stack.enter_context(Connection(server.url))
                    connection.send(first)
                    stalled.append((server, name, connection, iter(drops)))
        waiting = {connection.socket: drops for _, _, connection, drops in stalled}
        deadline = time.monotonic() + PATIENCE
        while waiting and time.monotonic() < deadline:
            for done in select.select(list(waiting), [], [], 0.05)[0]:
                del waiting[done]
            for held, drops in waiting.items():
                with contextlib.suppress(StopIteration, ConnectionError):
                    held.sendall(bytes([next(drops)]))
            for server in impatient.values():
                assert server.get("/health", timeout=1).status_code == 200
        for server, name, connection, _ in stalled:
            answer = connection.receive()
            assert (server.name, name, answer.status) == (server.name, name, 408)
            check_answer(server, answer)
            assert answer.headers["connection"] == "close"
            assert connection.is_closed()


def test_who_was_answered_before_the_body_came_gets_no_second_answer(impatient):
    for server in impatient.values():
        with Watch(server) as watch, Connection(server.url) as connection:
            connection.send(HEAD + b"Content-Length: 99999999\r\n\r\n{")
            answer = connection.receive()
            assert answer.status == 413
            assert connection.is_closed()
            watch.line_of(answer)
            assert watch.log.count(b'"route":"/predict"') == 1


@pytest.mark.parametrize("sent", [b"", b"GE", STALLS["head"][0], STALLS["body-cut"][0], STALLS["chunk"][0]])
@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_client_that_leaves_is_no_fault_of_the_server(full, sent, how):
    for server in full.values():
        before = server.log.stat().st_size
        for _ in range(5):
            with Connection(server.url) as connection:
                connection.send(sent)
                if how == "reset":
                    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert server.get("/health", timeout=1).status_code == 200
        with server.log.open("rb") as log:
            log.seek(before)
            levels = {json.loads(line)["level"] for line in log.read().splitlines()}
        assert levels <= {"info"}


def test_clients_that_never_read_their_answers_hold_up_nobody(full):
    batch = json.dumps({"instances": [[5.1, 3.5, 1.4, 0.2]] * 1000}).encode()
    request = request_bytes("POST", "/predict/batch", JSON, batch)
    for server in full.values():
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                stack.enter_context(Connection(server.url)).send(request)
            for _ in range(10):
                assert server.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).status_code == 200
            assert server.get("/health", timeout=1).status_code == 200


def test_clients_that_send_ahead_and_never_read_hold_no_thread(impatient):
    """There are more of them than Flask's server has threads, and each asks for 60 MB."""
    many = request_bytes("GET", "/docs/swagger-ui-bundle.js", {}, keep=True) * 40
    for server in impatient.values():
        with contextlib.ExitStack() as stack:
            for _ in range(32):
                stack.enter_context(Connection(server.url)).send(many)
            for _ in range(20):
                assert server.get("/health", timeout=PATIENCE).status_code == 200
                time.sleep(0.1)  # what they are sent does not all go out at once


@pytest.mark.parametrize("name", FULL)
def test_what_is_sent_ahead_is_answered_in_its_order(full, name):
    ids = [f"ahead-{number}" for number in range(300)]
    many = b"".join(request_bytes("GET", "/health", {"X-Request-ID": one}, keep=True) for one in ids)
    upload = request_bytes("POST", "/predict", JSON, b"{".ljust(100_000))
    with contextlib.ExitStack() as stack:
        for _ in range(3):  # others, so that this one is in a crowd
            stack.enter_context(Connection(full[name].url))
        connection = stack.enter_context(Connection(full[name].url))
        connection.send(many + b"\r\n" + upload)
        assert [connection.receive().request_id for _ in ids] == ids
        assert connection.receive().status == 400
        assert connection.is_closed()


def logged_since(server, before: int) -> list[dict]:
    with server.log.open("rb") as log:
        log.seek(before)
        return [json.loads(line) for line in log.read().splitlines(keepends=True) if line.endswith(b"\n")]


RESET = b"\1\0\0\0\0\0\0\0"  # for SO_LINGER: what is not sent is thrown away, and the other side told


def test_clients_that_pipeline_and_never_read_are_cut_off_without_a_fault(full):
    many = request_bytes("POST", "/predict", JSON, SETOSA) * 2000
    for server in full.values():
        before = server.log.stat().st_size
        for _ in range(3):
            with contextlib.ExitStack() as stack:
                for _ in range(12):
                    connection = stack.enter_context(Connection(server.url))
                    connection.socket.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        connection.socket.send(many)
                    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                assert server.get("/health", timeout=5).status_code == 200
        assert server.get("/health", timeout=5).status_code == 200
        assert {line["level"] for line in logged_since(server, before)} == {"info"}


def test_what_clients_send_ahead_and_never_read_takes_no_memory(full):
    many = request_bytes("POST", "/predict", JSON, SETOSA, keep=True) * 4000
    for server in full.values():
        assert server.get("/health", timeout=5).status_code == 200
        before = memory(server)
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(Connection(server.url)) for _ in range(30)]
            for connection in connections:
                connection.socket.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection.socket.send(many)
            for turn in range(50):  # and a little at a time, as that is taken
                for connection in connections:
                    with contextlib.suppress(BlockingIOError):
                        connection.socket.send(many[: 100 * len(many) // 4000])
                if turn % 10 == 0:
                    assert server.get("/health", timeout=PATIENCE).status_code == 200
            assert memory(server) - before < 60 << 20
            for connection in connections:
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def test_large_bodies_that_are_refused_leave_nothing(full):
    """An error that was kept held the frames where it arose, and the body, until a collection of garbage."""
    large = b'{"features": "' + b"a" * ((1 << 20) - 100) + b'"}'
    for server in full.values():
        before = memory(server)
        with ThreadPoolExecutor(8) as clients:
            found = clients.map(lambda _: server.post("/predict", content=large, headers=JSON), range(400))  # noqa: B023
        assert {answer.status_code for answer in found} == {400}
        assert memory(server) - before < 60 << 20, server.name


def test_many_requests_sent_ahead_are_answered_in_their_order(full):
    """Also where bodies are larger than what is looked at at a time."""
    ids = [f"ahead-{n}" for n in range(120)]
    sent = b"".join(
        request_bytes(
            "POST",
            "/predict",
            {**JSON, "X-Request-ID": ids[n]},
            SETOSA + b" " * (40_000 if n % 40 == 7 else 0),
            keep=True,
        )
        for n in range(120)
    )
    for server in full.values():
        with Connection(server.url) as connection:
            connection.send(sent)
            answers = [connection.receive() for _ in ids]
        assert [answer.status for answer in answers] == [200] * 120, server.name
        assert [answer.headers["x-request-id"] for answer in answers] == ids


def test_a_client_that_resets_in_its_body_has_a_line_in_the_log(full):
    for server in full.values():
        before = server.log.stat().st_size
        for _ in range(20):
            with Connection(server.url) as connection:
                connection.send(STALLS["body-cut"][0])
                time.sleep(0.01)  # or the head may be thrown away with the rest
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        def lines(server=server, before=before) -> list[dict]:
            return [line for line in logged_since(server, before) if line.get("status") == 499]

        until(lambda lines=lines: len(lines()) >= 20, lambda lines=lines: lines())
        assert [(line["method"], line["route"]) for line in lines()] == 20 * [("POST", "/predict")]


@pytest.mark.parametrize("chunked", [False, True])
def test_whoever_sends_too_much_can_read_why(full, chunked):
    coding = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: 8000000\r\n\r\n"
    part = b"10000\r\n" + bytes(0x10000) + b"\r\n" if chunked else bytes(0x10000)
    for server in full.values():
        with Connection(server.url) as connection:
            connection.send(HEAD + coding)
            with contextlib.suppress(BrokenPipeError):
                for _ in range(120):
                    connection.socket.sendall(part)
            time.sleep(0.2)  # a reset would throw the answer away, read or not
            answer = connection.receive()
            assert answer.status == 413
            check_answer(server, answer)


def test_health_is_answered_in_a_flood_of_connections(full):
    resource = pytest.importorskip("resource", reason="needs a system that limits open files as POSIX does")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2500
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    except (ValueError, OSError):
        pytest.skip("needs the permission to open 2,500 files")
    for server in full.values():
        allow_files(server, wanted)
        with contextlib.ExitStack() as stack:
            for _ in range(2000):
                stack.enter_context(contextlib.closing(plain(server)))
            for _ in range(5):
                with Connection(server.url) as connection:
                    connection.socket.settimeout(1)
                    connection.send(request_bytes("GET", "/health", {}))
                    assert connection.receive().status == 200
            assert server.get("/health", timeout=1).status_code == 200
        assert server.get("/health", timeout=1).status_code == 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def plain(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)


def allow_files(server, count: int) -> None:
    process = psutil.Process(server.process.pid)
    if hasattr(process, "rlimit"):
        soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
        process.rlimit(psutil.RLIMIT_NOFILE, (max(soft, min(count, hard)), hard))


def test_a_server_out_of_files_comes_back(iris_root):
    if not hasattr(psutil, "RLIMIT_NOFILE"):
        pytest.skip("needs a system whose limits can be changed from outside (Linux)")
    with pair({"MODEL_PATH": str(iris_root / "models" / "iris")}) as servers:
        for server in servers.values():
            process = psutil.Process(server.process.pid)
            files = process.num_fds() + 10
            process.rlimit(psutil.RLIMIT_NOFILE, (files, files))
            with contextlib.ExitStack() as stack:
                for _ in range(100):
                    stack.enter_context(contextlib.closing(plain(server)))
                time.sleep(0.5)  # it finds out that it cannot take them all
            deadline = time.monotonic() + PATIENCE
            while not is_healthy(server):
                assert time.monotonic() < deadline, server.tail(20)
            assert server.alive


def is_healthy(server) -> bool:
    try:
        with Connection(server.url) as connection:
            connection.socket.settimeout(1)
            connection.send(request_bytes("GET", "/health", {}))
            return connection.receive().status == 200
    except OSError:
        return False
