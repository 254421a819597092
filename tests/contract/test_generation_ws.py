"""A chat over a WebSocket on both servers: what a client that somebody else wrote says and hears.

The names in brackets are those of the cases in the group `streaming`."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from credentials import accounts_in, bearer, eventually
from language_doors import HELLO, LONG, Door, doors_with
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from wire import connected


class Talk:
    """A client that somebody else wrote."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def say(self, **message) -> None:
        self._connection.send(json.dumps(message))

    def send(self, message: str | bytes) -> None:
        self._connection.send(message)

    def hear(self) -> dict:
        return json.loads(self._connection.recv(timeout=60))

    def until(self, type: str) -> list[dict]:
        heard = [self.hear()]
        while heard[-1].get("type") != type:
            heard.append(self.hear())
        return heard

    def closed(self) -> int:
        """The code with which the server closes."""
        with pytest.raises(ConnectionClosed) as told:
            while True:
                self._connection.recv(timeout=60)
        return told.value.rcvd.code


@contextmanager
def talking(door: Door) -> Iterator[Talk]:
    with connect(door.url.replace("http", "ws") + "/v1/chat/ws") as connection:
        yield Talk(connection)


@pytest.fixture
def talk(door) -> Iterator[Talk]:
    with talking(door) as found:
        yield found


