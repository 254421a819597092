"""Bodies for POST /jobs, and what comes of the jobs."""

import json
import time

import httpx
from classroom.servers import Server

from tests.waiting import PATIENCE

HEADER = "sepal length,sepal width,petal length,petal width"
ROW = [5.1, 3.5, 1.4, 0.2]
CSV = {"Content-Type": "text/csv"}
ENDED = ("succeeded", "failed", "cancelled")


def rows(count: int) -> list[list[float]]:
    """Rows of Iris flowers, all of which are different."""
    return [[4.5 + n % 30 / 10, 2 + n % 7 / 3, 1 + n % 50 / 10, 0.1 + n / (n + 1)] for n in range(count)]


def csv_of(found: list[list[float]], header: str = HEADER) -> bytes:
    return "\n".join([header, *(",".join(map(repr, row)) for row in found), ""]).encode()


def submit(server: Server, found: list[list[float]], **headers: str) -> httpx.Response:
    return server.post("/jobs", json={"instances": found}, headers=headers)


def ended(server: Server, job: dict, **options) -> dict:
    """The job, once it has ended."""
    end = time.monotonic() + PATIENCE
    while job["state"] not in ENDED:
        assert time.monotonic() < end, job
        time.sleep(0.05)
        job = server.get(job["links"]["self"], **options).json()
    return job


def problem_of(answer: httpx.Response) -> str:
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    return answer.json()["type"].removeprefix("/problems/")


def alike(answer: httpx.Response) -> tuple:
    """What both servers have to agree in."""
    body = json.loads(answer.content) if answer.content else None
    if isinstance(body, dict):
        for name in ("request_id", "instance", "id", "links", "created_at"):
            body.pop(name, None)
    names = ("content-type", "retry-after", "accept-encoding", "www-authenticate")
    return answer.status_code, body, *(answer.headers.get(name) for name in names)
