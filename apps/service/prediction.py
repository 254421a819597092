"""A valid request for a prediction on its way to the answer: at once where ONNX answers, else in a batch."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from time import perf_counter

import numpy as np

from apps.service.exchange import Exchange
from apps.service.model import INLINE_ROWS, Outcome, Serving
from apps.service.problems import Problem


class Prediction:
    """`now()` for a thread that may wait, `soon()` for an event loop that may not. Both give the body of the
    answer, and raise Problem where the model fails or takes too long."""

    def __init__(
        self,
        exchange: Exchange,
        serving: Serving,
        rows: list[list[float]],
        tell: Callable[[Outcome], bytes],
        *,
        timeout: float,
        log,
        metrics,
    ) -> None:
        self._exchange, self._serving, self._rows, self._tell = exchange, serving, rows, tell
        self._timeout, self._log, self._metrics = timeout, log, metrics
        exchange.version = f"{serving.name} {serving.version}"

    def now(self) -> bytes:
        started = perf_counter()
        if self._inline:
            return self._finish(started, self._predict())
        future = self._submit()
        with self._exchange.trace.span("predict"):
            try:
                answer = future.result(self._timeout)
            except TimeoutError:
                future.cancel()
                raise self._too_slow() from None
            except Exception as error:
                raise self._failed(error) from None
        return self._finish(started, self._outcome(answer))

    async def soon(self) -> bytes:
        started = perf_counter()
        if self._inline:
            return self._finish(started, self._predict())
        future = asyncio.wrap_future(self._submit())
        with self._exchange.trace.span("predict"):
            try:
                answer = await asyncio.wait_for(future, self._timeout)  # which cancels it when time is up
            except TimeoutError:
                raise self._too_slow() from None
            except Exception as error:
                raise self._failed(error) from None
        return self._finish(started, self._outcome(answer))

    @property
    def _inline(self) -> bool:
        return self._serving.inline and len(self._rows) <= INLINE_ROWS

    def _predict(self) -> Outcome:
        with self._exchange.trace.span("predict"):
            try:
                return self._serving.predict(self._rows)
            except Exception as error:
                raise self._failed(error) from None

    def _submit(self) -> Future:
        return self._serving.batcher.submit(np.array(self._rows, np.float64))

    def _outcome(self, answer: tuple) -> Outcome:
        try:
            return self._serving.outcome(*answer)
        except ValueError as error:
            raise self._failed(error) from None

    def _finish(self, started: float, outcome: Outcome) -> bytes:
        serving = self._serving
        labels = (
            [serving.class_of[found] for found in outcome.predictions]
            if serving.classes
            else [""] * len(self._rows)
        )
        self._metrics.predicted(serving.name, serving.version, labels, perf_counter() - started)
        with self._exchange.trace.span("encode"):
            return self._tell(outcome)

    def _failed(self, error: Exception) -> Problem:
        """The error's words may hold the features: the log gets its type alone."""
        self._log.warning(
            "prediction failed", request_id=self._exchange.request_id, error=type(error).__name__
        )
        return Problem("prediction-failed", "the model cannot predict from these features")

    def _too_slow(self) -> Problem:
        return Problem("prediction-timeout", f"the model did not answer within {self._timeout:g} seconds")
