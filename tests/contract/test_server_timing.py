"""Where the time of a request went: the header Server-Timing of both servers, with SERVER_TIMING."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pairs import ONE, pair
from waiting_model import QUICK, SLOW, Hold
from wire import Connection, post, request_bytes, send

from apps.service.timing import PHASES, Timed
from apps.service.tracing import Trace

SETOSA = b'{"features":[5.1,3.5,1.4,0.2]}'
METRIC = re.compile(r'([a-z]+);dur=([0-9]+\.[0-9]{1,3});desc="([ -!#-~]+)"').fullmatch
ARRIVED, WHOLE = ["receive", "queue"], [*PHASES]
BATCH = b'{"instances":[[5.1,3.5,1.4,0.2],[6.3,3.3,6.0,2.5]]}'
TENSOR = b'{"inputs":[{"name":"features","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}'


@pytest.fixture(scope="module")
def timed(iris_root):
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "SERVER_TIMING": "1", "MAX_BODY_BYTES": "4096"}
    with pair(env) as servers:
        yield servers


def timing(answer) -> dict[str, float]:
    """The header's milliseconds by name, in its order, with the total."""
    found = [METRIC(part) for part in answer.headers["server-timing"].split(", ")]
    assert all(found), answer.headers["server-timing"]
    durations = {part[1]: float(part[2]) for part in found}
    assert len(durations) == len(found)
    return durations


def check(answer, phases: list[str]) -> None:
    durations = timing(answer)
    assert [*durations] == [*phases, "total"]
    assert sum(durations[phase] for phase in phases) <= durations["total"] + 1e-9


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "phases"),
    [
        ("POST", "/predict", SETOSA, 200, WHOLE),
        ("POST", "/predict/batch", BATCH, 200, WHOLE),
        ("POST", "/v2/models/iris/infer", TENSOR, 200, WHOLE),
        ("GET", "/health", b"", 200, ARRIVED),
        ("HEAD", "/health", b"", 200, ARRIVED),
        ("GET", "/docs", b"", 200, ARRIVED),
        ("POST", "/predict", b"{", 400, [*ARRIVED, "validate"]),
        ("POST", "/predict", b'{"features":[1]}', 400, [*ARRIVED, "validate"]),
        ("POST", "/predict", b'{"features":[99,3.5,1.4,0.2]}', 400, [*ARRIVED, "validate"]),
        ("GET", "/nowhere", b"", 404, ARRIVED),
        ("GET", "/predict", b"", 405, ARRIVED),
        ("POST", "/predict", b"[" + b"1," * 3000 + b"1]", 413, []),  # its head alone was enough
        ("BREW", "/predict", b"", 501, []),
        ("GET", "/" + "a" * 9000, b"", 414, []),
    ],
    ids=lambda found: str(found)[:24],
)
def test_both_name_the_phases_that_a_request_went_through(timed, method, path, body, status, phases):
    headers = {"Content-Type": "application/json"} if body else {}
    for server in timed.values():
        answer = send(server.url, request_bytes(method, path, headers, body))
        assert answer.status == status
        check(answer, phases)


def test_both_describe_them_in_the_same_words(timed):
    told = []
    for server in timed.values():
        header = post(server.url, SETOSA).headers["server-timing"]
        told.append(re.sub(r"dur=[0-9.]+", "dur=", header))
    assert told[0] == told[1]


def test_a_body_that_is_held_back_was_being_received(timed):
    """A server that has said "100 Continue" has the head: it waits for as long as the client then does."""
    headers = {"Content-Type": "application/json", "Content-Length": str(len(SETOSA))}
    head = request_bytes("GET", "/predict", headers | {"Expect": "100-continue"}).replace(b"GET", b"POST", 1)
    for server in timed.values():
        with Connection(server.url) as connection:
            connection.send(head)
            assert connection.makefile().readline().startswith(b"HTTP/1.1 100")
            began = time.perf_counter()
            assert connection.makefile().readline() == b"\r\n"
            time.sleep(0.1)
            held = (time.perf_counter() - began) * 1000
            connection.send(SETOSA)
            answer = connection.receive("POST")
        check(answer, WHOLE)
        assert timing(answer)["receive"] >= held


def test_on_one_connection_each_request_has_its_own_times(timed):
    """A pause between two requests is nobody's: no total is longer than what the client has waited."""
    for server in timed.values():
        with Connection(server.url) as connection:
            for request in (SETOSA, b"{", SETOSA):
                began = time.perf_counter()
                head = {"Content-Type": "application/json"}
                connection.send(request_bytes("POST", "/predict", head, request, keep=True) * 2)
                for _ in range(2):
                    answer = connection.receive("POST")
                    waited = (time.perf_counter() - began) * 1000
                    check(answer, WHOLE if request == SETOSA else WHOLE[:3])
                    assert timing(answer)["total"] <= waited
                time.sleep(0.1)


def test_a_model_that_is_busy_is_waited_for(waiting_env, holding):
    """The first has the model, held up, for itself; the second waits for the first."""
    env = waiting_env | ONE | {"SERVER_TIMING": "1", "MAX_IN_FLIGHT": "2", "PREDICT_TIMEOUT_SECONDS": "60"}
    with pair(env) as servers:
        for server in servers.values():
            with ThreadPoolExecutor(2) as clients, Hold(holding) as hold:
                first = clients.submit(post, server.url, json.dumps({"features": SLOW}).encode())
                hold.await_begin()
                began = time.perf_counter()
                second = clients.submit(post, server.url, json.dumps({"features": QUICK}).encode())
                while server.get("/models").status_code != 503:  # both are in flight
                    time.sleep(0.01)
                both = time.perf_counter()
                time.sleep(0.1)
                end = time.perf_counter()
                hold.release()
                first, second = timing(first.result()), timing(second.result())
            assert first["predict"] >= (end - began) * 1000
            assert second["validate"] + second["wait"] >= (end - both) * 1000


def test_a_prediction_that_is_given_up_had_not_ended(waiting_env, holding):
    """An event loop's timer begins when its turn did, so that the phase may be shorter than the timeout. It
    is no shorter than what was seen of it: the model has begun, and the request is still in flight."""
    env = waiting_env | ONE | {"SERVER_TIMING": "1", "MAX_IN_FLIGHT": "1", "PREDICT_TIMEOUT_SECONDS": "0.2"}
    with pair(env) as servers:
        for server in servers.values():
            with ThreadPoolExecutor(1) as clients, Hold(holding) as hold:
                asked = clients.submit(post, server.url, json.dumps({"features": SLOW}).encode())
                hold.await_begin()
                seen = [time.perf_counter()]
                while server.get("/models").status_code == 503:  # it was in flight after this was asked
                    seen.append(time.perf_counter())
                answer = asked.result()
            assert answer.status == 503
            check(answer, [*ARRIVED, "validate", "predict"])
            asked_last_but_one = seen[-3] if len(seen) > 2 else seen[0]
            assert timing(answer)["predict"] >= (asked_last_but_one - seen[0]) * 1000


def test_nothing_is_told_unless_it_is_wanted(full):
    for server in full.values():
        for body in (SETOSA, b"{"):
            assert "server-timing" not in post(server.url, body).headers


def test_a_span_goes_on_being_recorded():
    seen = []

    class Recording(Trace):
        __slots__ = ()

        def span(self, name):
            seen.append(name)
            return super().span(name)

    timed = Timed(Recording("a" * 32, "01"))
    with timed.span("validate"):
        pass
    assert seen == ["validate"] and timed.trace_id == "a" * 32 and timed.header().startswith("00-aaa")
    assert timed.timing().startswith("validate;dur=")
