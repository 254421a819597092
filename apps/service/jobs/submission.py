"""Jobs as the servers have them: taken in, looked up, cancelled, fetched."""

import hashlib
import re
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from apps.service.access.callers import Caller
from apps.service.bodies import Answer
from apps.service.databases import DatabaseError
from apps.service.jobs.arrays import Answers, answers_in, pack_rows
from apps.service.jobs.queue import Call, Calls
from apps.service.jobs.records import (
    ACCEPTED,
    OPEN,
    TRIES,
    ChunkRecord,
    Database,
    InputRecord,
    JobRecord,
    ModelRecord,
    Unavailable,
)
from apps.service.jobs.results import DatabaseResults, RedisResults, Results
from apps.service.model import Serving
from apps.service.predictions import ModelVersion
from apps.service.problems import Problem
from apps.service.settings import SettingsError
from model_training.card import Card

LISTED = 100
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch
NOT_DONE = {
    "failed": "the job has failed, and has no result",
    "cancelled": "the job was cancelled, and has no result",
}


class Owner(NamedTuple):
    """Whose a job is: an account within its tenant; without ACCESS=on, everybody is one owner."""

    name: str = ""
    tenant: str = "default"


def owner_of(caller: Caller | None) -> Owner:
    return Owner(caller.name, caller.tenant) if caller is not None else Owner()


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

    def headers(self, status: int) -> dict[str, str]:
        """Of an answer that tells of it."""
        found = {"Location": self.links.self} if status == 202 else {}
        return found if self.ended else found | {"Retry-After": "1"}


class JobList(Answer):
    jobs: list[Job]


