"""Whatever a server does, the page's client returns a value: an answer, or a sentence and a remedy."""

import json
import time
from dataclasses import replace

import pytest

from ui import client
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


def test_nobody_there_gives_the_command_that_starts_it(nobody):
    failure = client.health(flask_at(nobody))
    assert "not running" in failure.sentence and nobody in failure.sentence
    port = nobody.rpartition(":")[2]
    assert failure.commands == (
        f"PORT={port} python -m apps.minimal.flask_api_example",
        f'$env:PORT = "{port}"; python -m apps.minimal.flask_api_example',
    )


def test_at_its_usual_port_the_command_is_the_plain_one():
    assert flask_at("http://127.0.0.1:5000").start == ("python -m apps.minimal.flask_api_example",)


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
    assert failure.commands == ("python -m model_training.train iris",)


def test_the_card_comes_from_the_other_server_where_the_first_is_down(pair, nobody):
    card, failures = client.first_card([flask_at(nobody), pair[0]])
    assert card.name == "iris"
    assert [failure.server.name for failure in failures] == ["Flask"]