def test_a_chat_token_by_token(door, talk):
    asked = {"messages": HELLO, "max_tokens": 8, "seed": 7}
    whole = door.ask(asked).json()
    for _ in range(2):
        talk.say(type="chat", request=asked)
        *chunks, done = talk.until("done")
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert text == whole["choices"][0]["message"]["content"]
        assert done["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]


def test_cancel_and_ping_while_it_is_answered(door, talk):
    before = door.generated
    talk.say(type="chat", request=LONG)
    talk.hear()
    talk.say(type="ping")
    talk.until("pong")
    talk.say(type="chat", request=LONG)
    assert talk.until("error")[-1]["error"]["code"] == "invalid-input"
    talk.say(type="cancel")
    talk.until("cancelled")
    assert eventually(lambda: door.running == 0)
    assert door.generated - before < 300
    talk.say(type="ping")
    assert talk.hear() == {"type": "pong"}


@pytest.mark.parametrize("message", ["{", "[]", '{"type": "chat"}', '{"type": "shout"}', "x", "\U0001f600"])
def test_a_message_that_is_none_is_told_and_ends_nothing(talk, message):
    talk.send(message)
    assert talk.hear()["error"]["code"] in ("invalid-json", "invalid-input")
    talk.say(type="chat", request={"messages": HELLO, "max_tokens": 2})
    talk.until("done")


def test_bytes_are_no_message(talk):
    """[ws-binary-frame]"""
    talk.send(b"\x00\x01")
    assert talk.closed() == 1003


def test_a_message_may_not_be_of_any_size(talk):
    """[ws-big-message]"""
    talk.send("x" * 500_000)
    assert talk.closed() == 1009


def test_text_has_to_be_utf8(door):
    """[ws-invalid-utf8]"""
    with talking(door) as talk:
        mask = b"\0\0\0\0"
        talk._connection.socket.sendall(b"\x81\x82" + mask + b"\xff\xfe")
        assert talk.closed() == 1007


def test_nothing_is_compressed(door):
    """[ws-compression-bomb]"""
    with talking(door) as talk:
        assert "Sec-WebSocket-Extensions" not in talk._connection.response.headers


def test_who_leaves_a_websocket_ends_what_they_asked_for(door):
    with talking(door) as talk:
        talk.say(type="chat", request=LONG)
        talk.hear()
    assert eventually(lambda: door.running == 0)


def test_without_an_upgrade_there_is_nothing(door):
    assert door.client.get("/v1/chat/ws").status_code == 404


def test_who_has_no_credentials_gets_no_websocket(tmp_path):
    """[ws-no-auth]"""
    accounts = accounts_in(tmp_path)
    with doors_with(
        {"ACCESS": "on", "ACCESS_PATH": str(tmp_path), "GENERATION_FOLDER": str(tmp_path)}
    ) as found:
        for door in found:
            url = door.url.replace("http", "ws", 1) + "/v1/chat/ws"
            key, _ = accounts.add_key("only-generate", "test", ["generate"])
            other, _ = accounts.add_key("only-predict", "test", ["predict"])
            for headers, status in (({}, 401), (bearer("a.b.c"), 401), ({"X-API-Key": other}, 403)):
                with pytest.raises(InvalidStatus) as refused:
                    connect(url, additional_headers=headers)
                assert refused.value.response.status_code == status
            with pytest.raises(InvalidStatus) as refused:
                connect(f"{url}?api_key={key}&token={key}")
            assert refused.value.response.status_code == 401
            with connect(url, additional_headers={"X-API-Key": key}) as connection:
                talk = Talk(connection)
                talk.say(type="ping")
                assert talk.hear() == {"type": "pong"}
            assert key not in door.log()
    accounts.close()


def test_a_flood_of_pings_ends_it(door):
    """[ws-ping-flood]"""
    with talking(door) as talk:
        with suppress(OSError):
            for _ in range(10):
                talk._connection.socket.sendall(b"\x89\x80\0\0\0\0" * 1000)
        assert talk.closed() == 1008
    assert eventually(lambda: door.count("http_requests_in_flight") == 0)


def test_who_pings_at_leisure_stays(door):
    with talking(door) as talk:
        for _ in range(20):
            assert talk._connection.ping().wait(20)
        talk.say(type="ping")
        assert talk.hear() == {"type": "pong"}


@pytest.fixture(scope="module")
def impatient(tmp_path_factory) -> Iterator[list[Door]]:
    folder = str(tmp_path_factory.mktemp("impatient"))
    env = {"HEARTBEAT_SECONDS": "1", "GENERATION_WRITE_SECONDS": "1", "GENERATION_SLOTS": "1"}
    with doors_with(env | {"GENERATION_FOLDER": folder}) as found:
        yield found


def test_whose_client_has_vanished_ends(impatient):
    """[ws-half-open] Nothing comes of it any more, no end either: it answers no ping."""
    with ExitStack() as open_ones:
        for door in impatient:
            asked = json.dumps({"type": "chat", "request": LONG | {"n": 4}})
            open_ones.enter_context(opened(door)).sendall(frame(asked))
        for door in impatient:
            assert eventually(lambda door=door: door.running == 1)
        for door in impatient:
            assert eventually(lambda door=door: door.running == 0)
            assert eventually(lambda door=door: door.count("http_requests_in_flight") == 0)
            assert door.count("generation_texts_total", ended="cancelled") == 1  # while others waited


def test_who_reads_nothing_is_cut_off(impatient):
    """On FastAPI. tests/service/test_websockets_wsgi.py has Flask, which would answer for many seconds until
    the system keeps no more."""
    with opened(impatient[0]) as connection, pytest.raises(ConnectionError):
        while True:
            connection.sendall(frame("x") * 1000)
    assert eventually(lambda: impatient[0].count("http_requests_in_flight") == 0)


def opened(door: Door) -> socket.socket:
    """A WebSocket without a library, which would answer pings."""
    found = connected(door.url, window=1000)
    head = (
        f"GET /v1/chat/ws HTTP/1.1\r\nHost: {door.url[7:]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    )
    found.sendall(f"{head}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
    assert found.recv(12) == b"HTTP/1.1 101"
    return found


def frame(text: str) -> bytes:
    """RFC 6455, section 5.2; the mask changes nothing."""
    length = len(text) if len(text) < 126 else 126
    longer = b"" if length < 126 else len(text).to_bytes(2, "big")
    return bytes([0x81, 0x80 | length]) + longer + b"\0\0\0\0" + text.encode()
