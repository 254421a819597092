"""Explanations: what each feature did to an answer, computed beside the requests. There only with EXPLAIN=on.

One thread computes, and asks the model for a few rows at a time, so that predictions go on as ever; few
explanations wait for it, and more are refused. Each takes EXPLAIN_SECONDS at most, from its request on: what
there is by then is answered, with how exact it is."""

import asyncio
import math
import queue
import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from time import perf_counter
from typing import Any, Literal

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from apps.service.batching import Outcome
from apps.service.bodies import Answer
from apps.service.model import INLINE_ROWS, Serving
from apps.service.predictions import ModelVersion, answer_one
from apps.service.problems import BODY, MODEL, Problem
from apps.service.rows import Row, check_features
from apps.service.shapley import BATCH, Background, NoStatistics, blocks
from model_training.card import Value
from model_training.rows import Columns

WAITING = 4  # explanations that wait for the thread
LEAST_BLOCKS = 4  # from which on a standard error means something
MOST_ROWS = 16_384  # of one explanation
CLOSE = 0.01  # of the largest contribution: a standard error that is close enough
FIRST_ROWS = 16  # of the first call: nobody knows yet how fast the model is
LONG_SECONDS = 0.1  # a call that takes longer is followed by a smaller one
LAST_WAIT_SECONDS = 2
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
EXPLAINS = (
    *MODEL,
    *BODY,
    "out-of-range",
    "prediction-failed",
    "explanation-unavailable",
    "explanation-busy",
    "explanation-timeout",
)


class Contribution(Answer):
    """`value` is left out where it is missing."""

    feature: str
    value: Any = None
    contribution: float
    standard_error: float


class ExplainAnswer(Answer):
    """The first three as /predict has them. `answer` is what is `explained`, for these features, and
    `baseline` its average over the training statistics: the contributions add up to their difference.
    `complete` is false where time ran out before the standard errors were small."""

    prediction: list[Any]
    label: str | None = None
    probabilities: dict[str, float] | None = None
    explained: str
    unit: str | None = None
    baseline: float
    baseline_standard_error: float
    answer: float
    contributions: list[Contribution]
    method: Literal["permutations"]
    samples: int
    complete: bool
    seconds: float
    model: ModelVersion
    request_id: str


class ExplanationMetrics:
    """What is counted of explanations, for Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "explanations",
            "Explanations by how they ended: complete, partial (time ran out), timeout (before there was "
            "anything), busy (refused) or failed",
            ["ended"],
            registry=registry,
        )
        self._seconds = Histogram(
            "explanation_duration_seconds",
            "From the request to what was explained, waiting included",
            buckets=SECONDS,
            registry=registry,
        )

    def ended(self, how: str, seconds: float | None = None) -> None:
        self._ended.labels(how).inc()
        if seconds is not None:
            self._seconds.observe(seconds)


class Explainer:
    """The thread that explains, and those that wait for it."""

    def __init__(self, settings, log, metrics) -> None:
        self._seconds, self._log = settings.explain_seconds, log
        self._metrics = ExplanationMetrics(metrics.registry)
        self._queue: queue.Queue[Explanation | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="explainer", daemon=True)
        self._thread.start()

    def begin(self, features: Row, serving: Serving, request_id: str) -> "Explanation":
        """An explanation that will be computed. Raises Problem where it cannot be, or not now."""
        [row] = check_features([features], serving, one=True)
        if serving.targets:
            raise Problem("explanation-unavailable", "only models with one output are explained")
        try:
            background = Background(serving.card)
        except NoStatistics as error:
            raise Problem(
                "explanation-unavailable",
                f"the model's card has no training statistics of {error}: adopt it with --data, or train it "
                "anew",
            ) from None
        explanation = Explanation(row, serving, background, self._seconds, request_id, self._metrics)
        try:
            self._queue.put_nowait(explanation)
        except queue.Full:
            self._metrics.ended("busy")
            raise Problem(
                "explanation-busy", f"expected at most {WAITING} explanations to wait for the one being made"
            ) from None
        return explanation

    def close(self) -> None:
        """Python may not end amid a library's own code, so a call of the model is waited for, a while."""
        if self._thread is not None:
            with suppress(queue.Empty):
                while True:
                    self._queue.get_nowait().future.cancel()
            self._queue.put(None)
            self._thread.join(LAST_WAIT_SECONDS)

    def _run(self) -> None:
        while (explanation := self._queue.get()) is not None:
            try:
                explanation.compute()
            except Problem as problem:
                explanation.problem = problem
            except Exception as error:  # whose words may hold the features
                name, request_id = type(error).__name__, explanation.request_id
                self._log.warning("explanation failed", request_id=request_id, error=name)
                told = "the model cannot predict from these features, or from some like those of its training"
                explanation.problem = Problem("prediction-failed", told)
            with suppress(InvalidStateError):  # nobody waits any more
                explanation.future.set_result(None)


