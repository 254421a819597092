"""A job as its owner sees it."""

import time
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel

from apps.service.access.callers import Caller
from apps.service.bodies import Answer
from apps.service.jobs.records import ACCEPTED, JobRecord
from apps.service.predictions import ModelVersion


class Owner(NamedTuple):
    """Whose a job is: an account within its tenant; without ACCESS=on, everybody is one owner."""

    name: str = ""
    tenant: str = "default"


def owner_of(caller: Caller | None) -> Owner:
    return Owner(caller.name, caller.tenant) if caller is not None else Owner()


def owned_by(owner: Owner) -> tuple:
    return JobRecord.owner == owner.name, JobRecord.tenant == owner.tenant


class JobLinks(BaseModel):
    self: str
    result_json: str
    result_csv: str


class Job(Answer):
    """Work that was left to be done. Times are RFC 3339, in UTC; `expected_at` is when it will have ended if
    it goes on as it did. What is not known yet is left out."""

    id: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    rows: int
    rows_done: int
    progress: float
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    expected_at: str | None = None
    model: ModelVersion
    error: str | None = None
    links: JobLinks

    @property
    def ended(self) -> bool:
        return self.state not in ACCEPTED

    def under(self, root: str) -> "Job":
        """The same, with its links below the path that the app is mounted under."""
        links = JobLinks(**{name: root + link for name, link in self.links})
        return self.model_copy(update={"links": links})

    def headers(self, status: int) -> dict[str, str]:
        """Of an answer that tells of it."""
        found = {"Location": self.links.self} if status == 202 else {}
        return found if self.ended else found | {"Retry-After": "1"}


class JobList(Answer):
    jobs: list[Job]


def job_of(record: JobRecord) -> Job:
    done = record.rows_done / record.rows
    started, expected = record.started_at, None
    if record.state == "running" and started and 0 < done < 1:
        expected = started + (time.time() - started) / done
    return Job(
        id=record.id,
        state=record.state,
        rows=record.rows,
        rows_done=record.rows_done,
        progress=round(done, 4),
        created_at=written(record.created_at),
        started_at=written(started),
        finished_at=written(record.finished_at),
        expected_at=written(expected),
        model=ModelVersion(name=record.model_name, version=record.model_version),
        error=record.error,
        links=JobLinks(
            self=f"/jobs/{record.id}",
            result_json=f"/jobs/{record.id}/result.json",
            result_csv=f"/jobs/{record.id}/result.csv",
        ),
    )


def written(seconds: float | None) -> str | None:
    """RFC 3339, in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
