"""The real nginx before both live servers, over HTTPS with a throw-away certificate: what it hands on,
what it refuses, and that nobody who is slow keeps others from an answer."""

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import httpx
import pytest
import test_added_routes
from classroom.servers import ROOT, Server, free_port
from credentials import PASSWORD, bearer, guarded_pair
from websockets.sync.client import connect

from apps.service.problems import KINDS, PHRASES
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("nginx", "openssl", "curl"))), reason="needs nginx, openssl and curl"
)
NAMES = ("fastapi", "flask")
BEHIND = {"TRUSTED_PROXIES": "127.0.0.1", "ALLOWED_HOSTS": "fastapi.localhost,flask.localhost"}
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
HEAD = b"POST /predict HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"


@dataclass
class Proxy:
    """nginx with deploy/proxy's configuration, on ports of its own."""

    folder: Path
    secure: int
    plain: int

    @property
    def certificate(self) -> Path:
        return self.folder / ".kit" / "proxy" / "certificate.pem"

    def client(self, name: str, address: str = "127.0.0.1") -> httpx.Client:
        """For one of the sites, from an address of this machine's own network."""
        host = f"{name}.localhost"
        sni = {"sni_hostname": host}
        transport = httpx.HTTPTransport(verify=self.tls(), local_address=address, retries=0)
        client = httpx.Client(
            base_url=f"https://127.0.0.1:{self.secure}", transport=transport, timeout=PATIENCE,
            headers={"Host": f"{host}:{self.secure}"},
        )  # fmt: skip
        client.event_hooks["request"] = [lambda request: request.extensions.update(sni)]
        return client

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate)

    def connect(self, name: str, address: str) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.secure), PATIENCE, source_address=(address, 0))
        return self.tls().wrap_socket(raw, server_hostname=f"{name}.localhost")

    def ask(self, name: str, request: bytes, address: str = "127.0.0.1") -> tuple[int, dict, bytes]:
        """The status, headers and body that answer these bytes."""
        with self.connect(name, address) as connection:
            with contextlib.suppress(OSError):  # refused before it was all sent
                connection.sendall(request)
            return answer_of(connection)

    def curl(self, name: str, path: str, *options: str) -> str:
        host = f"{name}.localhost:{self.secure}"
        command = ["curl", "-sS", "--cacert", str(self.certificate), "--connect-to", f"{host}:127.0.0.1:{self.secure}"]  # fmt: skip  # noqa: E501
        done = subprocess.run([*command, *options, f"https://{host}{path}"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")


def answer_of(connection: socket.socket) -> tuple[int, dict, bytes]:
    response = HTTPResponse(connection)
    response.begin()
    return response.status, {n.lower(): v for n, v in response.getheaders()}, response.read()


def commands() -> list[str]:
    """Those of the book: one that makes a certificate, and one that starts nginx."""
    text = (ROOT / "docs" / "how-to" / "https.md").read_text(encoding="utf-8")
    return re.findall(r"^```bash\n(mkdir .*?\nopenssl .*?)\n(nginx .*?)\n```$", text, re.MULTILINE)[0]


@contextlib.contextmanager
def proxied(folder: Path, ports: dict[str, int], **changed: int) -> Iterator[Proxy]:
    """Started as the book says. `changed`: settings of nginx that are smaller than there."""
    make, start = commands()
    configuration = folder / "deploy" / "proxy"
    shutil.copytree(ROOT / "deploy" / "proxy", configuration)
    proxy = Proxy(folder, free_port(), free_port())
    own = {"8000": ports["fastapi"], "5000": ports["flask"], "8443": proxy.secure, "8080": proxy.plain}
    for file in configuration.glob("*.conf"):
        text = file.read_text(encoding="utf-8")
        text = re.sub(rf":({'|'.join(own)})\b", lambda found: f":{own[found[1]]}", text)
        for name, value in changed.items():
            text = re.sub(rf"\b{name} \d+", f"{name} {value}", text)
        file.write_text(text, encoding="utf-8")
    subprocess.run(["bash", "-ec", make], cwd=folder, check=True, capture_output=True)
    with (folder / "log").open("ab") as log:  # nginx opens it a second time, by /dev/stdout
        process = subprocess.Popen(["bash", "-ec", f"exec {start}"], cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(proxy.secure):
            assert process.poll() is None and time.monotonic() < deadline, proxy.log()
            time.sleep(0.02)
        yield proxy
    finally:
        process.terminate()
        process.wait(PATIENCE)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def servers(iris_root: Path) -> Iterator[dict[str, Server]]:
    """Both, with routes that stream, from tests/contract."""
    env = BEHIND | {
        "MODEL_PATH": str(iris_root / "models" / "iris"),
        "METRICS_PORT": "0",
        "SERVER_TIMING": "1",
    }
    with contextlib.ExitStack() as stack:
        started = {}
        for name in NAMES:
            started[name] = test_added_routes.start(name, "full", **env)
            stack.callback(started[name].stop)
        yield started


@pytest.fixture(scope="module")
def proxy(servers: dict[str, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with proxied(tmp_path_factory.mktemp("proxy"), {name: servers[name].port for name in NAMES}) as found:
        yield found


def is_problem(status: int, headers: dict, body: bytes, slug: str) -> None:
    """In the servers' form, with the headers that every answer has."""
    told = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert set(told) == {"type", "title", "status", "detail", "instance", "request_id"}
    assert told["status"] == status and told["detail"].startswith(("expected", "the server behind"))
    assert told["type"] == (f"/problems/{slug}" if slug else "about:blank")
    assert told["request_id"] == headers["x-request-id"]
    assert told["instance"] == f"/requests/{told['request_id']}"
    assert told["title"] == (KINDS[slug].title if slug else PHRASES[status])
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("protocol", ["--http2", "--http1.1"])
def test_a_prediction_with_a_certificate_that_is_verified(proxy, name, protocol):
    wanted = "2" if protocol == "--http2" else "1.1"
    said = proxy.curl(name, "/predict", protocol, "--json", json.dumps(ROW), "-w", "\n%{http_version}")
    body, version = said.rsplit("\n", 1)
    assert json.loads(body)["label"] == "setosa" and version == wanted


def test_old_protocols_and_other_names_get_no_connection(proxy):
    old = proxy.tls()
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    for context, name in ((old, "fastapi.localhost"), (proxy.tls(), "example.org")):
        with socket.create_connection(("127.0.0.1", proxy.secure)) as raw, pytest.raises(ssl.SSLError):
            context.wrap_socket(raw, server_hostname=name)
    stranger = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", proxy.secure)) as raw,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        stranger.wrap_socket(raw, server_hostname="fastapi.localhost")


def test_another_host_is_refused(proxy):
    request = b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    status, headers, body = proxy.ask("flask", request)
    assert status == 421
    is_problem(status, headers, body, "")
    with socket.create_connection(("127.0.0.1", proxy.plain)) as plain:
        plain.sendall(request)
        assert answer_of(plain)[0] == 421


@pytest.mark.parametrize("name", NAMES)
def test_http_is_sent_to_https_with_method_and_path(proxy, name):
    for port in (proxy.plain, proxy.secure):
        host = f"{name}.localhost"
        answer = httpx.post(
            f"http://127.0.0.1:{port}/predict?a=b", headers={"Host": f"{host}:{port}"}, trust_env=False
        )
        assert answer.status_code == 308
        assert answer.headers["Location"] == f"https://{host}:{proxy.secure}/predict?a=b"


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_has_the_headers_of_a_site_that_is_safe(proxy, name):
    with proxy.client(name) as client:
        for path in ("/health", "/nope", "/docs", "/problems"):
            headers = client.get(path).headers
            assert headers["Strict-Transport-Security"] == "max-age=31536000"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers.get_list("Content-Security-Policy") == [headers["Content-Security-Policy"]]
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["Server"] == "nginx" and "Server-Timing" not in headers
            assert "script-src" in headers["Content-Security-Policy"] or path != "/docs"
            assert headers.get_list("X-Request-ID") == [headers["X-Request-ID"]]
        assert client.get("/health", headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] == "mine"
        assert client.get("/metrics").status_code == 404
        page = client.get("/docs").text
        own = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("\n", "")
        sent = client.get("/docs").headers["Content-Security-Policy"]
        assert set(own.split("; ")) <= set(sent.split("; "))


def test_a_browser_is_not_told_to_want_https_of_all_of_localhost(proxy):
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    status, headers, _ = proxy.ask("fastapi", request)
    assert status == 200 and "strict-transport-security" not in headers


def raw(name: str, request: bytes) -> bytes:
    return request.replace(b"@", f"Host: {name}.localhost\r\nConnection: close".encode())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("request_", "status", "slug"),
    [
        (b"POST /predict HTTP/1.1\r\n@\r\nContent-Length: 1048577\r\n\r\n" + b" " * 1048577, 413, "content-too-large"),  # noqa: E501
        (b"GET /health HTTP/1.1\r\n@\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET /health HTTP/1.1\r\n@\r\n" + b"X: aaaaaaaaaaaaaa\r\n" * 3000 + b"\r\n", 431, "headers-too-large"),  # noqa: E501
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n@\r\n\r\n", 414, "uri-too-long"),
        (b"TRACE / HTTP/1.1\r\n@\r\n\r\n", 405, "method-not-allowed"),
        (b"GET /health HTTP/1.1\r\n@\r\nHost: twice\r\n\r\n", 400, "bad-request"),
        (b"POST /predict HTTP/1.1\r\n@\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "not-implemented"),
        (b"POST /predict HTTP/1.1\r\n@\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad-request"),  # noqa: E501
        (b"NONSENSE\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/9.9\r\n@\r\n\r\n", 505, ""),
    ],
    ids=["body", "header", "headers", "url", "trace", "host", "coding", "smuggling", "nonsense", "version"],
)  # fmt: skip
def test_what_nginx_refuses_is_a_problem_like_the_servers_own(proxy, name, request_, status, slug):
    found = proxy.ask(name, raw(name, request_))
    assert found[0] == status
    is_problem(*found, slug)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_servers_take_is_not_refused_before_them(proxy, servers, name):
    with proxy.client(name) as client:
        largest = json.dumps(ROW).encode().ljust(1 << 20)
        json_ = {"Content-Type": "application/json"}
        assert client.post("/predict", content=largest, headers=json_).status_code == 200
        assert client.get("/health", headers={"X-Long": "a" * 15_000}).status_code == 200
        long = client.get(f"/{'a' * 9000}")  # the servers' own answer
        assert long.status_code == 414 and long.json()["detail"].startswith("expected a path and query")
        for answer in (client.post("/predict", json={"features": []}), client.get("/problems/overloaded")):
            direct = servers[name].request(
                answer.request.method, answer.request.url.path, content=answer.request.content, headers=json_
            )
            assert answer.status_code == direct.status_code
            assert answer.headers["Content-Type"] == direct.headers["Content-Type"]


@pytest.mark.parametrize("length", ["Content-Length: ", "Transfer-Encoding: chunked"], ids=["told", "untold"])
def test_http_2_takes_as_much_and_keeps_it_in_memory(proxy, tmp_path, length):
    """A body on the disk would be 500 here: nginx must not write where pytest lets it look."""
    asked = ["--http2", "-w", "\n%{http_version} %{http_code} %{content_type} %header{x-request-id}"]
    body = tmp_path / "body"
    asked += ["--json", f"@{body}", *(["-H", length] if length.startswith("T") else [])]
    body.write_bytes(json.dumps(ROW).encode().ljust(1 << 20))
    assert proxy.curl("flask", "/predict", *asked).rsplit("\n", 1)[1].startswith("2 200 application/json")
    body.write_bytes(b" " * ((1 << 20) + 1))
    told, said = proxy.curl("flask", "/predict", *asked).rsplit("\n", 1)
    version, status, media_type, request_id = said.split()
    assert (version, status) == ("2", "413")
    headers = {"content-type": media_type, "x-request-id": request_id, "x-content-type-options": "nosniff"}
    is_problem(413, headers, told.encode(), "content-too-large")


def test_a_server_learns_of_the_client_only_what_nginx_saw(tmp_path):
    """No address that a client made up, and no change to a protocol inside which nginx would see nothing."""
    sent = (
        b"GET / HTTP/1.1\r\nHost: flask.localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nX_Forwarded_For: 192.0.2.3\r\n"
        b"Forwarded: for=192.0.2.4\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\n"
        b'X-Request-ID: a"b\r\n\r\n'
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        ports = dict.fromkeys(NAMES, server.getsockname()[1])
        with proxied(tmp_path, ports) as proxy, proxy.connect("flask", "127.0.0.8") as client:
            client.sendall(sent)
            with server.accept()[0] as accepted:
                head = accepted.recv(1 << 16).decode().lower()
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
    assert headers.pop("x-request-id").isalnum()
    expected = {"host": "flask.localhost", "x-forwarded-for": "127.0.0.8", "x-forwarded-proto": "https"}
    assert headers == expected


def test_a_websocket_works(proxy):
    url = f"wss://fastapi.localhost:{proxy.secure}/added/echo"
    with (
        socket.create_connection(("127.0.0.1", proxy.secure), PATIENCE) as raw,
        connect(url, sock=raw, ssl=proxy.tls(), proxy=None) as client,
    ):
        client.send("hello")
        assert client.recv(PATIENCE) == "hello"


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_arrives_piece_by_piece(proxy, name):
    """The stream goes on for minutes: what arrives at all was not held back, nor were many pieces together."""  # noqa: E501
    with proxy.client(name) as client, client.stream("GET", "/added/endless") as answer:
        pieces = [piece for _, piece in zip(range(5), answer.iter_raw(), strict=False)]
    assert len(pieces) == 5 and all(len(piece) < 200 for piece in pieces)


def test_a_server_that_is_not_there_is_502_and_one_that_is_silent_504(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = {"fastapi": free_port(), "flask": silent.getsockname()[1]}
        with proxied(tmp_path, ports, proxy_read_timeout=1) as proxy:
            for name, status in (("fastapi", 502), ("flask", 504)):
                found = proxy.ask(name, raw(name, b"GET /health HTTP/1.1\r\n@\r\n\r\n"))
                assert found[0] == status and found[1]["retry-after"] == "1"
                is_problem(*found, "")


STALLS = {
    "line": b"GE",
    "head": b"GET /health HTTP/1.1\r\nHost: flask.localhost\r\nX",
    "body": HEAD % b"flask.localhost" + b'Content-Length: 40\r\n\r\n{"fea',
    "chunk": HEAD % b"flask.localhost" + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
}


def test_who_stalls_is_cut_off(servers, tmp_path):
    ports = {name: servers[name].port for name in NAMES}
    with contextlib.ExitStack() as stack:
        waits = {"client_header_timeout": 1, "client_body_timeout": 1}
        proxy = stack.enter_context(proxied(tmp_path, ports, **waits))
        stalled = [stack.enter_context(proxy.connect("flask", "127.0.0.2")) for _ in STALLS]
        untold = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.secure), PATIENCE))
        for connection, sent in zip(stalled, STALLS.values(), strict=True):
            connection.sendall(sent)
        for connection in (*stalled, untold):
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                assert connection.recv(1) == b""


def milliseconds(clients: dict[str, httpx.Client], count: int) -> list[float]:
    """Of so many predictions of each site, all of which have to be answered with 200."""
    took = []
    for _ in range(count):
        for client in clients.values():
            began = time.perf_counter()
            answer = client.post("/predict", json=ROW)
            took.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200, answer.text
    return took


def test_healthy_clients_are_served_whatever_others_do(proxy, record_property):
    """Slow heads, slow bodies, heads that are too large, and a thousand connections that say nothing."""
    with contextlib.ExitStack() as stack:
        clients = {name: stack.enter_context(proxy.client(name)) for name in NAMES}
        before = milliseconds(clients, 100)
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", proxy.secure), PATIENCE))
            for _ in range(1000)
        ]
        slow = []
        for name in NAMES:
            for sent in STALLS.values():
                for _ in range(10):
                    connection = stack.enter_context(proxy.connect(name, "127.0.0.2"))
                    connection.sendall(sent.replace(b"flask", name.encode()))
                    slow.append(connection)
        during = []
        large = raw("flask", b"GET /health HTTP/1.1\r\n@\r\nX: " + b"a" * 40_000 + b"\r\n\r\n")
        for _ in range(20):
            for connection in slow:
                with contextlib.suppress(OSError):  # cut off by now
                    connection.sendall(b" ")
            assert proxy.ask("flask", large, "127.0.0.2")[0] == 431
            during += milliseconds(clients, 5)
            new = {name: stack.enter_context(proxy.client(name)) for name in NAMES}
            during += milliseconds(new, 1)
        assert len(idle) == 1000
    for when, took in (("before", before), ("during", during)):
        told = f"{len(took)} requests, p50 {statistics.median(took):.1f} ms, max {max(took):.1f} ms"
        record_property(when, told)
        print(when, told)


def test_connections_that_say_nothing_make_room_for_those_that_do(servers, tmp_path):
    """More of them than nginx may have: it closes them first."""
    ports = {name: servers[name].port for name in NAMES}
    with proxied(tmp_path, ports, worker_connections=128) as proxy, contextlib.ExitStack() as stack:
        workers = os.cpu_count() or 1  # of nginx too
        for _ in range(4 * 128 * workers):
            stack.enter_context(socket.create_connection(("127.0.0.1", proxy.secure), PATIENCE))
        for name in NAMES * 5:
            with proxy.client(name) as new:
                assert new.post("/predict", json=ROW).status_code == 200


def test_one_address_does_not_get_all_connections(proxy):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            connection = stack.enter_context(proxy.connect("flask", "127.0.0.3"))
            connection.sendall(STALLS["body"])
        stalled = raw("flask", b"GET /health HTTP/1.1\r\n@\r\n\r\n")
        deadline = time.monotonic() + PATIENCE
        while (found := proxy.ask("flask", stalled, "127.0.0.3"))[0] != 429:
            assert time.monotonic() < deadline
        is_problem(*found, "too-many-requests")
        with proxy.client("flask", "127.0.0.4") as other:
            assert other.get("/health").status_code == 200


def test_tokens_work_and_limits_count_the_real_client_whatever_it_says_it_is(iris_root, tmp_path):
    """/token is limited by address: nobody is signed in there."""
    env = BEHIND | {"RATE_LIMITS": "token=3/minute", "WORKERS": "1"}
    revoked = {"token": "unknown"}
    access, folder = tmp_path / "access", tmp_path / "proxy"
    access.mkdir()
    with contextlib.ExitStack() as stack:
        guarded = stack.enter_context(guarded_pair(access, iris_root / "models" / "iris", env))
        ports = {name: guarded.servers[name].port for name in NAMES}
        proxy = stack.enter_context(proxied(folder, ports))
        for name in NAMES:
            with proxy.client(name, "127.0.0.5") as one, proxy.client(name, "127.0.0.6") as other:
                seen = []
                for n in range(5):
                    forged = {"X-Forwarded-For": f"192.0.2.{n}", "Forwarded": f"for=192.0.2.{n}"}
                    seen.append(one.post("/token/revoke", data=revoked, headers=forged).status_code)
                assert seen == [200] * 3 + [429] * 2
                assert other.post("/predict", json=ROW).status_code == 401
                form = {"username": "alice", "password": PASSWORD}
                token = other.post("/token", data=form).json()["access_token"]
                assert other.post("/predict", json=ROW, headers=bearer(token)).status_code == 200
            transport = httpx.HTTPTransport(local_address="127.0.0.7")
            with httpx.Client(base_url=guarded.servers[name].url, transport=transport) as direct:
                seen = []  # past the proxy, nobody is believed
                for n in range(4):
                    forged = {"X-Forwarded-For": f"192.0.2.{n}"}
                    seen.append(direct.post("/token/revoke", data=revoked, headers=forged).status_code)
                assert seen == [200] * 3 + [429]


def test_its_log_tells_of_each_request_and_nothing_that_was_sent(proxy):
    secret = "hunter2-of-a-client"
    with proxy.client("flask") as client:
        client.get(f"/{secret}?password={secret}", headers={"Authorization": secret, "User-Agent": secret})
        client.post("/predict", content=secret * 100_000, headers={"X-Request-ID": "log-413"})
        answer = client.post("/predict", json={"features": secret}, headers={"X-Request-ID": "log-400"})
        assert answer.status_code == 400
    with pytest.raises(AssertionError, match="stream"):  # in HTTP/2 there is no answer, as the book says
        proxy.curl("flask", "/health", "--http2", "-H", f"X: {'a' * 40_000}")
    deadline = time.monotonic() + PATIENCE
    while "log-400" not in proxy.log() or '"status":0' not in proxy.log():
        assert time.monotonic() < deadline
    assert secret not in proxy.log()
    lines = [json.loads(line) for line in proxy.log().splitlines()]
    by_id = {line["request_id"]: line for line in lines}
    assert by_id["log-413"]["status"] == 413 and by_id["log-413"]["upstream_status"] == ""
    assert by_id["log-400"]["upstream_status"] == "400" and by_id["log-400"]["address"] == "127.0.0.1"
    documented = (ROOT / "docs" / "how-to" / "privacy.md").read_text(encoding="utf-8")
    assert {name for line in lines for name in line} <= set(re.findall(r"`(\w+)`", documented))


def test_compose_has_the_same_sites_under_other_addresses_and_the_pages_too():
    own = (ROOT / "deploy" / "proxy" / "servers.conf").read_text(encoding="utf-8")
    compose = (ROOT / "deploy" / "proxy" / "servers_compose.conf").read_text(encoding="utf-8")
    own = own.replace("127.0.0.1:8000", "fastapi:8000").replace("127.0.0.1:5000", "flask:5000")
    own = own.replace("listen 127.0.0.1:", "listen ")
    assert compose.splitlines()[1:] == [*own.splitlines()[1:], "", "include pages_compose.conf;"]
