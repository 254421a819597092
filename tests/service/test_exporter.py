"""The metrics' own port and clients that say nothing, break off, or leave."""

import socket
import struct
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from classroom.servers import free_port
from prometheus_client import CollectorRegistry, Counter

from apps.service import exporter
from apps.service.exporter import Exporter
from tests.waiting import PATIENCE

HEAD = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def port() -> Iterator[int]:
    registry, port = CollectorRegistry(), free_port()
    Counter("seen", "Seen.", registry=registry).inc()
    serving = Exporter(registry, lambda: None, None)
    serving.start("127.0.0.1", port)
    yield port
    serving.stop()


@pytest.mark.parametrize("sent", [b"", HEAD[:9], HEAD])
def test_who_says_nothing_is_cut_off_without_a_word_in_the_log(port, monkeypatch, capfd, sent):
    monkeypatch.setattr(exporter.Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(sent)
        assert client.recv(1) == b""
    monkeypatch.undo()
    assert "seen_total 1.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert capfd.readouterr().err == ""


def test_who_leaves_is_no_fault(port, capfd):
    threads = threading.active_count()
    for sent in (b"", HEAD[:9], HEAD + b"\r\n"):
        client = socket.create_connection(("127.0.0.1", port), timeout=20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # by a reset
        client.sendall(sent)
        client.close()
    assert "seen_total 1.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    end = time.monotonic() + PATIENCE
    while threading.active_count() > threads and time.monotonic() < end:
        time.sleep(0.01)
    assert capfd.readouterr().err == ""
