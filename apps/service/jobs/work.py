"""The work of one worker: a chunk at a time, from its claim to its result."""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from apps.service.jobs.arrays import answers_of, check_length
from apps.service.jobs.chunks import Chunks, Claim
from apps.service.jobs.records import Unavailable
from apps.service.model import REASONS
from model_training.artifact import ArtifactError, LoadedModel, load_path
from model_training.card import CardError

MODELS = 2  # kept in memory
RETRY_SECONDS = 0.3
T = TypeVar("T")


class Stopped(Exception):
    """The worker is to end, and what it waited for has not come."""


class Work:
    def __init__(self, settings, log, metrics, tracing, chunks: Chunks) -> None:
        self._log, self._metrics, self._tracing, self._chunks = log, metrics, tracing, chunks
        self._lease, self._longest = settings.jobs_lease_seconds, settings.jobs_chunk_seconds
        self._models: dict[str, LoadedModel] = {}
        self._current: tuple[Claim, float] | None = None  # and since when
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._keep_lease, name="lease", daemon=True).start()

    def stop(self) -> None:
        """From now on nothing is waited for."""
        self._stopped.set()

    def leave(self) -> None:
        """Give back what is being worked on: this process ends."""
        if self._current is not None:
            self._log.warning("a chunk is given back", job=self._current[0].job_id)
            self._chunks.give_back(self._current[0])

    def predict(self, job_id: str, number: int, request_id: str, traceparent: str) -> None:
        """One chunk, if nobody else has it. As long as a database or Redis does not answer, it waits. Raises
        Stopped."""
        claim = self._patiently(lambda: self._chunks.claim(job_id, number))
        if claim is None:
            self._metrics.dropped()
            return
        trace = self._tracing.consume(traceparent)
        self._current = claim, time.monotonic()
        state = "lost"
        try:
            with trace.span("predict"):
                state = self._predict(claim)
        finally:
            seconds, self._current = time.monotonic() - self._current[1], None
            self._metrics.chunk(state, claim.rows, seconds)
            trace.end(500 if state == "failed" else 200)
            self._log.info(
                "chunk",
                state=state,
                request_id=request_id,
                trace_id=trace.trace_id,
                job=job_id,
                chunk=number,
                rows=claim.rows,
                attempt=claim.attempt,
                ms=round(seconds * 1000, 1),
            )

    def _predict(self, claim: Claim) -> str:
        """What has become of the chunk: done, failed, returned, or lost to somebody else."""
        try:
            try:
                model = self._patiently(lambda: self._model(claim.model_id))
            except (ArtifactError, CardError) as error:
                kind = next(kind for kind in REASONS if isinstance(error, kind))
                return self._fail(claim, REASONS[kind], error)
            rows = self._patiently(lambda: self._chunks.rows(claim))
            if rows is None:
                return "lost"
            try:
                answers = answers_of(model, rows)
                check_length(answers, claim.rows)
                done = self._patiently(lambda: self._chunks.complete(claim, answers))
            except (Stopped, MemoryError):
                raise
            except Exception as error:
                return self._fail(claim, f"the model failed on chunk {claim.number + 1} of {claim.of}", error)
            return "done" if done else "lost"
        except Stopped:
            with_luck(self._chunks.give_back, claim)
            raise

    def _fail(self, claim: Claim, reason: str, error: Exception) -> str:
        """The error's words may hold features: the log gets its type alone."""
        self._log.error("a job has failed", job=claim.job_id, reason=reason, error=type(error).__name__)
        return "failed" if self._patiently(lambda: self._chunks.fail(claim, reason)) else "lost"

    def _model(self, id: str) -> LoadedModel:
        """The version that the job was submitted to. Raises ArtifactError, CardError."""
        if id in self._models:
            return self._models[id]
        record = self._chunks.model(id)
        if record is None:
            raise ArtifactError("the job's model is not there")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "card.json").write_bytes(record.card)
            (folder / record.name).write_bytes(record.file)
            loaded = load_path(folder, record.format)
        while len(self._models) >= MODELS:
            del self._models[next(iter(self._models))]
        self._models[id] = loaded
        self._log.info(
            "model loaded", model=f"{loaded.card.name} {loaded.card.version}", format=loaded.format
        )
        return loaded

    def _patiently(self, ask: Callable[[], T]) -> T:
        """As often as it takes. Raises Stopped."""
        while True:
            try:
                return ask()
            except Unavailable:  # which has been logged
                if self._stopped.wait(RETRY_SECONDS):
                    raise Stopped from None

    def _keep_lease(self) -> None:
        """Renews it; and ends this process where a chunk takes too long, which nothing else in Python can."""
        while True:
            time.sleep(self._lease / 3)
            if (current := self._current) is None:
                continue
            claim, since = current
            if time.monotonic() - since > self._longest:
                with_luck(self._chunks.give_up, claim)
                self._log.error("a chunk takes too long: this worker ends", job=claim.job_id)
                os._exit(1)
            with_luck(self._chunks.renew, claim)


def with_luck(change: Callable, *arguments) -> None:
    """What is not to be had now is not waited for: the lease will run out."""
    with suppress(Unavailable):
        change(*arguments)
