"""What a request leaves behind in a server: its line in the log, and what it moved in the metrics."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from ui import client
from ui.answers import Exchange, Failure
from ui.metrics import families
from ui.servers import Server

TAIL = 262_144  # bytes of a log, from its end, in which the line is looked for
PATIENCE = 1.0  # seconds; line and counts are written once the answer is out, with several workers later
TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII).fullmatch


@dataclass(frozen=True)
class Moved:
    """A series whose value another look found changed. `meaning` is what the server says that it counts."""

    name: str
    labels: str
    meaning: str
    before: float
    after: float


Series = dict[tuple[str, str], tuple[float, str]]  # by name and labels: the value, and what it means


def trace_id(exchange: Exchange) -> str:
    """The trace that the answer says it belongs to; empty where it says none."""
    found = TRACEPARENT(exchange.headers.get("traceparent", ""))
    return found[1] if found else ""


def log_of(server: Server) -> Path | None:
    """The file that a server logs to, where FASTAPI_LOG or FLASK_LOG says so."""
    setting = {"FastAPI": os.environ.get("FASTAPI_LOG"), "Flask": os.environ.get("FLASK_LOG")}[server.name]
    return Path(setting) if setting else None


def log_line(path: Path, request_id: str) -> str | None:
    """The one line about a request in the log, waited for a moment; None where it is not there, or the log
    cannot be read. `request_id` is one that this page has made up itself."""
    wanted, deadline = request_id.encode(), time.monotonic() + PATIENCE
    while True:
        try:
            with path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL))
                for line in log.read().splitlines(keepends=True)[::-1]:
                    if wanted in line and line.endswith(b"\n"):
                        return line.decode("utf-8", errors="replace").strip()
        except OSError:
            return None
        if time.monotonic() > deadline:
            return None
        time.sleep(0.05)


def series(server: Server) -> Series | Failure:
    """What the server has counted so far, without the buckets of histograms."""
    return client.counted(server, read_series)


def read_series(text: str) -> Series:
    """The series in the text of /metrics; ValueError where it is none of a full server's."""
    found: Series = {}
    for family in families(text):
        for sample in family.samples:
            if not sample.name.endswith("_bucket"):
                labels = ", ".join(f"{name}={value}" for name, value in sample.labels.items() if value)
                found[sample.name, labels] = float(sample.value), family.documentation
    return found


def moved(before: Series, server: Server, request: tuple[str, str] = ("POST", "/predict")) -> list[Moved]:
    """What has changed since `before`. Waits a moment for the count of the request itself."""
    deadline = time.monotonic() + PATIENCE
    while True:
        now = series(server)
        now = {} if isinstance(now, Failure) else now
        found = [
            Moved(name, labels, meaning, before.get((name, labels), (0.0, ""))[0], value)
            for (name, labels), (value, meaning) in now.items()
            if value != before.get((name, labels), (0.0, ""))[0]
        ]
        method, route = request
        counted = any(
            one.name == "http_requests_total"
            and f"method={method}" in one.labels
            and f"route={route}" in one.labels
            for one in found
        )
        if counted or time.monotonic() > deadline:
            return found
        time.sleep(0.05)