class Jobs:
    """Any method may wait for a database: none is called on an event loop. Each raises Problem: 503
    jobs-unavailable where it does not answer, 404 unknown-job for what is no job of this owner."""

    def __init__(self, settings, log, metrics) -> None:
        """Raises SettingsError for a folder or a database that cannot be used."""
        self.settings, self.metrics = settings, metrics
        self._log = log
        self.database, self.results = stores_of(settings, log)
        self.calls = Calls(settings, log)

    def start(self) -> None:
        self.calls.start()

    def close(self) -> None:
        self.calls.close()
        self.results.close()
        self.database.close()

    def receive(
        self, owner: Owner, serving: Serving, *, idempotency_key: str, request_id: str, traceparent: str
    ) -> "Receiving":
        """A job whose rows are to come. `idempotency_key`: "" for none. Raises Problem 503: job-queue-full,
        and model-unavailable where the model's file is not what is served any more."""
        with self.database.session() as session:
            waiting = session.scalar(select(func.count()).where(JobRecord.state.in_(OPEN)))
        if waiting >= self.settings.jobs_max_waiting:
            raise Problem("job-queue-full", "as many jobs as this server takes wait to be done")
        record = JobRecord(
            id=str(uuid.uuid4()),
            owner=owner.name,
            tenant=owner.tenant,
            state="receiving",
            model_id=self._store_model(serving),
            model_name=serving.name,
            model_version=serving.version,
            request_id=request_id,
            traceparent=traceparent,
            created_at=time.time(),
            touched_at=time.time(),
        )
        with self.database.session() as session:
            session.add(record)
        return Receiving(self, record, idempotency_key)

    def _store_model(self, serving: Serving) -> str:
        """Its id in the database, where it is from now on."""
        known = serving.card.files[serving.format]
        id = hashlib.sha256(serving.card_json + known.sha256.encode()).hexdigest()
        used = update(ModelRecord).where(ModelRecord.id == id).values(used_at=time.time())
        with self.database.session() as session:
            if session.execute(used).rowcount:
                return id
        record = ModelRecord(
            id=id,
            format=serving.format,
            name=known.file,
            card=serving.card_json,
            file=bytes_of(self.settings.model_path, known.file, known.sha256),
            used_at=time.time(),
        )
        try:
            with self.database.session() as session:
                session.add(record)
        except IntegrityError:  # another request has stored it meanwhile
            pass
        return id

    def get(self, owner: Owner, id: str) -> Job:
        with self.database.session() as session:
            return job_of(self._own(session, owner, id))

    def listed(self, owner: Owner) -> list[Job]:
        """The newest, newest first."""
        own = select(JobRecord).where(*owned_by(owner), JobRecord.state != "receiving")
        newest = own.order_by(JobRecord.created_at.desc(), JobRecord.id).limit(LISTED)
        with self.database.session() as session:
            return [job_of(record) for record in session.scalars(newest)]

    def cancel(self, owner: Owner, id: str) -> Job:
        """As it is then: one that has ended stays what it was."""
        with self.database.session() as session:
            self._own(session, owner, id)
        with self.database.session() as session:
            end(session, id, "cancelled")
        return self.get(owner, id)

    def model_of(self, owner: Owner, id: str) -> Card:
        """The card of the model that the job is done with."""
        with self.database.session() as session:
            return Card.model_validate_json(
                session.get(ModelRecord, self._own(session, owner, id).model_id).card
            )

    def result(self, owner: Owner, id: str) -> Iterator[Answers]:
        """Chunk by chunk, in the order of the rows. Raises Problem 409 unless the job has succeeded."""
        with self.database.session() as session:
            record = self._own(session, owner, id)
            if record.state in ACCEPTED:
                raise not_done()
            if record.state != "succeeded":
                raise Problem("job-not-done", record.error or NOT_DONE[record.state])
            chunks = select(ChunkRecord.attempt).where(ChunkRecord.job_id == id).order_by(ChunkRecord.number)
            attempts = [*session.scalars(chunks)]
        if lost := self.results.lost(id, attempts):
            self._do_again(record, {number: attempts[number] for number in lost})
            raise not_done()
        return self._read(id, attempts)

    def _read(self, id: str, attempts: list[int]) -> Iterator[Answers]:
        for data in self.results.read(id, attempts):
            yield answers_in(data)

    def _do_again(self, record: JobRecord, attempts: dict[int, int]) -> None:
        """Chunks, by number, whose results are lost; and which attempts they were of."""
        self._log.warning("results are lost: they are computed again", job=record.id, chunks=len(attempts))
        with self.database.session() as session:
            session.scalar(select(JobRecord.id).where(JobRecord.id == record.id).with_for_update())
            for number, attempt in attempts.items():
                lost = (ChunkRecord.job_id == record.id, ChunkRecord.number == number)
                again = update(ChunkRecord).where(
                    *lost, ChunkRecord.state == "done", ChunkRecord.attempt == attempt
                )
                fresh = {"state": "waiting", "last_attempt": attempt + TRIES, "calls": 1}
                due = time.time() + self.settings.jobs_lease_seconds
                if session.execute(again.values(**fresh, call_at=due)).rowcount:
                    rows = select(ChunkRecord.rows).where(*lost).scalar_subquery()
                    undone = {"state": "running", "finished_at": None}
                    undone["rows_done"] = JobRecord.rows_done - rows
                    session.execute(update(JobRecord).where(JobRecord.id == record.id).values(**undone))
        self.calls.soon(Call(record.id, sorted(attempts), record.request_id, record.traceparent))

    def _own(self, session: Session, owner: Owner, id: str) -> JobRecord:
        known = select(JobRecord).where(JobRecord.id == id, *owned_by(owner), JobRecord.state != "receiving")
        found = session.scalar(known) if UUID(id) else None
        if found is None:
            raise unknown()
        return found


