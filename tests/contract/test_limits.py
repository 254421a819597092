"""Each limit of the settings at its boundary: up to here and no further, and both servers count alike."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from pairs import ONE, pair
from promises import check_answer, comparable
from waiting_model import QUICK, SLOW, Hold
from wire import Connection, chunked_bytes, post, request_bytes, send

JSON = {"Content-Type": "application/json"}
ROW = b'{"features":[5.1,3.5,1.4,0.2]}'
SMALL = {
    "MAX_BODY_BYTES": "200",
    "MAX_URL_BYTES": "100",
    "MAX_HEADERS": "10",
    "MAX_HEADER_BYTES": "300",
    "MAX_BATCH_ROWS": "5",
    "MAX_JSON_DEPTH": "5",
    "KEEP_ALIVE_SECONDS": "1",
}


@pytest.fixture(scope="module")
def small(iris_root):
    """Both full servers with limits that are quickly reached."""
    with pair({"MODEL_PATH": str(iris_root / "models" / "iris"), **SMALL}) as servers:
        yield servers


def asked(servers, request: bytes):
    """The answer that both give."""
    answers = [send(server.url, request) for server in servers.values()]
    for server, answer in zip(servers.values(), answers, strict=True):
        check_answer(server, answer)
    assert comparable(answers[0]) == comparable(answers[1])
    return answers[0]


def slug(answer) -> str | None:
    return json.loads(answer.body)["type"].rpartition("/")[2] if answer.status >= 400 else None


@pytest.mark.parametrize(("size", "status"), [(199, 200), (200, 200), (201, 413), (400, 413), (100_000, 413)])
def test_a_body_may_have_so_many_bytes_declared_or_not(small, size, status):
    body = ROW.ljust(size)
    assert asked(small, request_bytes("POST", "/predict", JSON, body)).status == status
    assert asked(small, chunked_bytes("/predict", JSON, body, 7)).status == status
    assert asked(small, chunked_bytes("/predict", JSON, body, 10_000)).status == status


def test_a_body_too_large_is_refused_before_it_comes(small):
    for server in small.values():
        with Connection(server.url) as connection:
            head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            connection.send(head + b"Content-Length: 201\r\n\r\n")
            answer = connection.receive()
            assert (answer.status, slug(answer)) == (413, "content-too-large")


@pytest.mark.parametrize("path", ["/nope", "/predict", "/health"])
def test_a_body_too_large_is_refused_wherever_it_is_sent(small, path):
    assert asked(small, request_bytes("POST", path, JSON, ROW.ljust(201))).status == 413


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/" + "a" * 99, 404),
        ("/" + "a" * 100, 414),
        ("/" + "%41" * 33, 404),
        ("/a" + "%41" * 33, 414),
        ("/health?" + "a" * 93, 200),
        ("/health?" + "a" * 94, 414),
        ("/health?" + "%41" * 31, 200),
        ("/health?" + "%41" * 32, 414),
        ("/health?" + "a" * 9000, 414),
    ],
)
def test_a_target_may_have_so_many_bytes_as_they_come(small, target, status):
    answer = asked(small, request_bytes("GET", target, {}))
    assert (answer.status, slug(answer)) == (status, {414: "uri-too-long", 404: "not-found"}.get(status))


@pytest.mark.parametrize(("count", "status"), [(9, 200), (10, 200), (11, 431), (200, 431)])
def test_there_may_be_so_many_headers(small, count, status):
    more = {f"X-{number}": "a" for number in range(count - 2)}  # beside Host and Connection
    answer = asked(small, request_bytes("GET", "/health", more))
    assert (answer.status, slug(answer)) == (status, "headers-too-large" if status == 431 else None)
    same = b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * (count - 1) + b"\r\n"
    assert asked(small, same).status == status, "the same header many times"


@pytest.mark.parametrize(
    ("size", "status"), [(299, 200), (300, 200), (301, 431), (5000, 431), (100_000, 431)]
)
def test_headers_may_have_so_many_bytes_in_names_and_values(small, size, status):
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nCookie: %s\r\n\r\n"
    answer = asked(small, head % (b"a" * (size - len("HostlocalhostCookie"))))
    assert (answer.status, slug(answer)) == (status, "headers-too-large" if status == 431 else None)


@pytest.mark.parametrize(("rows", "status"), [(1, 200), (5, 200), (6, 413)])
def test_a_batch_may_have_so_many_rows(small, rows, status):
    row = [5, 3, 1, 0]
    batch = asked(small, request_bytes("POST", "/predict/batch", JSON, dump({"instances": [row] * rows})))
    assert (batch.status, slug(batch)) == (status, "too-many-rows" if status == 413 else None)
    tensor = {"name": "features", "shape": [rows, 4], "datatype": "FP64", "data": row * rows}
    infer = asked(small, request_bytes("POST", "/v2/models/iris/infer", JSON, dump({"inputs": [tensor]})))
    assert (infer.status, slug(infer)) == (status, "too-many-rows" if status == 413 else None)


def dump(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/v2/models/iris/infer"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"a":[[[[1]]]]}', "invalid-input"),
        (b'{"a":[[[[[1]]]]]}', "invalid-json"),
        (b'{"a":{"a":{"a":{"a":{}}}}}', "invalid-input"),
        (b'{"a":{"a":{"a":{"a":{"a":{}}}}}}', "invalid-json"),
        (b'{"a":[[[1]]],"b":[[[1]]],"c":[[[1]]]}', "invalid-input"),
        (b'{"a":"[[[[[[[[[["}', "invalid-input"),
        (rb'{"a":"\"[[[[[[[[[["}', "invalid-input"),
        (b"[" * 100, "invalid-json"),
    ],
)
def test_json_may_be_nested_so_deep(small, path, body, kind):
    answer = asked(small, request_bytes("POST", path, JSON, body))
    assert (answer.status, slug(answer)) == (400, kind)


def test_an_idle_connection_is_closed_after_a_while(small):
    for server in small.values():
        with Connection(server.url) as connection, Connection(server.url) as silent:
            connection.send(request_bytes("GET", "/health", {}, keep=True))
            assert connection.receive().status == 200
            assert connection.is_closed()
            assert silent.is_closed()


@pytest.fixture(scope="module")
def crowded(waiting_env):
    """Both full servers with a model that can be held up and room for two requests, which each worker has."""
    with pair(waiting_env | ONE | {"MAX_IN_FLIGHT": "2", "PREDICT_TIMEOUT_SECONDS": "60"}) as servers:
        yield servers


def test_beyond_so_many_requests_in_flight_the_others_are_turned_away_at_once(crowded, holding):
    for server in crowded.values():
        with ThreadPoolExecutor(6) as clients, Hold(holding) as hold:
            sent = [clients.submit(post, server.url, dump({"features": SLOW})) for _ in range(6)]
            refused = []
            while len(refused) < 4:
                refused = [answer.result() for answer in sent if answer.done()]
            assert {(answer.status, slug(answer)) for answer in refused} == {(503, "overloaded")}
            for path in ("/health", "/health/live", "/health/ready", "/v2/health/ready"):
                assert server.get(path, timeout=1).status_code == 200, path
            assert server.get("/model", timeout=1).status_code == 503
            hold.release()
            assert sorted(answer.result().status for answer in sent) == [200] * 2 + [503] * 4
        for answer in refused:
            check_answer(server, answer)
        assert server.post("/predict", json={"features": QUICK}).status_code == 200


def test_a_slow_model_holds_up_nobody_who_does_not_ask_for_it(crowded, holding):
    for server in crowded.values():
        with ThreadPoolExecutor(1) as clients, Hold(holding) as hold:
            slow = clients.submit(post, server.url, dump({"features": SLOW}))
            hold.await_begin()
            for path in ("/health", "/model", "/models", "/v2", "/openapi.json", "/docs"):
                assert server.get(path, timeout=5).status_code == 200, path
            assert post(server.url, b"{}").status == 400
            assert not slow.done()
            hold.release()
            assert json.loads(slow.result().body)["prediction"] == [3.0]


TENSOR = {"name": "features", "shape": [1, 2], "datatype": "FP64", "data": SLOW}


def test_an_answer_that_takes_its_time_reaches_who_has_said_that_nothing_more_will_come(crowded, holding):
    request = request_bytes("POST", "/predict", JSON, dump({"features": SLOW}), keep=True)
    for server in crowded.values():
        with Hold(holding) as hold, Connection(server.url) as connection:
            connection.send(request)
            connection.socket.shutdown(socket.SHUT_WR)
            hold.await_begin()
            hold.release()
            assert connection.receive().status == 200
            assert connection.is_closed()


@pytest.fixture(scope="module")
def impatient(waiting_env):
    with pair(waiting_env | {"PREDICT_TIMEOUT_SECONDS": "0.3"}) as servers:
        yield servers


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"features": SLOW}),
        ("/predict/batch", {"instances": [QUICK, SLOW]}),
        ("/v2/models/{name}/infer", {"inputs": [TENSOR]}),
    ],
)
def test_a_prediction_that_takes_too_long_is_given_up(impatient, holding, path, body):
    for server in impatient.values():
        path = path.replace("{name}", server.get("/model").json()["name"])
        with Hold(holding):
            answers = [post(server.url, dump(body), path) for _ in range(3)]
            for answer in answers:
                assert (answer.status, slug(answer)) == (503, "prediction-timeout")
                check_answer(server, answer)
            assert server.get("/health", timeout=1).status_code == 200
        assert until_ok(server) == [2.0]


def until_ok(server) -> list:
    """What the model answers when it has got rid of what held it up."""
    for _ in range(20):
        answer = server.post("/predict", json={"features": QUICK})
        if answer.status_code == 200:
            return answer.json()["prediction"]
    raise AssertionError(answer.text)
