"""The apps are strict on a server that is not: what reaches the two middlewares is refused there, with a
problem. What a server's own parser refuses, it answers in its own words, and with 400 all the same."""

import os
import subprocess
import sys
import time

import pytest
from classroom.servers import HOST, ROOT, free_port
from wire import Connection, send

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HEAD += b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
ROW = b'1e\r\n{"features":[5.1,3.5,1.4,0.2]}\r\n'
FASTAPI, FLASK = "apps.fastapi_app:create_app", "apps.flask_app:create_app"

SERVERS = {  # {port} is the port
    "uvicorn": ("uvicorn", "--factory", FASTAPI, "--port", "{port}"),
    "granian asgi": ("granian", "--interface", "asgi", "--factory", FASTAPI, "--port", "{port}"),
    "waitress": ("waitress", "--host", HOST, "--port", "{port}", "--call", FLASK),
    "granian wsgi": ("granian", "--interface", "wsgi", "--factory", FLASK, "--port", "{port}"),
    "gunicorn": ("gunicorn", "--bind", HOST + ":{port}", "--threads", "2", f"{FLASK}()"),
}
CASES = {
    "fine": (GET + b"\r\n", 200),
    "chunked": (HEAD + ROW + b"0\r\n\r\n", 200),
    "no-host-in-1.0": (b"GET /health HTTP/1.0\r\n\r\n", 200),
    "two-hosts": (GET + b"Host: evil\r\n\r\n", 400),
    "same-host-twice": (GET + b"Host: localhost\r\n\r\n", 400),
    "two-hosts-in-one": (b"GET /health HTTP/1.1\r\nHost: localhost,evil\r\n\r\n", 400),
    "no-host": (b"GET /health HTTP/1.1\r\n\r\n", 400),
    "100-kb-of-headers": (
        GET + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 2000) for n in range(50)) + b"\r\n",
        431,
    ),
    "broken-chunk": (HEAD + b"zz\r\nhello\r\n0\r\n\r\n", 400),
    "chunk-too-long": (HEAD + b"5\r\nhelloXX0\r\n\r\n", 400),
    "broken-last-chunk": (HEAD + ROW + b"-1\r\n\r\n", 400),
}
NOT_TOLD = {  # granian ends a broken body as it ends a whole one: WSGI cannot tell them apart
    ("granian wsgi", "broken-last-chunk"): 200,
}


@pytest.fixture(scope="module", params=SERVERS)
def plain(request, iris_root, tmp_path_factory):
    """The name and the address of a server as it comes, with one of our apps."""
    name, *arguments = SERVERS[request.param]
    if name == "gunicorn" and os.name == "nt":
        pytest.skip("needs gunicorn, which Windows has not")
    port = free_port()
    command = [sys.executable, "-m", name, *(part.replace("{port}", str(port)) for part in arguments)]
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "METRICS_PORT": "0", "LOG_FORMAT": "json"}
    url, log = f"http://{HOST}:{port}", tmp_path_factory.mktemp("plain") / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | env, stdout=file, stderr=file)
    try:
        wait(process, url, log)
        yield request.param, url
    finally:
        process.terminate()
        process.wait(20)


def wait(process, url: str, log) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if send(url, GET + b"\r\n").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-2000:])


@pytest.mark.parametrize("case", CASES)
def test_it_is_strict_on_a_plain_server(plain, case):
    name, url = plain
    request, expected = CASES[case]
    assert send(url, request).status == NOT_TOLD.get((name, case), expected)
    with Connection(url) as connection:  # and goes on
        connection.send(GET + b"\r\n")
        assert connection.receive().status == 200