class Receiving:
    """A job whose rows are coming. Ends with `accept`, or with `abandon`."""

    def __init__(self, jobs: Jobs, record: JobRecord, idempotency_key: str) -> None:
        self._jobs, self._record, self._key = jobs, record, idempotency_key
        self._database, self._chunk_rows = jobs.database, jobs.settings.jobs_chunk_rows
        self._left: list[np.ndarray] = []  # fewer rows than a chunk
        self._left_rows = self._number = 0
        self.rows = 0

    def add(self, rows: np.ndarray) -> None:
        """The next rows, float64 of shape (n, features), any number of them, which are good ones of this
        model. Raises Problem 413 for more than JOBS_MAX_ROWS in all."""
        self.rows += len(rows)
        if self.rows > (most := self._jobs.settings.jobs_max_rows):
            raise Problem("too-many-rows", f"expected at most {most} rows in a job")
        self._left.append(rows)
        self._left_rows += len(rows)
        if self._left_rows >= self._chunk_rows:
            rows = np.concatenate(self._left)
            whole = len(rows) - len(rows) % self._chunk_rows
            for start in range(0, whole, self._chunk_rows):
                self._write(rows[start : start + self._chunk_rows])
            self._left, self._left_rows = [rows[whole:].copy()], len(rows) - whole

    def _write(self, rows: np.ndarray) -> None:
        id, number = self._record.id, self._number
        with self._database.session() as session:
            touched = update(JobRecord).where(JobRecord.id == id).values(touched_at=time.time())
            if not session.execute(touched).rowcount:
                raise Unavailable("swept")  # it came so slowly that the sweeper took it for dead
            session.add(ChunkRecord(job_id=id, number=number, rows=len(rows)))
            session.flush()
            session.add(InputRecord(job_id=id, number=number, data=pack_rows(rows)))
        self._number += 1

    def accept(self, digest: str) -> Job:
        """The job, from now on nothing of it is lost; or the one that was accepted with this key before.
        `digest` of what was sent tells whether that was the same. Raises Problem: 400 for no rows, 409
        idempotency-conflict."""
        if not self.rows:
            raise Problem("invalid-input", "expected at least one row")
        if self._left_rows:
            self._write(np.concatenate(self._left))
            self._left, self._left_rows = [], 0
        record = self._record
        told = {"rows": self.rows, "chunk_count": self._number, "digest": digest}
        told |= {"idempotency_key": self._key or None, "state": "queued"}
        due = time.time() + self._jobs.settings.jobs_lease_seconds
        try:
            with self._database.session() as session:
                still = (JobRecord.id == record.id, JobRecord.state == "receiving")
                if not session.execute(update(JobRecord).where(*still).values(**told)).rowcount:
                    raise Unavailable("swept")
                called = update(ChunkRecord).where(ChunkRecord.job_id == record.id)
                session.execute(called.values(calls=1, call_at=due))
        except IntegrityError:
            return self._accepted_before(digest)
        self._jobs.metrics.job_accepted()
        call = Call(record.id, range(self._number), record.request_id, record.traceparent)
        self._jobs.calls.soon(call)
        return self._jobs.get(Owner(record.owner, record.tenant), record.id)

    def _accepted_before(self, digest: str) -> Job:
        record = self._record
        owner = Owner(record.owner, record.tenant)
        self.abandon()
        with self._database.session() as session:
            same_key = (*owned_by(owner), JobRecord.idempotency_key == self._key)
            found = session.scalar(select(JobRecord).where(*same_key))
        if found is None:  # cleared away in this moment
            raise Unavailable("swept")
        if found.digest != digest:
            raise Problem("idempotency-conflict", "expected another Idempotency-Key for another content")
        return job_of(found)

    def abandon(self) -> None:
        """Nothing of it is left. What cannot be removed now, the sweeper will."""
        try:
            with self._database.session() as session:
                mine = (JobRecord.id == self._record.id, JobRecord.state == "receiving")
                session.execute(delete(JobRecord).where(*mine))
        except Unavailable:
            pass


def stores_of(settings, log, durable: bool = True) -> tuple[Database, Results]:
    """The database of jobs, with its tables, and where results are. Raises SettingsError."""
    folder = Path(settings.jobs_folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(settings.database_url, folder, log, durable)
        database.create_tables()
    except DatabaseError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None
    except OSError as error:
        raise SettingsError(f"JOBS_FOLDER: {folder} cannot be used ({error.strerror})") from None
    except Unavailable as error:
        name = "DATABASE_URL" if settings.database_url else "JOBS_FOLDER"
        raise SettingsError(f"{name}: the database cannot be used ({error.error})") from None
    if settings.results_url:
        return database, RedisResults(settings.results_url, settings.jobs_keep_seconds)
    return database, DatabaseResults(database)


def end(session: Session, id: str, state: str, error: str | None = None) -> bool:
    """A job that has not ended does so, without a result. Whether it was one."""
    told = {"state": state, "finished_at": time.time(), "error": error}
    open_one = (JobRecord.id == id, JobRecord.state.in_(ACCEPTED))
    if not session.execute(update(JobRecord).where(*open_one).values(**told)).rowcount:
        return False
    session.execute(delete(ChunkRecord).where(ChunkRecord.job_id == id))
    return True


def owned_by(owner: Owner) -> tuple:
    return JobRecord.owner == owner.name, JobRecord.tenant == owner.tenant


def unknown() -> Problem:
    return Problem("unknown-job", "there is no such job of yours")


def not_done() -> Problem:
    return Problem("job-not-done", "the job has not ended yet", [("Retry-After", "1")])


def bytes_of(path: Path, file: str, sha256: str) -> bytes:
    """The model's file, as it was loaded from MODEL_PATH. Raises Problem."""
    folder = path if path.is_dir() else path.parent
    for candidate in (folder / file, path):
        try:
            data = candidate.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    raise Problem("model-unavailable", "the model's file is not the one that is served")


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
