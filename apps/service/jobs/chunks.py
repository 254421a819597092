"""Chunks as workers have them: claimed for a while, done once, given back.

A claim is a lease, which its worker renews as long as it lives, and a number of an attempt. Whatever a worker
says of a chunk counts only while that attempt is the last one, so that two that both believe it theirs cannot
both have done it. (A lease goes by the workers' clocks: where they differ, chunks may be computed twice, and
are counted once.) Rows of jobs are locked before those of their chunks, so that nobody waits in a circle."""

import time
from typing import NamedTuple

import numpy as np
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from apps.service.jobs.arrays import Answers, pack_answers, rows_in
from apps.service.jobs.records import (
    ACCEPTED,
    ChunkRecord,
    Database,
    InputRecord,
    JobRecord,
    ModelRecord,
    Unavailable,
    end,
)
from apps.service.jobs.results import Results


class Claim(NamedTuple):
    job_id: str
    number: int
    of: int  # so many chunks
    rows: int
    attempt: int
    last: bool  # whether this is the last attempt
    model_id: str


class Chunks:
    """Each method raises Unavailable where the database does not answer."""

    def __init__(self, database: Database, results: Results, lease_seconds: float) -> None:
        self._database, self._results, self._lease = database, results, lease_seconds

    def claim(self, job_id: str, number: int) -> Claim | None:
        """None where it is done, another worker's, or of a job that has ended."""
        now = time.time()
        chunk = (ChunkRecord.job_id == job_id, ChunkRecord.number == number)
        free = or_(
            ChunkRecord.state == "waiting",
            (ChunkRecord.state == "running") & (ChunkRecord.lease_until < now),
        )
        mine = update(ChunkRecord).where(*chunk, free, ChunkRecord.attempt < ChunkRecord.last_attempt)
        taken = {"state": "running", "attempt": ChunkRecord.attempt + 1, "lease_until": now + self._lease}
        with self._database.session() as session:
            job = open_job(session, job_id)
            if job is None or session.execute(mine.values(**taken)).rowcount != 1:
                return None
            if job.state == "queued":
                began = {"state": "running", "started_at": func.coalesce(JobRecord.started_at, now)}
                session.execute(update(JobRecord).where(JobRecord.id == job_id).values(**began))
            found = session.execute(
                select(ChunkRecord.rows, ChunkRecord.attempt, ChunkRecord.last_attempt).where(*chunk)
            ).one()
        last = found.attempt >= found.last_attempt
        return Claim(job_id, number, job.chunk_count, found.rows, found.attempt, last, job.model_id)

    def rows(self, claim: Claim) -> np.ndarray | None:
        """float64 of shape (n, features); None where the job has been cancelled."""
        with self._database.session() as session:
            found = session.get(InputRecord, (claim.job_id, claim.number))
        return None if found is None else rows_in(found.data)

    def model(self, id: str) -> ModelRecord | None:
        with self._database.session() as session:
            return session.get(ModelRecord, id)

    def renew(self, claim: Claim) -> bool:
        """The lease. Whether the chunk is still this worker's."""
        renewed = update(ChunkRecord).where(*held(claim)).values(lease_until=time.time() + self._lease)
        with self._database.session() as session:
            return session.execute(renewed).rowcount == 1

    def complete(self, claim: Claim, answers: Answers) -> bool:
        """Whether the chunk was still this worker's; if it was not, nothing has happened. ValueError as
        pack_answers."""
        kept = self._results.store(claim.job_id, claim.number, claim.attempt, pack_answers(answers))
        done = update(ChunkRecord).where(*held(claim)).values(state="done", lease_until=None)
        counted = update(JobRecord).where(JobRecord.id == claim.job_id)
        ended = counted.where(JobRecord.rows_done == JobRecord.rows)
        with self._database.session() as session:
            job = open_job(session, claim.job_id)
            if job is None or session.execute(done).rowcount != 1:
                return False
            if kept is not None:
                session.merge(kept)
            session.execute(counted.values(rows_done=JobRecord.rows_done + claim.rows))
            session.execute(ended.values(state="succeeded", finished_at=time.time()))
        return True

    def give_back(self, claim: Claim) -> bool:
        """For another worker, soon, and as if it had not been tried."""
        return self._free(claim, 1)

    def give_up(self, claim: Claim) -> bool:
        """It takes too long: another worker may try it, unless this was the last attempt."""
        if claim.last:
            return self.fail(
                claim, f"chunk {claim.number + 1} of {claim.of} took longer than JOBS_CHUNK_SECONDS"
            )
        return self._free(claim, 0)

    def _free(self, claim: Claim, more: int) -> bool:
        free = {"state": "waiting", "lease_until": None, "calls": 0, "call_at": 0.0}
        back = update(ChunkRecord).where(*held(claim))
        with self._database.session() as session:
            values = back.values(last_attempt=ChunkRecord.last_attempt + more, **free)
            return session.execute(values).rowcount == 1

    def fail(self, claim: Claim, reason: str) -> bool:
        """The whole job, if the chunk is still this worker's."""
        with self._database.session() as session:
            open_job(session, claim.job_id)
            if session.scalar(select(ChunkRecord.number).where(*held(claim))) is None:
                return False
            return end(session, claim.job_id, "failed", reason)

    def answer(self) -> bool:
        """Whether the database does so now."""
        try:
            with self._database.session() as session:
                session.scalar(select(1))
        except Unavailable:
            return False
        return True


def open_job(session: Session, id: str) -> JobRecord | None:
    """One that has not ended, which stays so for this transaction."""
    wanted = select(JobRecord).where(JobRecord.id == id, JobRecord.state.in_(ACCEPTED))
    return session.scalar(wanted.with_for_update())


def held(claim: Claim) -> tuple:
    """What is true of a chunk as long as nobody else has claimed it."""
    return (
        ChunkRecord.job_id == claim.job_id,
        ChunkRecord.number == claim.number,
        ChunkRecord.state == "running",
        ChunkRecord.attempt == claim.attempt,
    )
