"""Predictions: rows of features in, the model's answers out."""

import asyncio
from collections.abc import Awaitable
from time import perf_counter
from typing import Any, ClassVar

from pydantic import BaseModel

from apps.service.batching import Outcome
from apps.service.bodies import Answer, Body
from apps.service.model import INLINE_ROWS, Serving
from apps.service.problems import Problem

CACHED_ROWS = 64  # of a request whose result may be kept: larger ones hardly ever come twice


class PredictRequest(Body):
    features: list[float]
    shape: ClassVar[str] = '{"features": [numbers]}'


class BatchRequest(Body):
    instances: list[list[float]]
    shape: ClassVar[str] = '{"instances": [[numbers], ...]}'


class ModelVersion(BaseModel):
    name: str
    version: str


class PredictAnswer(Answer):
    """`label` and `probabilities` (by class) are a classifier's only."""

    prediction: list[Any]
    label: str | None = None
    probabilities: dict[str, float] | None = None
    model: ModelVersion
    request_id: str


class BatchAnswer(Answer):
    """One entry for each row, in the order of the rows."""

    prediction: list[Any]
    label: list[str] | None = None
    probabilities: list[dict[str, float]] | None = None
    model: ModelVersion
    request_id: str


class Predictor:
    """The model as one request has it. `predict` is for a thread, which may wait: at once where ONNX answers,
    else in a batch."""

    __slots__ = ("_context", "_service", "serving")

    def __init__(self, service, context, serving: Serving) -> None:
        self._service, self._context, self.serving = service, context, serving
        context.version = serving.full_name

    def predict_one(self, features: list[float]) -> Outcome:
        """The answer for one row. Raises Problem where it is no row of this model's, or the model fails or
        takes too long."""
        check_features([features], self.serving, one=True)
        return self._predict([features])

    def predict(self, rows: list[list[float]]) -> Outcome:
        """The answers for up to MAX_BATCH_ROWS rows, all or none of them. Raises Problem."""
        self._check(rows)
        return self._predict(rows)

    def _predict(self, rows: list[list[float]]) -> Outcome:
        started, trace = perf_counter(), self._context.trace
        cache = self._service.cache
        trace.lap("validate")
        with trace.span("predict"):
            if cache is None or len(rows) > CACHED_ROWS:
                outcome = self._compute(rows)
            else:
                outcome = cache.recall(self._context, self.serving, rows, self._compute, self._timeout)
            trace.lap("wait", ago=outcome.seconds)
        return self._count(started, outcome)

    def _compute(self, rows: list[list[float]], seconds: float | None = None) -> Outcome:
        serving, future = self.serving, None
        try:
            if serving.inline and len(rows) <= INLINE_ROWS:
                return serving.predict(rows)
            future = serving.batcher.submit(rows)
            return future.result(self._timeout if seconds is None else seconds)
        except TimeoutError:
            future.cancel()
            raise self._too_slow() from None
        except Exception as error:
            raise self._failed(error) from None

    def _check(self, rows: list[list[float]]) -> None:
        limit = self._service.settings.max_batch_rows
        if not rows:
            raise Problem("invalid-input", f"expected from 1 to {limit} rows, got none")
        if len(rows) > limit:
            raise Problem("too-many-rows", f"expected at most {limit} rows")
        check_features(rows, self.serving)

    def _count(self, started: float, outcome: Outcome) -> Outcome:
        serving = self.serving
        if serving.classes:
            labels = [serving.class_of[found] for found in outcome.predictions]
        else:
            labels = [""] * len(outcome.predictions)
        self._service.metrics.predicted(serving.name, serving.version, labels, perf_counter() - started)
        return outcome

    @property
    def _timeout(self) -> float:
        return self._service.settings.predict_timeout_seconds

    def _failed(self, error: Exception) -> Problem:
        """The error's words may hold the features: the log gets its type alone."""
        self._service.log.warning(
            "prediction failed", request_id=self._context.request_id, error=type(error).__name__
        )
        return Problem("prediction-failed", "the model cannot predict from these features")

    def _too_slow(self) -> Problem:
        return Problem("prediction-timeout", f"the model did not answer within {self._timeout:g} seconds")


