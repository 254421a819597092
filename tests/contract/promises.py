"""What every answer of the full servers has to be, every line of their log, and what no request may do to
them."""

import json
import re
import time

import psutil
from classroom.servers import ROOT, Server
from wire import Answer

GROWTH_ALLOWED = 20 * 1024 * 1024  # bytes
MEMBERS = ("type", "title", "status", "detail", "instance", "request_id")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII).fullmatch
NEVER = [b"<html", b"traceback", b'file "', b".py", b"site-packages", str(ROOT).lower().encode()]
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "other"}
# Of a log line about one request. Whatever is not named here, a client could have written there.
LOGGED = {
    "event": lambda found: found == "request",
    "level": lambda found: found == "info",
    "timestamp": lambda found: re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", found),
    "method": METHODS.__contains__,
    "route": lambda found: re.fullmatch(r"other|/([\w-]+|\{\w+\}|openapi\.json)(/([\w.-]+|\{\w+\}))*", found),
    "status": lambda found: isinstance(found, int) and 200 <= found < 600,
    "ms": lambda found: isinstance(found, float) and found >= 0,
    "request_id": REQUEST_ID,
    "trace_id": lambda found: re.fullmatch(r"[0-9a-f]{32}", found),
    "model": lambda found: re.fullmatch(r"(iris|penguins) [0-9a-f]+", found),
    "problem": lambda found: re.fullmatch(r"[a-z-]+", found),
}  # fmt: skip
_pages: set[tuple[str, str]] = set()


def check_answer(server: Server, answer: Answer) -> None:
    """An id that could be ours, and for an error RFC 9457's problem and the headers that go with it."""
    assert REQUEST_ID(answer.request_id), answer.headers
    if answer.status < 400:
        return
    assert answer.headers["content-type"] == "application/problem+json", answer
    assert not [word for word in NEVER if word in answer.body.lower()], answer.body
    needed = {405: "allow", 429: "retry-after", 503: "retry-after", 401: "www-authenticate"}.get(
        answer.status
    )
    assert needed is None or answer.headers[needed]
    if answer.body:  # that of a HEAD stays away
        check_problem(server, answer)


def check_problem(server: Server, answer: Answer) -> None:
    problem = json.loads(answer.body)
    assert tuple(problem)[: len(MEMBERS)] == MEMBERS
    assert problem["status"] == answer.status
    assert problem["detail"].strip() and problem["title"].strip()
    assert problem["request_id"] == answer.request_id
    assert problem["instance"] == f"/requests/{answer.request_id}"
    page = (server.url, problem["type"])
    if page not in _pages:
        found = server.get(problem["type"])
        assert (found.status_code, found.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert problem["title"] in found.text
        _pages.add(page)


def comparable(answer: Answer) -> tuple:
    """All that both servers have to agree in. The request's id is not: a server's parser makes a new one."""
    body = re.sub(rb'"uptime_seconds":[0-9.e-]+', b'"uptime_seconds":?', answer.body)
    body = re.sub(rb"\b(fastapi|flask)_app\b", b"<app>", body)
    if answer.request_id:
        body = body.replace(answer.request_id.encode(), b"<id>")
    names = ("content-type", "allow", "retry-after", "accept-encoding", "www-authenticate")
    return answer.status, body, *(answer.headers.get(name) for name in names)


class Watch:
    """`with Watch(server):` what happens in the block does no harm to the server, which keeps its memory, its
    temper, and a log in which nothing stands that a client wrote."""

    def __init__(self, server: Server, secrets: list[bytes] = ()) -> None:
        self._server, self._secrets = server, secrets

    def __enter__(self) -> "Watch":
        self._family, self._logged = family(self._server), self._server.log.stat().st_size
        self._memory = memory_of(self._family)
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is not None:
            return
        assert self._server.alive
        assert self._server.get("/health", timeout=1).status_code == 200
        grown = memory_of(self._family) - self._memory
        assert grown < GROWTH_ALLOWED, f"{grown >> 10} KiB"
        check_log(self.log, self._secrets)

    @property
    def log(self) -> bytes:
        """What has been logged since."""
        with self._server.log.open("rb") as file:
            file.seek(self._logged)
            return file.read()

    def line_of(self, answer: Answer) -> dict:
        """The line about the request that got this answer. It is written after the answer went out."""
        for _ in range(200):
            lines = [json.loads(line) for line in self.log.splitlines(keepends=True) if line.endswith(b"\n")]
            found = [line for line in lines if line.get("request_id") == answer.request_id]
            if found:
                assert len(found) == 1, found
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f"nothing was logged about {answer}")


def check_log(log: bytes, secrets: list[bytes] = ()) -> None:
    """Lines of JSON about requests, all of whose words are ours."""
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", log), "a control character"
    assert not [secret for secret in secrets if secret in log]
    for line in log.splitlines():
        fields = json.loads(line)
        wrong = [name for name, found in fields.items() if name not in LOGGED or not LOGGED[name](found)]
        assert not wrong, line


def memory(server: Server) -> int:
    """Bytes of the server's process and of those it started."""
    return memory_of(family(server))


def memory_of(processes: list[psutil.Process]) -> int:
    return sum(process.memory_info().rss for process in processes)


def family(server: Server) -> list[psutil.Process]:
    """The server's process and those it started."""
    process = psutil.Process(server.process.pid)
    return [process, *process.children(recursive=True)]
