"""Micro-batching: rows that wait are predicted together, and nothing waits for a clock.

A model takes much the same time for one row and for many: ONNX Runtime 18 µs for one and 20 µs for sixteen, a
random forest of scikit-learn's 8 ms and 10 ms. After Clipper (Crankshaw and others, 2017), without its timer:
see benchmarks/README.md."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import NamedTuple

ROWS_AT_ONCE = 4096


class Outcome(NamedTuple):
    """The answer for n rows: raw labels or values, and for classifiers that have them n rows of shares.
    `seconds`: how long the model took for it, and for those that were predicted with it."""

    predictions: list
    probabilities: list[list[float]] | None
    seconds: float = 0


Predict = Callable[[list[list[float]]], Outcome]
Waiting = tuple[list[list[float]], Future | asyncio.Future]  # a request's rows, and where its answer goes


class Batcher:
    """A thread that predicts, for a model that would keep everybody waiting. While it computes one batch the
    next one gathers: with one request at a time that costs a hop to the thread and back."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock, self._closed = threading.Lock(), False

    def submit(self, rows: list[list[float]]) -> Future:
        """The answer for `rows`, for a thread to wait for. A future cancelled in time costs nothing."""
        return self._submit(rows, Future())

    def submit_from_loop(self, rows: list[list[float]]) -> asyncio.Future:
        """The same for the event loop that is running."""
        self._loop = asyncio.get_running_loop()
        return self._submit(rows, self._loop.create_future())

    def close(self) -> None:
        """End the thread when what waits is answered. What is submitted later, by a request that has the
        model still, is answered all the same, by a thread that ends then."""
        with self._lock:
            self._closed = True
            if self._thread is not None:
                self._queue.put(None)

    def _submit(self, rows, future):
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
                self._thread.start()
            self._queue.put((rows, future))
            if self._closed:
                self._queue.put(None)
        return future

    def _run(self) -> None:
        while True:
            batch, size = [], 0
            item = self._queue.get()
            while item is not None:
                if not item[1].cancelled():
                    batch.append(item)
                    size += len(item[0])
                if size >= ROWS_AT_ONCE or self._queue.empty():
                    break
                item = self._queue.get()
            if batch:
                answers = answer(batch, self._predict)
                if isinstance(batch[0][1], asyncio.Future):
                    with suppress(RuntimeError):  # the loop has ended, and with it everybody who waited
                        self._loop.call_soon_threadsafe(settle, answers)
                else:
                    settle(answers)
            if item is None:
                with self._lock:
                    if self._queue.empty():
                        self._thread = None
                        return


class LoopBatcher:
    """Predicts at the end of a turn of the event loop, in the loop itself, what the requests of that turn ask
    for: for a model that is done before a thread would have begun."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self._batch: list[Waiting] = []

    def submit(self, rows: list[list[float]]) -> asyncio.Future:
        loop = asyncio.get_running_loop()
        if not self._batch:
            loop.call_soon(self._end)
        future = loop.create_future()
        self._batch.append((rows, future))
        return future

    def _end(self) -> None:
        batch, self._batch = self._batch, []
        settle(answer(batch, self._predict))


class Concurrency:
    """Whether several requests come in a turn of the event loop, so that work is worth doing together.
    To look costs a turn more: while they come one at a time, only one in sixteen is looked at."""

    PATIENCE = 16

    def __init__(self) -> None:
        self.several = False
        self._requests = self._alone = 0
        self._looking = False

    def arrive(self) -> None:
        """A request has arrived."""
        self._requests += 1
        if not self._looking and (self.several or self._requests >= self.PATIENCE):
            self._looking, self._requests = True, 1
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self._alone = 0 if self._requests > 1 else self._alone + 1
        self.several = self._requests > 1 or (self.several and self._alone < self.PATIENCE)
        self._requests, self._looking = 0, False


def answer(batch: list[Waiting], predict: Predict) -> list[tuple]:
    """Each future of the batch with its Outcome, or with the exception that its rows alone lead to."""
    try:
        predictions, probabilities, seconds = predict([row for rows, _ in batch for row in rows])
    except Exception as error:
        if len(batch) == 1:
            return [(batch[0][1], error)]
        return [pair for item in batch for pair in answer([item], predict)]
    answers, start = [], 0
    for rows, future in batch:
        end = start + len(rows)
        shares = None if probabilities is None else probabilities[start:end]
        answers.append((future, Outcome(predictions[start:end], shares, seconds)))
        start = end
    return answers


def settle(answers: list[tuple]) -> None:
    """Give each future its answer, unless nobody waits for it any more."""
    for future, found in answers:
        with suppress(InvalidStateError, asyncio.InvalidStateError):
            if isinstance(found, Outcome):
                future.set_result(found)
            else:
                future.set_exception(found)
