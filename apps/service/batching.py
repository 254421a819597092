"""Micro-batching: rows that wait are predicted together.

While one batch is computed the next one gathers; nothing waits for a clock. At one request at a time this
costs a hop to a thread and back, under load a model that is slow for one row answers many for the same price.
After Clipper (Crankshaw and others, 2017), without its timer: see benchmarks/README.md."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np

ROWS_AT_ONCE = 4096


class Batcher:
    """One thread that predicts. `predict` takes rows of shape (n, features) and gives predictions of shape
    (n,), and probabilities of shape (n, classes) or None."""

    def __init__(self, predict: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]) -> None:
        self._predict = predict
        self._waiting: queue.SimpleQueue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, rows: np.ndarray) -> Future:
        """The answer for `rows`, later. A future that is cancelled before its turn costs nothing."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
                    self._thread.start()
        future: Future = Future()
        self._waiting.put((rows, future))
        return future

    def close(self) -> None:
        """End the thread when what waits is answered."""
        if self._thread is not None:
            self._waiting.put(None)

    def _run(self) -> None:
        while True:
            batch, size = [], 0
            item = self._waiting.get()
            while item is not None:
                if item[1].set_running_or_notify_cancel():
                    batch.append(item)
                    size += len(item[0])
                if size >= ROWS_AT_ONCE or self._waiting.empty():
                    break
                item = self._waiting.get()
            if batch:
                self._answer(batch)
            if item is None:
                return

    def _answer(self, batch: list[tuple[np.ndarray, Future]]) -> None:
        try:
            rows = [rows for rows, _ in batch]
            predictions, probabilities = self._predict(np.concatenate(rows) if len(rows) > 1 else rows[0])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:  # one request's rows must not spoil another's
                for item in batch:
                    self._answer([item])
            return
        start = 0
        for rows, future in batch:
            end = start + len(rows)
            share = None if probabilities is None else probabilities[start:end]
            future.set_result((predictions[start:end], share))
            start = end
