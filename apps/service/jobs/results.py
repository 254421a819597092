"""Where results of chunks are kept: in the database of jobs, or in Redis.

Redis may forget what it had (it restarts, or needs the memory): what is lost is computed again."""

from collections.abc import Iterator
from typing import Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.service.jobs.arrays import Answers, answers_in
from apps.service.jobs.job import Job
from apps.service.jobs.records import Database, OutputRecord, Unavailable
from model_training.card import Card

SILENT_SECONDS = 3
LATER_SECONDS = 86400  # that Redis keeps a result longer than its job may be


class Results(Protocol):
    def store(self, job_id: str, number: int, attempt: int, data: bytes) -> OutputRecord | None:
        """Keep it. What it returns has to be written by the transaction that says that the chunk is done.
        Raises Unavailable."""

    def read(self, job_id: str, attempts: list[int]) -> Iterator[bytes | None]:
        """One after the other, None for one that is not there. `attempts` tells for each chunk of the job, in
        order, which attempt did it. Raises Unavailable."""

    def answers(self) -> bool:
        """Whether it can be used now."""

    def close(self) -> None: ...


class DatabaseResults:
    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, job_id: str, number: int, attempt: int, data: bytes) -> OutputRecord:
        return OutputRecord(job_id=job_id, number=number, data=data)

    def read(self, job_id: str, attempts: list[int]) -> Iterator[bytes | None]:
        for number in range(len(attempts)):
            with self._database.session() as session:
                found = session.get(OutputRecord, (job_id, number))
            yield None if found is None else found.data

    def answers(self) -> bool:
        return self._database.answers

    def close(self) -> None:
        pass


class RedisResults:
    def __init__(self, url: str, keep_seconds: float) -> None:
        timeouts = {"socket_timeout": SILENT_SECONDS, "socket_connect_timeout": SILENT_SECONDS}
        self._client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **timeouts)
        self._keep_seconds = int(keep_seconds) + LATER_SECONDS

    def store(self, job_id: str, number: int, attempt: int, data: bytes) -> None:
        try:
            self._client.set(key(job_id, number, attempt), data, ex=self._keep_seconds)
        except redis.RedisError as error:
            raise Unavailable(type(error).__name__) from None

    def read(self, job_id: str, attempts: list[int]) -> Iterator[bytes | None]:
        for number, attempt in enumerate(attempts):
            try:
                yield self._client.get(key(job_id, number, attempt))
            except redis.RedisError as error:
                raise Unavailable(type(error).__name__) from None

    def answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    def close(self) -> None:
        self._client.close()


def key(job_id: str, number: int, attempt: int) -> str:
    return f"servelab:job:{job_id}:{number}:{attempt}"


class Result:
    """The answers of a job, chunk by chunk in the order of its rows, read anew by each loop over them, which
    raises Unavailable or ValueError for what has been lost meanwhile."""

    def __init__(self, results: Results, job: Job, card: Card, attempts: list[int], rows: list[int]) -> None:
        """Of each chunk: which attempt did it, and how many rows it has."""
        self._results, self.job, self.card = results, job, card
        self.attempts, self._rows = attempts, rows

    def __iter__(self) -> Iterator[Answers]:
        for data, rows in self._chunks():
            yield answers_in(data or b"", rows)

    def lost(self) -> list[int]:
        """The numbers of chunks whose answers are not there, or are damaged. Raises Unavailable."""
        return [number for number, (data, rows) in enumerate(self._chunks()) if not is_whole(data, rows)]

    def _chunks(self) -> Iterator[tuple[bytes | None, int]]:
        return zip(self._results.read(self.job.id, self.attempts), self._rows, strict=True)


def is_whole(data: bytes | None, rows: int) -> bool:
    try:
        answers_in(data or b"", rows)
    except ValueError:
        return False
    return True