class AsyncPredictor(Predictor):
    """The same for an event loop, which may not wait."""

    __slots__ = ()

    def predict_one(self, features: list[float]) -> Awaitable[Outcome]:
        check_features([features], self.serving, one=True)
        return self._predict([features])

    def predict(self, rows: list[list[float]]) -> Awaitable[Outcome]:
        self._check(rows)
        return self._predict(rows)

    async def _predict(self, rows: list[list[float]]) -> Outcome:
        started, trace = perf_counter(), self._context.trace
        cache = self._service.cache
        trace.lap("validate")
        with trace.span("predict"):
            if cache is None or len(rows) > CACHED_ROWS:
                outcome = await self._compute(rows)
            else:
                recall = cache.recall_from_loop
                outcome = await recall(self._context, self.serving, rows, self._compute, self._timeout)
            trace.lap("wait", ago=outcome.seconds)
        return self._count(started, outcome)

    async def _compute(self, rows: list[list[float]], seconds: float | None = None) -> Outcome:
        serving = self.serving
        try:
            if not serving.inline or len(rows) > INLINE_ROWS:
                waiting = serving.batcher.submit_from_loop(rows)
                seconds = self._timeout if seconds is None else seconds
                return await asyncio.wait_for(waiting, seconds)  # which cancels it in the end
            if self._service.requests.concurrency.several:
                return await serving.loop_batcher.submit(rows)
            return serving.predict(rows)
        except TimeoutError:
            raise self._too_slow() from None
        except Exception as error:
            raise self._failed(error) from None


def answer_one(outcome: Outcome, serving: Serving, request_id: str) -> PredictAnswer:
    """The outcome of one row, as it is sent."""
    shares = outcome.probabilities
    return PredictAnswer(
        prediction=outcome.predictions,
        label=serving.class_of[outcome.predictions[0]] if serving.classes else None,
        probabilities=dict(zip(serving.classes, shares[0], strict=True)) if shares else None,
        model=identity(serving),
        request_id=request_id,
    )


def answer_all(outcome: Outcome, serving: Serving, request_id: str) -> BatchAnswer:
    """The outcome of several rows, as it is sent."""
    shares = outcome.probabilities
    return BatchAnswer(
        prediction=outcome.predictions,
        label=[serving.class_of[raw] for raw in outcome.predictions] if serving.classes else None,
        probabilities=[dict(zip(serving.classes, row, strict=True)) for row in shares] if shares else None,
        model=identity(serving),
        request_id=request_id,
    )


def identity(serving: Serving) -> ModelVersion:
    """The model's name and version, made once for each model."""
    if serving.identity is None:
        serving.identity = ModelVersion(name=serving.name, version=serving.version)
    return serving.identity


def check_features(rows: list[list[float]], serving: Serving, one: bool = False, first: int = 0) -> None:
    """Raises Problem unless every row has a number for each feature of the card, within its range. `first` is
    the number of the first row."""
    count = len(serving.features)
    for number, row in enumerate(rows, first):
        where = "" if one else f" in row {number}"
        if len(row) != count:
            raise Problem(
                "invalid-input",
                f"expected {count} features{where} ({', '.join(serving.features)}), got {len(row)}",
                reason="wrong-length",
            )
        for value, low, high in zip(row, serving.minimum, serving.maximum, strict=True):
            if not low <= value <= high:
                place = next(
                    place
                    for place, found in enumerate(row)
                    if not serving.minimum[place] <= found <= serving.maximum[place]
                )
                raise Problem(
                    "out-of-range",
                    f"expected {serving.features[place]} from {serving.minimum[place]:g} "
                    f"to {serving.maximum[place]:g}{where}, got one outside",
                )
