"""Predictions: rows of features in, the model's answers out."""

import asyncio
from collections.abc import Awaitable
from time import perf_counter
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, SkipValidation

from apps.service.batching import Outcome
from apps.service.bodies import Answer, Body
from apps.service.model import INLINE_ROWS, Serving
from apps.service.problems import Problem
from apps.service.rows import MANY, ONE, Row, check_features

CACHED_ROWS = 64  # of a request whose result may be kept: larger ones hardly ever come twice


class PredictRequest(Body):
    """`features` in the card's order, or by their names."""

    features: Annotated[Row, SkipValidation]  # which `check_features` does
    shape: ClassVar[str] = ONE


class BatchRequest(Body):
    instances: Annotated[list[Row], SkipValidation]
    shape: ClassVar[str] = MANY


class ModelVersion(BaseModel):
    name: str
    version: str


class PredictAnswer(Answer):
    """`label` and `probabilities` (by class) are a classifier's only. Where a model has several targets, they
    are by target, and `prediction` holds a list. The OpenAPI document says what the served model gives."""

    prediction: list[Any]
    label: Any = None  # str | dict[str, str], which pydantic would try one after the other
    probabilities: Any = None  # dict[str, float] | dict[str, dict[str, float]]
    model: ModelVersion
    request_id: str


class BatchAnswer(Answer):
    """One entry for each row, in the order of the rows."""

    prediction: list[Any]
    label: list[Any] | None = None
    probabilities: list[Any] | None = None
    model: ModelVersion
    request_id: str


class Predictor:
    """The model as one request has it. `predict` is for a thread, which may wait: at once where ONNX answers,
    else in a batch."""

    __slots__ = ("_context", "_service", "serving")

    def __init__(self, service, context, serving: Serving) -> None:
        self._service, self._context, self.serving = service, context, serving
        context.version = serving.full_name

    def predict_one(self, features: Row) -> Outcome:
        """The answer for one row. Raises Problem where it is no row of this model's, or the model fails or
        takes too long."""
        return self._predict(check_features([features], self.serving, one=True))

    def predict(self, rows: list[Row]) -> Outcome:
        """The answers for up to MAX_BATCH_ROWS rows, all or none of them. Raises Problem."""
        return self._predict(self._check(rows))

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
        return self._count(started, rows, outcome)

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

    def _check(self, rows: list[Row]) -> list[list[float]]:
        limit = self._service.settings.max_batch_rows
        if not rows:
            raise Problem("invalid-input", f"expected from 1 to {limit} rows, got none")
        if len(rows) > limit:
            raise Problem("too-many-rows", f"expected at most {limit} rows")
        return check_features(rows, self.serving)

    def _count(self, started: float, rows: list[list[float]], outcome: Outcome) -> Outcome:
        service, serving, seconds = self._service, self.serving, perf_counter() - started
        if serving.classes:
            labels = [serving.class_of[found] for found in outcome.predictions]
        else:
            labels = [""] * len(outcome.predictions)
        service.metrics.predicted(serving.name, serving.version, labels, seconds)
        for call in service.on_predicted:
            call(self._context, serving, rows, outcome, seconds)
        return outcome

    @property
    def _timeout(self) -> float:
        return self._service.settings.predict_timeout_seconds

    def _failed(self, error: Exception) -> Problem:
        """The error's words may hold the features: the log gets its type alone."""
        self._service.log.warning(
            "prediction failed", request_id=self._context.request_id, error=type(error).__name__
        )
        self._tell_failed()
        return Problem("prediction-failed", "the model cannot predict from these features")

    def _too_slow(self) -> Problem:
        self._tell_failed()
        return Problem("prediction-timeout", f"the model did not answer within {self._timeout:g} seconds")

    def _tell_failed(self) -> None:
        if self._service.registry is not None:
            self._service.registry.rollout.failed(self.serving)


class AsyncPredictor(Predictor):
    """The same for an event loop, which may not wait."""

    __slots__ = ()

    def predict_one(self, features: Row) -> Awaitable[Outcome]:
        return self._predict(check_features([features], self.serving, one=True))

    def predict(self, rows: list[Row]) -> Awaitable[Outcome]:
        return self._predict(self._check(rows))

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
        return self._count(started, rows, outcome)

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
    if serving.targets:
        labels, by_target = of_targets(outcome, serving)
        return PredictAnswer(
            prediction=outcome.predictions,
            label=labels and labels[0],
            probabilities=by_target and by_target[0],
            model=identity(serving),
            request_id=request_id,
        )
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
    if serving.targets:
        labels, by_target = of_targets(outcome, serving)
        return BatchAnswer(
            prediction=outcome.predictions,
            label=labels,
            probabilities=by_target,
            model=identity(serving),
            request_id=request_id,
        )
    shares = outcome.probabilities
    return BatchAnswer(
        prediction=outcome.predictions,
        label=[serving.class_of[raw] for raw in outcome.predictions] if serving.classes else None,
        probabilities=[dict(zip(serving.classes, row, strict=True)) for row in shares] if shares else None,
        model=identity(serving),
        request_id=request_id,
    )


def of_targets(outcome: Outcome, serving: Serving) -> tuple[list[dict] | None, list[dict] | None]:
    """Labels and probabilities of each row, by target: None where they are no classes, or there are none."""
    targets = serving.targets
    if not targets[0].classes:
        return None, None
    names = [dict(zip(target.raw_labels, target.classes, strict=True)) for target in targets]
    labels = [
        {target.name: name[raw] for target, name, raw in zip(targets, names, row, strict=True)}
        for row in outcome.predictions
    ]
    if outcome.probabilities is None:
        return labels, None
    return labels, [
        {
            target.name: dict(zip(target.classes, shares, strict=True))
            for target, shares in zip(targets, row, strict=True)
        }
        for row in outcome.probabilities
    ]


def identity(serving: Serving) -> ModelVersion:
    """The model's name and version, made once for each model."""
    if serving.identity is None:
        serving.identity = ModelVersion(name=serving.name, version=serving.version)
    return serving.identity
