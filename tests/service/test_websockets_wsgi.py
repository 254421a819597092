"""A WebSocket of the Flask server whose client takes nothing."""

import socket

import pytest

from apps.frameworks.websockets_wsgi import TAKE_OVER, accepted
from apps.frameworks.wsgi import UPGRADE
from apps.service.requests import ClientGone

HANDSHAKE = {
    "PATH_INFO": "/",
    UPGRADE: "websocket",
    "HTTP_HOST": "127.0.0.1",
    "HTTP_CONNECTION": "Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "A" * 22 + "==",
}


def test_who_reads_nothing_is_cut_off():
    ours, theirs = socket.socketpair()
    with theirs, accepted(HANDSHAKE | {TAKE_OVER: lambda: ours}, [], 1 << 16, 15, 0.2) as connection:
        assert theirs.recv(12) == b"HTTP/1.1 101"
        with pytest.raises(ClientGone):
            while True:
                connection.send("x" * 60_000)
