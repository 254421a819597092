"""A job on its way in: its rows go to the database as they come, and at the end it is accepted."""

import time
from collections.abc import Callable

import numpy as np
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from apps.service.jobs.arrays import pack_rows
from apps.service.jobs.job import Job, Owner, job_of, owned_by
from apps.service.jobs.records import ChunkRecord, Database, InputRecord, JobRecord, Unavailable
from apps.service.problems import Problem


class Receiving:
    """A job whose rows are coming. Ends with `accept`, or with `abandon`."""

    def __init__(
        self, settings, database: Database, record: JobRecord, idempotency_key: str, accepted: Callable
    ) -> None:
        """`accepted` is called with the job, once it is one."""
        self._settings, self._database, self._chunk_rows = settings, database, settings.jobs_chunk_rows
        self._record, self._key, self._accepted = record, idempotency_key, accepted
        self._left: list[np.ndarray] = []  # fewer rows than a chunk
        self._left_rows = self._number = 0
        self.rows = 0

    def add(self, rows: np.ndarray) -> None:
        """The next rows, float64 of shape (n, features), any number of them, which are good ones of this
        model. Raises Problem 413 for more than JOBS_MAX_ROWS in all."""
        self.rows += len(rows)
        if self.rows > (most := self._settings.jobs_max_rows):
            raise Problem(
                "too-many-rows",
                f"expected at most {most} rows in a job (JOBS_MAX_ROWS), got more: make several jobs of them",
            )
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
        due = time.time() + self._settings.jobs_lease_seconds
        try:
            with self._database.session() as session:
                still = (JobRecord.id == record.id, JobRecord.state == "receiving")
                if not session.execute(update(JobRecord).where(*still).values(**told)).rowcount:
                    raise Unavailable("swept")
                called = update(ChunkRecord).where(ChunkRecord.job_id == record.id)
                session.execute(called.values(calls=1, call_at=due))
                accepted = session.get_one(JobRecord, record.id)
        except IntegrityError:
            return self._accepted_before(digest)
        self._accepted(accepted)
        return job_of(accepted)

    def _accepted_before(self, digest: str) -> Job:
        owner = Owner(self._record.owner, self._record.tenant)
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
