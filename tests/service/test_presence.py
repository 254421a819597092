"""Whether a client is still there: told at once, and without taking anything from its connection."""

import select
import socket

import pytest

from apps.frameworks import presence
from apps.frameworks.presence import SOCKET


@pytest.mark.parametrize("patience", [0, None, 60])
@pytest.mark.parametrize("at_once", [presence.AT_ONCE, 0], ids=["this system's flag", "none, as on Windows"])
def test_it_is_told_at_once(monkeypatch, patience, at_once):
    monkeypatch.setattr(presence, "AT_ONCE", at_once)
    ours, client = socket.socketpair()
    with ours, client:
        ours.settimeout(patience)
        gone = presence.presence({SOCKET: ours})
        assert not gone()
        client.send(b"more")
        assert not gone() and ours.recv(4, socket.MSG_PEEK) == b"more"
        ours.recv(4)
        client.close()
        assert gone() == (patience == 0 or (patience is None and at_once != 0))


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="needs a system that tells: Linux")
def test_who_sends_more_and_leaves_has_left():
    ours, client = socket.socketpair()
    with ours, client:
        ours.setblocking(False)
        gone = presence.presence({SOCKET: ours})
        client.send(b"more")
        assert not gone()
        client.close()
        assert gone()


def test_a_server_that_shows_no_socket_cannot_tell():
    assert not presence.presence({})()
