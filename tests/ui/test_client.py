"""Whatever a server does, the page's client returns a value: an answer, or a sentence and a remedy."""

import json
import re
import time
from dataclasses import replace

import pytest
from classroom.servers import free_port, serve

from tests.late_threads import together  # noqa: F401 - the fixture
from ui import answers, client, metrics
from ui.card import Card, read_card
from ui.servers import Server, servers

CARD = read_card({"features": ["a", "b"]})


def http(status: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def flask_at(url: str) -> Server:
    return replace(servers()[1], url=url)


def test_both_servers_give_card_health_and_prediction(pair):
    for server in pair:
        card = client.model_card(server)
        assert isinstance(card, Card) and card.classes == ("setosa", "versicolor", "virginica")
        health = client.health(server)
        assert health.ready and health.model == "iris" and health.version == card.version
        prediction, exchange = client.predict(server, [5.1, 3.5, 1.4, 0.2], card)
        assert prediction.words == "setosa, 98 %"
        assert exchange.status == 200 and json.loads(exchange.sent) == {"features": [5.1, 3.5, 1.4, 0.2]}


def test_the_request_id_that_is_given_goes_along(full_pair):
    card = client.model_card(full_pair[0])
    for server in full_pair:
        _, exchange = client.predict(server, [5.1, 3.5, 1.4, 0.2], card, request_id="an-id-of-mine")
        assert exchange.body["request_id"] == exchange.headers["x-request-id"] == "an-id-of-mine"


def test_a_batch_is_answered_in_order_and_a_minimal_server_has_none(full_pair, both):
    card, rows = client.model_card(full_pair[0]), [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]
    for server in full_pair:
        predictions, exchange = client.predict_batch(server, rows, card)
        assert [prediction.label for prediction in predictions] == ["setosa", "virginica"]
        assert json.loads(exchange.sent) == {"instances": rows}
    for server in both.values():
        assert client.predict_batch(flask_at(server.url), rows, card) is None


def test_sessions_that_ask_at_once_all_have_their_answers(full_pair, together):  # noqa: F811
    for server in full_pair:
        found = together(lambda server=server: client.send(server, "GET", "/model"))
        assert [getattr(exchange, "status", exchange) for exchange in found] == [200] * 100


def test_nobody_there_gives_the_command_that_starts_it(nobody):
    failure = client.health(flask_at(nobody))
    assert "not running" in failure.sentence and nobody in failure.sentence
    port = nobody.rpartition(":")[2]
    assert failure.commands == (
        f"PORT={port} python -m apps.flask_app",
        f'$env:PORT = "{port}"; python -m apps.flask_app',
    )


def test_at_its_usual_port_the_command_is_the_plain_one():
    assert flask_at("http://127.0.0.1:5000").start == ("python -m apps.flask_app",)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:5000", "http://", "ftp://127.0.0.1", "http://127.0.0.1:99999", "\x00"]
)
def test_an_address_that_is_none_is_said_to_be_one(url):
    failure = client.health(flask_at(url))
    assert "FLASK_URL" in failure.sentence + failure.remedy


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http("200 OK", b"<html>hello</html>", "text/html"), "not JSON (text/html)"),
        (http("403 Forbidden", b"", "text/plain"), "status 403"),
        (http("200 OK", b'{"hello": 1}'), "JSON that is not"),
        (http("200 OK", b"[" * 50_000), "not JSON"),
        (http("200 OK", b'{"features": [], "prediction": []}'), "JSON that is not"),
        (http("302 Found\r\nLocation: http://192.0.2.1/", b""), "status 302"),
        (http("500 Oops", b'{"detail": "x"}'), "status 500"),
        (http("200 OK", b" " * 1_100_000), "more than 1 MB"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not in HTTP"),
        (b"", "broke before its answer was complete"),
        (http("200 OK", b"{}" * 50)[:-20], "broke before its answer was complete"),
    ],
)
def test_rubbish_becomes_a_sentence_and_a_remedy(answering, answer, expected):
    server = flask_at(answering(lambda connection: connection.sendall(answer)))
    for failure in (
        client.model_card(server),
        client.predict(server, [1.0, 2.0], CARD),
        client.health(server),
    ):
        assert isinstance(failure, client.Failure)
        assert expected in failure.sentence
        assert failure.remedy.endswith(".")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http("200 OK", b"<html>hello</html>", "text/html"), "not JSON (text/html)"),
        (http("200 OK", b'{"prediction": [1]}'), 'a prediction (expected {"prediction": [...]} with 2)'),
        (http("404 Not Found", b"hello", "text/plain"), "not JSON (text/plain)"),
        (http("200 OK", b" " * 16_000_001), "more than 16 MB"),
    ],
)
def test_rubbish_for_a_batch_too(answering, answer, expected):
    server = flask_at(answering(lambda connection: connection.sendall(answer)))
    assert expected in client.predict_batch(server, [[1.0, 2.0]] * 2, CARD).sentence


