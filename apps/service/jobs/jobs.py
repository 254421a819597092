"""Jobs as the servers have them: taken in, looked up, cancelled, fetched."""

import re
import time
import uuid
from collections.abc import Iterable

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from apps.service.jobs.job import Job, Owner, job_of, owned_by
from apps.service.jobs.models import Models
from apps.service.jobs.queue import Call, Calls
from apps.service.jobs.receiving import Receiving
from apps.service.jobs.records import ACCEPTED, OPEN, TRIES, ChunkRecord, JobRecord, end
from apps.service.jobs.results import Result
from apps.service.jobs.stores import stores_of
from apps.service.model import Serving
from apps.service.problems import Problem

LISTED = 100
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch
NOT_DONE = {
    "failed": "the job has failed, and has no result",
    "cancelled": "the job was cancelled, and has no result",
}


class Jobs:
    """Any method may wait for a database: none is called on an event loop. Each raises Problem: 503
    jobs-unavailable where it does not answer, 404 unknown-job for what is no job of this owner."""

    def __init__(self, settings, log, metrics) -> None:
        """Raises SettingsError for a folder or a database that cannot be used."""
        self._settings, self._log, self._metrics = settings, log, metrics
        self.database, self.results = stores_of(settings, log)
        self._models = Models(self.database)
        self.calls = Calls(settings, log)

    def start(self) -> None:
        self.calls.start()

    def close(self) -> None:
        self.calls.close()
        self.results.close()
        self.database.close()

    def receive(
        self, owner: Owner, serving: Serving, *, idempotency_key: str, request_id: str, traceparent: str
    ) -> Receiving:
        """A job whose rows are to come. `idempotency_key`: "" for none. Raises Problem 503: job-queue-full,
        and model-unavailable where the model's file is not what is served any more."""
        with self.database.session() as session:
            waiting = session.scalar(select(func.count()).where(JobRecord.state.in_(OPEN)))
        if waiting >= self._settings.jobs_max_waiting:
            raise Problem("job-queue-full", "as many jobs as this server takes wait to be done")
        if self.calls.full:
            raise Problem("job-queue-full", "the broker's queue has as many messages as it takes")
        record = JobRecord(
            id=str(uuid.uuid4()),
            owner=owner.name,
            tenant=owner.tenant,
            state="receiving",
            model_id=self._models.store(serving),
            model_name=serving.name,
            model_version=serving.version,
            request_id=request_id,
            traceparent=traceparent,
            created_at=time.time(),
            touched_at=time.time(),
        )
        with self.database.session() as session:
            session.add(record)
        return Receiving(self._settings, self.database, record, idempotency_key, self._accepted)

    def _accepted(self, record: JobRecord) -> None:
        self._metrics.job_accepted()
        self._call(record, range(record.chunk_count))

    def _call(self, record: JobRecord, numbers: Iterable[int]) -> None:
        """Workers to these chunks."""
        self.calls.soon(Call(record.id, numbers, record.request_id, record.traceparent))

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

    def result(self, owner: Owner, id: str) -> Result:
        """Raises Problem 409 unless the job has succeeded; what is lost or damaged of its result is then
        computed again."""
        with self.database.session() as session:
            record = self._own(session, owner, id)
            if record.state in ACCEPTED:
                raise not_done()
            if record.state != "succeeded":
                raise Problem("job-not-done", record.error or NOT_DONE[record.state])
            chunks = select(ChunkRecord.attempt, ChunkRecord.rows).where(ChunkRecord.job_id == id)
            chunks = session.execute(chunks.order_by(ChunkRecord.number)).all()
        card = self._models.card(record.model_id)
        result = Result(self.results, job_of(record), card, *map(list, zip(*chunks, strict=True)))
        if lost := result.lost():
            self._do_again(record, {number: result.attempts[number] for number in lost})
            raise not_done()
        return result

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
                due = time.time() + self._settings.jobs_lease_seconds
                if session.execute(again.values(**fresh, call_at=due)).rowcount:
                    rows = select(ChunkRecord.rows).where(*lost).scalar_subquery()
                    undone = {"state": "running", "finished_at": None}
                    undone["rows_done"] = JobRecord.rows_done - rows
                    session.execute(update(JobRecord).where(JobRecord.id == record.id).values(**undone))
        self._call(record, sorted(attempts))

    def _own(self, session: Session, owner: Owner, id: str) -> JobRecord:
        known = select(JobRecord).where(JobRecord.id == id, *owned_by(owner), JobRecord.state != "receiving")
        found = session.scalar(known) if UUID(id) else None
        if found is None:
            raise unknown()
        return found


def unknown() -> Problem:
    return Problem("unknown-job", "there is no such job of yours")


def not_done() -> Problem:
    return Problem("job-not-done", "the job has not ended yet", [("Retry-After", "1")])
