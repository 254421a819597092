"""Bodies that a view takes in pieces: as large as its setting allows, with flat memory, and held to the same
rules as all others."""

import hashlib
import json
import time
from collections.abc import Iterator

import httpx
import pytest
from promises import memory
from test_added_routes import NAMES, start
from wire import Answer, Connection, chunked_bytes, request_bytes

from tests.waiting import until

MB = 1 << 20
LIMIT = 210 * MB
GROWTH_ALLOWED = 40 * MB  # of a server that takes 200 MB
SLOW = 1.0  # seconds for a request to arrive


@pytest.fixture(scope="module")
def servers():
    env = {"JOBS_MAX_BYTES": str(LIMIT), "REQUEST_TIMEOUT_SECONDS": str(SLOW), "MAX_IN_FLIGHT": "4"}
    started = {name: start(name, "full", METRICS_PORT="0", **env) for name in NAMES}
    yield started
    for server in started.values():
        server.stop()


@pytest.fixture(params=NAMES)
def server(request: pytest.FixtureRequest, servers):
    return servers[request.param]


def pieces(count: int, size: int = MB) -> Iterator[bytes]:
    for number in range(count):
        yield number.to_bytes(4) * (size // 4)


def digest_of(parts: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def problem_of(answer: Answer) -> str:
    return json.loads(answer.body)["type"].removeprefix("/problems/")


def head(length: int, path: str = "/added/pieces") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode()


@pytest.mark.parametrize(("framing", "count"), [("length", 200), ("chunked", 80)])
def test_two_hundred_megabytes_arrive_whole_and_memory_stays_flat(server, framing, count):
    headers = {"Content-Length": str(count * MB)} if framing == "length" else {}
    httpx.post(f"{server.url}/added/pieces", content=pieces(2), timeout=60)
    before, most = memory(server), 0

    def watched() -> Iterator[bytes]:
        nonlocal most
        for number, piece in enumerate(pieces(count)):
            if number % 20 == 19:
                most = max(most, memory(server))
            yield piece

    answer = httpx.post(f"{server.url}/added/pieces", content=watched(), headers=headers, timeout=60)
    assert answer.json() == {"size": count * MB, "sha256": digest_of(pieces(count))}
    most = max(most, memory(server))
    assert most - before < GROWTH_ALLOWED, f"{(most - before) >> 20} MB"


def test_small_pieces_and_none_at_all(server):
    small = b"abc" * 20_000
    request = chunked_bytes("/added/pieces", {}, small, 20)  # a quarter of it is framing
    with Connection(server.url) as connection:
        connection.send(request)
        found = json.loads(connection.receive().body)
    assert found == {"size": len(small), "sha256": hashlib.sha256(small).hexdigest()}
    empty = hashlib.sha256().hexdigest()
    assert server.post("/added/pieces").json() == {"size": 0, "sha256": empty}
    with Connection(server.url) as connection:
        connection.send(request_bytes("POST", "/added/pieces", {}, b"one", keep=True) * 2)
        assert [json.loads(connection.receive().body)["size"] for _ in range(2)] == [3, 3]


def test_one_that_is_too_large_is_refused_by_its_length_alone(server):
    with Connection(server.url) as connection:
        connection.send(head(LIMIT + 1))
        answer = connection.receive()
    assert (answer.status, problem_of(answer)) == (413, "content-too-large")
    assert f"at most {LIMIT} bytes" in json.loads(answer.body)["detail"]


def test_one_that_is_too_large_in_chunks_is_refused_when_it_is(server):
    before = memory(server)
    with Connection(server.url) as connection:
        connection.send(
            b"POST /added/pieces HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"%x\r\n" % MB + bytes(MB) + b"\r\n"
        for _ in range(211):
            connection.send(piece)
        answer = connection.receive()
    assert (answer.status, problem_of(answer)) == (413, "content-too-large")
    assert memory(server) - before < GROWTH_ALLOWED


def test_other_routes_take_no_more_than_before(server):
    with Connection(server.url) as connection:
        connection.send(head(2 * MB, "/added/typed"))
        answer = connection.receive()
    assert (answer.status, problem_of(answer)) == (413, "content-too-large")
    assert f"at most {MB} bytes" in json.loads(answer.body)["detail"]


def test_one_that_stops_is_refused_after_its_time(server):
    with Connection(server.url) as connection:
        connection.send(head(10_000) + b"some")
        answer = connection.receive()
    assert (answer.status, problem_of(answer)) == (408, "request-timeout")


def test_one_that_goes_on_may_take_longer_than_others(server):
    """Four seconds, at twice the speed that is asked for, where a whole request has one."""
    with Connection(server.url) as connection:
        connection.send(head(4 * 32768))
        for _ in range(16):
            time.sleep(SLOW / 4)
            connection.send(bytes(8192))
        answer = connection.receive()
    assert answer.status == 200, answer
    assert json.loads(answer.body)["size"] == 4 * 32768


@pytest.mark.parametrize("rest", [b"zz\r\nab\r\n0\r\n\r\n", b"2\r\nabcd\r\n0\r\n\r\n", b"-1\r\n"])
def test_broken_framing_is_refused(server, rest):
    with Connection(server.url) as connection:
        connection.send(
            b"POST /added/pieces HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.send(b"4\r\nsome\r\n")
        time.sleep(0.1)
        connection.send(rest)
        answer = connection.receive()
    assert (answer.status, problem_of(answer)) == (400, "bad-request")


def test_one_whose_client_leaves_is_no_fault_and_holds_nothing(server):
    logged = server.log.stat().st_size
    for _ in range(8):  # more than there are places
        with Connection(server.url) as connection:
            connection.send(head(MB) + bytes(1000))
            time.sleep(0.05)

    def log() -> bytes:
        return server.log.read_bytes()[logged:]

    until(lambda: log().count(b'"route":"/added/pieces"') >= 8, log)
    assert b'"event":"fault"' not in log()
    assert server.post("/added/pieces", content=b"x").status_code == 200


def test_a_view_may_answer_before_the_end(server):
    """The client sends on, reads the answer, and its next request is answered."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for _ in range(2):
            answer = client.post("/added/pieces", params={"stop": 100_000}, content=pieces(20))
            assert (answer.status_code, answer.headers["Content-Type"]) == (409, "application/problem+json")
        assert client.get("/added/def").status_code == 200


def test_uploads_that_arrive_leave_places_for_others(server):
    connections = [Connection(server.url) for _ in range(4)]
    try:
        for connection in connections:
            connection.send(head(1000) + b"some")
        time.sleep(0.2)
        assert server.get("/added/def").status_code == 200
    finally:
        for connection in connections:
            connection.close()