class Explanation:
    """One row's. The thread adds to it, block by block; whoever waits takes what is there in the end."""

    def __init__(
        self,
        row: list[float],
        serving: Serving,
        background: Background,
        seconds: float,
        request_id: str,
        metrics: ExplanationMetrics,
    ) -> None:
        self._row, self._serving, self._background = row, serving, background
        self._limit, self._started, self._metrics = seconds, perf_counter(), metrics
        self.request_id = request_id
        self.future: Future[None] = Future()
        self.problem: Problem | None = None
        self._explained: Explained | None = None
        self._found: list[tuple[float, np.ndarray]] = []  # of each block: the baseline, the contributions
        self._samples, self._complete = 0, False

    def wait(self) -> None:
        """Until it is computed, or its time is over."""
        try:
            self.future.result(max(self._left, 0))
        except TimeoutError:
            self.future.cancel()  # so that the thread goes on with the next

    async def finished(self) -> None:
        """The same for an event loop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(self.future), max(self._left, 0))

    def compute(self) -> None:
        """In the explainer's thread. Raises whatever the model does."""
        if self._over:
            return
        explained = Explained(self._serving, self._serving.predict([self._row]))
        self._explained, rows, size = explained, 0, FIRST_ROWS
        most = INLINE_ROWS if self._serving.inline else BATCH
        for block in blocks(self._row, self._background):
            answers: list[float] = []
            while len(answers) < block.count:
                if self._over:
                    return
                began = perf_counter()
                asked = block.questions(len(answers), len(answers) + size)
                answers += explained.values(self._serving.predict(asked))
                took = perf_counter() - began
                size = max(size // 2, 1) if took > LONG_SECONDS else min(size * 2, most)
                time.sleep(min(took, LONG_SECONDS))  # so that whoever waits for this process comes first
            self._found.append(block.contributions(answers, explained.answer))
            self._samples, rows = self._samples + block.draws, rows + block.count
            if len(self._found) >= LEAST_BLOCKS and (rows >= MOST_ROWS or self._close):
                self._complete = True
                return

    def answer(self) -> ExplainAnswer:
        """What has been found by now. Raises Problem where that is nothing."""
        seconds, found = perf_counter() - self._started, [*self._found]
        if self.problem is not None:
            self._metrics.ended("failed", seconds)
            raise self.problem
        if len(found) < LEAST_BLOCKS:
            self._metrics.ended("timeout", seconds)
            raise Problem(
                "explanation-timeout", f"the model is too slow to be explained within {self._limit:g} seconds"
            )
        self._metrics.ended("complete" if self._complete else "partial", seconds)
        return self._told(found, seconds)

    def _told(self, found: list[tuple[float, np.ndarray]], seconds: float) -> ExplainAnswer:
        explained, baselines = self._explained, np.array([baseline for baseline, _ in found])
        contributions = np.array([each for _, each in found])
        errors, columns = standard_error(contributions), self._serving.features
        each = zip(columns, self._sent, contributions.mean(axis=0).tolist(), errors.tolist(), strict=True)
        predicted = answer_one(explained.outcome, self._serving, self.request_id)
        return ExplainAnswer(
            prediction=predicted.prediction,
            label=predicted.label,
            probabilities=predicted.probabilities,
            explained=explained.name,
            unit=explained.unit,
            baseline=float(baselines.mean()),
            baseline_standard_error=float(standard_error(baselines)),
            answer=explained.answer,
            contributions=[
                Contribution(feature=name, value=value, contribution=part, standard_error=error)
                for name, value, part, error in each
            ],
            method="permutations",
            samples=self._samples,
            complete=self._complete,
            seconds=round(seconds, 3),
            model=predicted.model,
            request_id=self.request_id,
        )

    @property
    def _sent(self) -> list[Value]:
        """The row as it came."""
        if self._serving.is_plain:
            return self._row
        return Columns(self._serving.card.features).decode([self._row])[0]

    @property
    def _left(self) -> float:
        return self._started + self._limit - perf_counter()

    @property
    def _over(self) -> bool:
        return self._left <= 0 or self.future.cancelled()

    @property
    def _close(self) -> bool:
        contributions = np.array([each for _, each in self._found])
        largest = np.abs(contributions.mean(axis=0)).max()
        return bool(standard_error(contributions).max() <= CLOSE * largest)


class Explained:
    """Which number of the model's answer is explained: the probability of the class that it predicts; without
    probabilities, whether it predicts that class, 1 or 0; or the value of a regression."""

    def __init__(self, serving: Serving, outcome: Outcome) -> None:
        [prediction] = outcome.predictions
        self.outcome, self.unit = outcome, None
        self._prediction, self._place = prediction, None
        if not serving.classes:
            self.name, self.unit = serving.card.target.name, serving.card.target.unit
        elif outcome.probabilities:
            label = serving.class_of[prediction]
            self._place = serving.classes.index(label)
            self.name = f"probability of {label}"
        else:
            self.name = f"whether it is {serving.class_of[prediction]}"
        self._classified = bool(serving.classes)
        [self.answer] = self.values(outcome)

    def values(self, outcome: Outcome) -> list[float]:
        """The number, for each row of an outcome."""
        if self._place is not None:
            return [shares[self._place] for shares in outcome.probabilities]
        if self._classified:
            return [float(found == self._prediction) for found in outcome.predictions]
        return [float(found) for found in outcome.predictions]


def standard_error(blocks: np.ndarray) -> np.ndarray:
    """Of the mean of blocks, along the first axis."""
    return blocks.std(axis=0, ddof=1) / math.sqrt(len(blocks))
