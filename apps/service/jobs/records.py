"""The database of jobs, which is the truth about them. What goes through the queue only calls workers to it.

Whatever is done twice (a message delivered again, a worker taken for dead) meets an UPDATE with a WHERE that
is true once."""

import time
from pathlib import Path

from sqlalchemy import (
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    delete,
    event,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from apps.service import databases
from apps.service.problems import Problem

OPEN = ("receiving", "queued", "running")  # states of jobs that have not ended
ACCEPTED = ("queued", "running")
TRIES = 5  # of each chunk, before its job has failed


class Unavailable(Problem):
    """The database, or where results are, does not do what it is asked; `error` is the kind of failure."""

    def __init__(self, error: str) -> None:
        super().__init__("jobs-unavailable", "jobs cannot be looked up now; none is lost")
        self.error = error


class Base(DeclarativeBase):
    pass


def of_chunk() -> ForeignKeyConstraint:
    """What belongs to a chunk goes with it."""
    chunk = ["job_chunks.job_id", "job_chunks.number"]
    return ForeignKeyConstraint(["job_id", "number"], chunk, ondelete="CASCADE")


class ModelRecord(Base):
    """A model that jobs were submitted to: every worker loads exactly this one."""

    __tablename__ = "job_models"

    id: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 of card and file
    format: Mapped[str]
    name: Mapped[str]  # of the file, as the card has it
    card: Mapped[bytes] = mapped_column(LargeBinary)
    file: Mapped[bytes] = mapped_column(LargeBinary)
    used_at: Mapped[float]


class JobRecord(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("tenant", "owner", "idempotency_key"),
        Index("jobs_of_owner", "tenant", "owner", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # a UUID
    owner: Mapped[str]
    tenant: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)  # receiving, queued, running, succeeded, failed, cancelled
    model_id: Mapped[str] = mapped_column(ForeignKey("job_models.id"), index=True)
    model_name: Mapped[str]
    model_version: Mapped[str]
    rows: Mapped[int] = mapped_column(default=0)
    rows_done: Mapped[int] = mapped_column(default=0)
    chunk_count: Mapped[int] = mapped_column(default=0)
    idempotency_key: Mapped[str | None]
    digest: Mapped[str] = mapped_column(default="")  # of what was sent
    request_id: Mapped[str]
    traceparent: Mapped[str]
    created_at: Mapped[float]  # this and the following: seconds since 1970
    touched_at: Mapped[float]  # when rows of it last came
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    error: Mapped[str | None]


class ChunkRecord(Base):
    """Some rows of a job: what one worker does at a time."""

    __tablename__ = "job_chunks"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)  # from 0
    rows: Mapped[int]
    state: Mapped[str] = mapped_column(default="waiting", index=True)  # waiting, running, done
    attempt: Mapped[int] = mapped_column(default=0)  # grows with each claim, which it is the token of
    last_attempt: Mapped[int] = mapped_column(default=TRIES)
    lease_until: Mapped[float | None]
    calls: Mapped[int] = mapped_column(default=0)  # messages about it so far
    call_at: Mapped[float] = mapped_column(default=0.0)  # while it waits: when to send the next


class InputRecord(Base):
    """A chunk's rows, as rows.packed has them."""

    __tablename__ = "job_inputs"
    __table_args__ = (of_chunk(),)

    job_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class OutputRecord(Base):
    """What the model answered for a chunk, where that is kept in this database."""

    __tablename__ = "job_outputs"
    __table_args__ = (of_chunk(),)

    job_id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Database(databases.Database):
    """The database of jobs."""

    def __init__(self, url: str | None, folder: Path, log=None, durable: bool = True) -> None:
        """As databases.Database, with jobs.db in `folder`. Not `durable`: a power failure may undo the last
        of this process in a SQLite file. A worker may have it so: its chunks are then done again."""
        super().__init__(url, folder / "jobs.db", "jobs", Unavailable, log)
        if not durable and self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", databases.hurry_sqlite)

    def create_tables(self) -> None:
        """What is not there yet. Raises Unavailable."""
        self.create(Base)


def end(session: Session, id: str, state: str, error: str | None = None) -> bool:
    """A job that has not ended does so, without a result. Whether it was one."""
    told = {"state": state, "finished_at": time.time(), "error": error}
    open_one = (JobRecord.id == id, JobRecord.state.in_(ACCEPTED))
    if not session.execute(update(JobRecord).where(*open_one).values(**told)).rowcount:
        return False
    session.execute(delete(ChunkRecord).where(ChunkRecord.job_id == id))
    return True
