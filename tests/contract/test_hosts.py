"""The names by which the servers may be called, against DNS rebinding: whatever else is on."""

from socket import gethostname

import pytest
from classroom.servers import free_port, serve
from pairs import FULL, pair
from wire import send


@pytest.fixture(scope="module")
def named(iris_root):
    env = {
        "MODEL_PATH": str(iris_root / "models" / "iris"),
        "ALLOWED_HOSTS": "api.example.org, *.example.net",
    }
    with pair(env) as servers:
        yield servers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("localhost:", 200),
        ("localhost:65535", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        (gethostname(), 200),
        ("api.example.org", 200),
        ("api.example.org.", 200),
        ("API.Example.org:443", 200),
        ("a.example.net", 200),
        ("a.b.example.net:80", 200),
        ("example.net", 400),
        ("evil.example", 400),
        ("evil.example:8000", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost.evil.example", 400),
        ("api.example.org.evil.example", 400),
        ("192.0.2.1", 400),
        ("localhost:80:80", 400),
        ("localhost:65536", 400),
        ("localhost:http", 400),
        ("local host", 400),
        ("localhost/", 400),
        ("user@localhost", 400),
        ("[::1", 400),
        ("é.example.net", 400),
        ("a" * 300, 400),
    ],
)
def test_a_host_is_one_of_those_allowed(named, host, status):
    for server in named.values():
        request = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        answer = send(server.url, request.encode())
        assert answer.status == status
        assert b"evil" not in answer.body


def test_any_may_be_allowed_and_what_is_none_is_not(iris_root):
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "ALLOWED_HOSTS": "*"}
    with pair(env) as servers:
        for server in servers.values():
            for host, status in (("evil.example", 200), ("192.0.2.1:80", 200), ("a b", 400), ("a/b", 400)):
                request = f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                assert send(server.url, request.encode()).status == status


def test_the_metrics_port_is_held_to_the_same_names(iris_root):
    for name in FULL:
        port = free_port()
        env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "METRICS_PORT": str(port)}
        with serve(name, env=env):
            for host, status in (("localhost", 200), ("evil.example", 400), ("localhost/", 400)):
                request = f"GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                assert send(f"http://127.0.0.1:{port}", request.encode()).status == status
