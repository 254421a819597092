"""What puts right whatever has died: each worker has one, and what one of them does, the others find done."""

import random
import threading
import time
from itertools import groupby

from sqlalchemy import delete, exists, select, update

from apps.service.jobs.queue import Call, Calls
from apps.service.jobs.records import (
    ACCEPTED,
    ChunkRecord,
    Database,
    JobRecord,
    ModelRecord,
    Unavailable,
    end,
)

AT_ONCE = 1000  # chunks
RECEIVING_SECONDS = 600  # in which more rows have to come
UNUSED_SECONDS = 86400  # after which a model without jobs goes
MOST_DOUBLINGS = 6
AGAIN_SECONDS = 2


class Sweeper:
    def __init__(self, settings, log, database: Database, calls: Calls) -> None:
        self._log, self._database, self._calls = log, database, calls
        self._lease, self._keep = settings.jobs_lease_seconds, settings.jobs_keep_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join(AGAIN_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                self.sweep()
            except Unavailable:
                pass  # which has been logged
            except Exception as error:
                self._log.error("the sweeper failed, and goes on", error=type(error).__name__)
            if self._stopped.wait(self._lease * random.uniform(0.3, 0.5)):
                return

    def sweep(self) -> None:
        """Once. Raises Unavailable."""
        now = time.time()
        self._free(now)
        self._call(now)
        self._clear(now)

    def _free(self, now: float) -> None:
        """Chunks of workers that have died: for others, or too often tried."""
        over = (ChunkRecord.state == "running", ChunkRecord.lease_until < now)
        with self._database.session() as session:
            dead = [*session.scalars(select(ChunkRecord).where(*over).limit(AT_ONCE))]
        for chunk in dead:
            mine = (ChunkRecord.job_id == chunk.job_id, ChunkRecord.number == chunk.number)
            same = (*mine, *over, ChunkRecord.attempt == chunk.attempt)
            told = {"job": chunk.job_id, "chunk": chunk.number, "attempt": chunk.attempt}
            if chunk.attempt >= chunk.last_attempt:
                reason = (
                    f"chunk {chunk.number + 1} was tried {chunk.attempt} times; its worker ended each time"
                )
                with self._database.session() as session:
                    still = session.scalar(select(ChunkRecord.number).where(*same)) is not None
                    if still and end(session, chunk.job_id, "failed", reason):
                        self._log.error("a job has failed: its workers ended", **told)
                continue
            freed = update(ChunkRecord).where(*same)
            with self._database.session() as session:
                if session.execute(freed.values(state="waiting", calls=0, call_at=0.0)).rowcount:
                    self._log.warning("a worker has ended amid a chunk: it is done again", **told)

    def _call(self, now: float) -> None:
        """Workers to chunks that have waited for long: the message was lost, or is still in a long queue. So
        each time it takes twice as long until the next."""
        due = (ChunkRecord.state == "waiting", ChunkRecord.call_at < now, JobRecord.state.in_(ACCEPTED))
        wanted = select(ChunkRecord, JobRecord.request_id, JobRecord.traceparent)
        wanted = wanted.join(JobRecord, JobRecord.id == ChunkRecord.job_id).where(*due)
        with self._database.session() as session:
            ordered = wanted.order_by(ChunkRecord.job_id, ChunkRecord.number).limit(AT_ONCE)
            waiting = session.execute(ordered).all()
            mine = []
            for found in waiting:
                later = now + self._lease * 2 ** min(found[0].calls, MOST_DOUBLINGS)
                if self._set_call(session, found[0], found[0].calls, found[0].calls + 1, later):
                    mine.append(found)
        for (job_id, request_id, traceparent), group in groupby(mine, lambda one: (one[0].job_id, *one[1:])):
            chunks = [one[0] for one in group]
            if not self._calls.send(Call(job_id, [one.number for one in chunks], request_id, traceparent)):
                with self._database.session() as session:
                    for chunk in chunks:
                        self._set_call(session, chunk, chunk.calls + 1, chunk.calls, now + AGAIN_SECONDS)
                return

    def _set_call(self, session, chunk: ChunkRecord, calls: int, new: int, at: float) -> bool:
        """When to call for it next, unless somebody else has set that, or it waits no longer."""
        same = (ChunkRecord.job_id == chunk.job_id, ChunkRecord.number == chunk.number)
        waiting = (*same, ChunkRecord.state == "waiting", ChunkRecord.calls == calls)
        values = update(ChunkRecord).where(*waiting).values(calls=new, call_at=at)
        return session.execute(values, execution_options={"synchronize_session": False}).rowcount == 1

    def _clear(self, now: float) -> None:
        """What nobody will ask for: jobs that ended long ago, or never came whole, and their models."""
        old = JobRecord.finished_at < now - self._keep
        cut_off = (JobRecord.state == "receiving") & (JobRecord.touched_at < now - RECEIVING_SECONDS)
        unused = (ModelRecord.used_at < now - UNUSED_SECONDS) & ~exists().where(
            JobRecord.model_id == ModelRecord.id
        )
        with self._database.session() as session:
            ids = [*session.scalars(select(JobRecord.id).where(old | cut_off).limit(20))]
        for id in ids:
            with self._database.session() as session:
                session.execute(delete(JobRecord).where(JobRecord.id == id, old | cut_off))
        with self._database.session() as session:
            session.execute(delete(ModelRecord).where(unused))
