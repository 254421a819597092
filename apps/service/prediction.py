"""A valid request for a prediction on its way to the answer: at once where ONNX answers, else in a batch."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from apps.service.batching import Outcome
from apps.service.exchange import Exchange
from apps.service.model import INLINE_ROWS, Serving
from apps.service.problems import Problem


class Prediction:
    """`now()` for a thread that may wait, `soon()` for an event loop that may not. Both give the body of the
    answer, and raise Problem where the model fails or takes too long."""

    __slots__ = ("_exchange", "_rows", "_service", "_serving", "_tell")

    def __init__(
        self,
        service,
        exchange: Exchange,
        serving: Serving,
        rows: list[list[float]],
        tell: Callable[[Outcome], bytes],
    ) -> None:
        self._service, self._exchange, self._serving = service, exchange, serving
        self._rows, self._tell = rows, tell
        exchange.version = serving.full_name

    def now(self) -> bytes:
        started = perf_counter()
        serving, future = self._serving, None
        with self._exchange.trace.span("predict"):
            try:
                if serving.inline and len(self._rows) <= INLINE_ROWS:
                    outcome = serving.predict(self._rows)
                else:
                    future = serving.batcher.submit(self._rows)
                    outcome = future.result(self._timeout)
            except TimeoutError:
                future.cancel()
                raise self._too_slow() from None
            except Exception as error:
                raise self._failed(error) from None
        return self._finish(started, outcome)

    async def soon(self) -> bytes:
        started = perf_counter()
        serving = self._serving
        with self._exchange.trace.span("predict"):
            try:
                if not serving.inline or len(self._rows) > INLINE_ROWS:
                    waiting = serving.batcher.submit_from_loop(self._rows)
                    outcome = await asyncio.wait_for(waiting, self._timeout)  # which cancels it in the end
                elif self._service.gate.crowd.several:
                    outcome = await serving.turn.submit(self._rows)
                else:
                    outcome = serving.predict(self._rows)
            except TimeoutError:
                raise self._too_slow() from None
            except Exception as error:
                raise self._failed(error) from None
        return self._finish(started, outcome)

    def _finish(self, started: float, outcome: Outcome) -> bytes:
        serving = self._serving
        if serving.classes:
            labels = [serving.class_of[found] for found in outcome.predictions]
        else:
            labels = [""] * len(self._rows)
        self._service.metrics.predicted(serving.name, serving.version, labels, perf_counter() - started)
        with self._exchange.trace.span("encode"):
            return self._tell(outcome)

    @property
    def _timeout(self) -> float:
        return self._service.settings.predict_timeout_seconds

    def _failed(self, error: Exception) -> Problem:
        """The error's words may hold the features: the log gets its type alone."""
        self._service.log.warning(
            "prediction failed", request_id=self._exchange.request_id, error=type(error).__name__
        )
        return Problem("prediction-failed", "the model cannot predict from these features")

    def _too_slow(self) -> Problem:
        return Problem("prediction-timeout", f"the model did not answer within {self._timeout:g} seconds")
