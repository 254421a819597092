"""Where results of chunks are kept: in the database of jobs, or in Redis.

Redis may forget what it had (it restarts, or needs the memory): what is lost is computed again."""

from collections.abc import Iterator
from typing import Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.service.jobs.records import Database, OutputRecord, Unavailable

SILENT_SECONDS = 3
LATER_SECONDS = 86400  # that Redis keeps a result longer than its job may be


class Results(Protocol):
    def store(self, job_id: str, number: int, attempt: int, data: bytes) -> OutputRecord | None:
        """Keep it. What it returns has to be written by the transaction that says that the chunk is done.
        Raises Unavailable."""

    def lost(self, job_id: str, attempts: list[int]) -> list[int]:
        """The numbers of those chunks whose result is not there any more; `attempts` tells for each chunk of
        the job, in order, which attempt did it. Raises Unavailable."""

    def read(self, job_id: str, attempts: list[int]) -> Iterator[bytes]:
        """One after the other. Raises Unavailable, also for one that is not there."""

    def answers(self) -> bool:
        """Whether it can be used now."""

    def close(self) -> None: ...


class DatabaseResults:
    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, job_id: str, number: int, attempt: int, data: bytes) -> OutputRecord:
        return OutputRecord(job_id=job_id, number=number, data=data)

    def lost(self, job_id: str, attempts: list[int]) -> list[int]:
        return []

    def read(self, job_id: str, attempts: list[int]) -> Iterator[bytes]:
        for number in range(len(attempts)):
            with self._database.session() as session:
                found = session.get(OutputRecord, (job_id, number))
            if found is None:  # the job has been cleared away meanwhile
                raise Unavailable("no result")
            yield found.data

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

    def lost(self, job_id: str, attempts: list[int]) -> list[int]:
        with self._client.pipeline(transaction=False) as asked:
            for number, attempt in enumerate(attempts):
                asked.exists(key(job_id, number, attempt))
            try:
                found = asked.execute()
            except redis.RedisError as error:
                raise Unavailable(type(error).__name__) from None
        return [number for number, there in enumerate(found) if not there]

    def read(self, job_id: str, attempts: list[int]) -> Iterator[bytes]:
        for number, attempt in enumerate(attempts):
            try:
                data = self._client.get(key(job_id, number, attempt))
            except redis.RedisError as error:
                raise Unavailable(type(error).__name__) from None
            if data is None:
                raise Unavailable("no result")
            yield data

    def answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    def close(self) -> None:
        self._client.close()


def key(job_id: str, number: int, attempt: int) -> str:
    return f"servelab:job:{job_id}:{number}:{attempt}"