@pytest.mark.parametrize("drip", [b"", b" "])
def test_a_server_that_is_silent_or_drips_is_given_up(answering, drip):
    def behave(connection):
        connection.sendall(drip and b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(40):
            time.sleep(0.05)
            connection.sendall(drip)

    failure = client.send(flask_at(answering(behave)), "GET", "/health", seconds=0.3)
    assert "did not answer within 0.3 seconds" in failure.sentence


def test_a_refusal_says_what_the_server_said(pair):
    card = client.model_card(pair[0])
    for server in pair:
        failure = client.predict(server, [5.1, 3.5, 1.4], card)
        assert failure.sentence.startswith(f"{server.name} refused the input: expected 4 features")
        assert failure.exchange.status == 400


def test_a_server_without_a_model_is_up_but_not_ready(answering):
    body = b'{"status": "unavailable", "app": "flask_api_example", "reason": "gone", "uptime_seconds": 2}'
    health = client.health(flask_at(answering(lambda c: c.sendall(http("503 Service Unavailable", body)))))
    assert (health.ready, health.reason, health.uptime_seconds) == (False, "gone", 2)
    detail = http("503 Service Unavailable", b'{"detail": "gone"}')
    failure = client.model_card(flask_at(answering(lambda c: c.sendall(detail))))
    assert "has no model: gone" in failure.sentence
    assert failure.commands == ("python kit.py train",)


def test_a_problem_has_title_detail_page_and_request_id(full_pair):
    for server in full_pair:
        failure = client.predict(server, [5.1], client.model_card(server), request_id="an-id-of-mine")
        problem = failure.problem
        assert (problem.slug, problem.title, problem.status) == ("invalid-input", "Invalid input", 400)
        assert problem.detail.startswith("expected 4 features") and problem.request_id == "an-id-of-mine"
        assert problem.page == f"{server.url}/problems/invalid-input"
        assert client.send(server, "GET", "/problems/invalid-input").status == 200


def test_every_problem_of_the_full_servers_has_words_here(full_pair):
    """Those that no request of this page can get are told as any other refusal."""
    listed = re.findall(r"<code>([a-z-]+)</code>", client.send(full_pair[0], "GET", "/problems").text)
    others = {"unknown-model", "method-not-allowed", "uri-too-long", "headers-too-large", "not-implemented"}
    assert set(listed) == set(answers.WORDS) | others


@pytest.mark.parametrize(
    ("status", "slug", "retry", "sentence", "remedy"),
    [
        ("503 Service Unavailable", "overloaded", "2", "Flask is busy: it is answering", "in 2 seconds. If"),
        ("503 Service Unavailable", "model-loading", "1", "is still loading its model.", "in a second."),
        ("503 Service Unavailable", "draining", "1", "Flask is shutting down", "Start it again"),
        ("503 Service Unavailable", "prediction-timeout", "1", "model's answer in time.", "fewer rows"),
        ("429 Too Many Requests", "too-many-requests", "soon", "for now: because.", "in a moment."),
        ("413 Content Too Large", "too-many-rows", "", "takes fewer rows at a time: because.", "several"),
        ("500 Oops", "internal-error", "", "Flask has a fault of its own.", "operator the request's id"),
        ("400 Bad Request", "never-heard-of", "", "refused the request: because.", "Put right what it names"),
        ("502 Bad Gateway", "never-heard-of", "", "Flask has a fault of its own.", "operator"),
    ],
)
def test_a_problem_in_words(answering, status, slug, retry, sentence, remedy):
    body = {"type": f"/problems/{slug}", "title": "T", "status": 1, "detail": "because."}
    found = http(f"{status}\r\nRetry-After: {retry}", json.dumps(body).encode(), "application/problem+json")
    failure = client.predict(flask_at(answering(lambda c: c.sendall(found))), [1.0, 2.0], CARD)
    assert sentence in failure.sentence and remedy in failure.remedy
    assert (failure.problem.slug, failure.problem.request_id) == (slug, "")


@pytest.mark.parametrize(
    "kind",
    ["javascript:alert(1)", "http://192.0.2.1/problems/x", "/problems/x)y", "/problems/../docs", "", 7],
)
def test_only_a_page_of_the_server_s_own_is_linked(answering, kind):
    body = json.dumps({"type": kind, "title": "T", "detail": "x"}).encode()
    server = flask_at(answering(lambda c: c.sendall(http("400 Bad Request", body))))
    failure = client.predict(server, [1.0, 2.0], CARD)
    assert failure.sentence.endswith(": x") and (failure.problem is None or failure.problem.page == "")


def test_the_page_of_a_problem_is_found_where_the_server_is_under_a_path(answering):
    body = json.dumps({"type": "/ml/problems/invalid-input", "title": "T", "detail": "x"}).encode()
    server = flask_at(answering(lambda c: c.sendall(http("400 Bad Request", body))) + "/ml")
    failure = client.predict(server, [1.0, 2.0], CARD)
    assert failure.problem.page == f"{server.url}/problems/invalid-input"


def test_the_counters_of_both_are_read_without_health_checks(iris_root):
    for name in ("fastapi", "flask"):
        port = free_port()
        env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "METRICS_PORT": str(port)}
        with serve(name, env=env) as running:
            server = replace(servers()[0], url=running.url, metrics_url=f"http://127.0.0.1:{port}/metrics")
            before, _ = client.metrics(server)
            card = client.model_card(server)
            client.health(server)
            for row in ([5.1, 3.5, 1.4, 0.2], [5.1, 3.5, 1.4, 0.2], [5.1]):
                client.predict(server, row, card)
            span = metrics.span(before, client.metrics(server)[0])
            assert span.rate > 0 and (span.failed, span.refused) == (0, 1 / 4)
            assert 0 < span.p50 <= span.p95


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (http("404 Not Found", b"{}"), "the answer has status 404."),
        (http("200 OK", b"<html>hello</html>"), "what came is not in Prometheus' text format."),
        (http("200 OK", b"a_total 1\n"), "what came is without http_requests_total."),
        (http("200 OK", b"\xff\xfe"), "what came is"),
        (b"", "no answer came."),
    ],
)
def test_metrics_that_cannot_be_read_are_told_with_their_setting(answering, answer, why):
    url = answering(lambda connection: connection.sendall(answer)) + "/metrics"
    failure = client.metrics(replace(servers()[1], metrics_url=url))
    assert failure.sentence.startswith(f"Flask's metrics cannot be read at {url}: {why}")
    assert "FLASK_METRICS_URL" in failure.remedy and "METRICS_PORT" in failure.remedy


def test_metrics_at_no_address(nobody):
    assert "no answer came" in client.metrics(replace(servers()[1], metrics_url=nobody)).sentence
    failure = client.metrics(replace(servers()[1], metrics_url=""))
    assert "at its own port + 100, which is beyond the last port" in failure.sentence


def test_the_card_comes_from_the_other_server_where_the_first_is_down(pair, nobody):
    card, failures = client.first_card([flask_at(nobody), pair[0]])
    assert card.name == "iris"
    assert [failure.server.name for failure in failures] == ["Flask"]
