"""What a server says of its jobs: files of rows that it has accepted, and answers in its own time."""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from ui import answers, client
from ui.answers import Failure
from ui.servers import Server

Read = TypeVar("Read")
JOBS = "/jobs"
OFF = "off"
GOING_ON = ("queued", "running")
STATES = (*GOING_ON, "succeeded", "failed", "cancelled")
TO_READ, SILENCE = 1800.0, 60.0  # seconds: to send a file and to have it read; and without a sign of either
SOON = 2.0  # seconds until a server is asked again that does not say when
ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII).fullmatch


@dataclass(frozen=True)
class Job:
    """`error`: why it failed, if it did. Times are the server's, with their zone."""

    id: str
    state: str
    rows: int
    rows_done: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expected_at: datetime | None
    model: str
    error: str

    @property
    def ended(self) -> bool:
        return self.state not in GOING_ON

    @property
    def path(self) -> str:
        return f"{JOBS}/{self.id}"


@dataclass(frozen=True)
class Fault:
    """What a server found wrong in a file. `line` counts from 1; `column` is its name, if it is of one."""

    line: int
    column: str
    message: str


@dataclass(frozen=True)
class Pause:
    """In which a server is left alone after a `failure`: as long as it said, or else a moment."""

    failure: Failure
    begun: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> bool:
        exchange = self.failure.exchange
        text = exchange.headers.get("retry-after", "") if exchange else ""
        seconds = float(text) if text.isascii() and text.isdigit() and len(text) < 6 else SOON
        return time.monotonic() >= self.begun + seconds


def listed(server: Server) -> list[Job] | str | Failure:
    """GET /jobs: the latest first; OFF where the server has none."""
    exchange = client.send(server, "GET", JOBS)
    if isinstance(exchange, client.Exchange) and exchange.status == 404 and exchange.body is not None:
        return OFF
    return _read(exchange, 200, lambda body: [read_job(one) for one in body["jobs"]], "a list of jobs")


def get(server: Server, job_id: str) -> Job | Failure:
    return _read(client.send(server, "GET", f"{JOBS}/{job_id}"), 200, read_job, "a job")


def cancel(server: Server, job_id: str) -> Job | Failure:
    return _read(client.send(server, "DELETE", f"{JOBS}/{job_id}"), 200, read_job, "a job")


def submit(server: Server, content: Iterable[bytes], size: int | None, key: str) -> Job | Failure:
    """POST /jobs with CSV in pieces, of `size` bytes where that is known. The same `key` and content again
    is the same job."""
    headers = {"Content-Type": "text/csv", "Idempotency-Key": key}
    if size is not None:
        headers["Content-Length"] = str(size)  # else it goes chunked
    exchange = client.send(server, "POST", JOBS, content, headers, seconds=TO_READ, silence=SILENCE)
    return _read(exchange, 202, read_job, "a job")


def faults(failure: Failure) -> list[Fault]:
    """The lines that a server refused a file for, as far as it names them."""
    body = failure.exchange.body if failure.exchange else None
    errors = body.get("errors") if isinstance(body, dict) else None
    return [
        Fault(one["line"], _text(one.get("column")), _text(one.get("message")))
        for one in (errors if isinstance(errors, list) else ())
        if isinstance(one, dict) and isinstance(one.get("line"), int)
    ]


def read_job(body: Any) -> Job:
    """The job in a server's JSON; ValueError, TypeError or LookupError where it is none."""
    model = body["model"]
    job = Job(
        body["id"],
        body["state"],
        _count(body["rows"]),
        _count(body["rows_done"]),
        datetime.fromisoformat(body["created_at"]).astimezone(),
        *(_moment(body.get(name)) for name in ("started_at", "finished_at", "expected_at")),
        model=f"{_text(model['name'])} {_text(model['version'])}".strip(),
        error=_text(body.get("error")),
    )
    if not ID(job.id) or job.state not in STATES:
        raise ValueError
    return job


def _read(exchange: client.Exchange | Failure, status: int, read: Callable[[Any], Read], wanted: str):
    if isinstance(exchange, Failure):
        return exchange
    if exchange.status != status:
        return answers.refused(exchange, wanted)
    try:
        return read(exchange.body)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        return answers.unexpected(exchange, wanted)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _moment(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).astimezone()


def _text(value: Any) -> str:
    return value.strip()[:300] if isinstance(value, str) else ""
