"""The log of predictions: what was predicted, in a database, and counts of the features by the minute.

Nobody who predicts waits for it: a prediction is put into a queue, and a thread writes what is there twice a
second, in one transaction. While the database is away or full the queue keeps it; what does not fit is
dropped and counted. Several processes write to the same tables. Whoever kills a process takes its last half
second with it."""

import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate, count, repeat
from math import isnan
from typing import Any, NamedTuple
from uuid import uuid4
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from apps.service.batching import Outcome
from apps.service.feedback.bins import Bins, packed
from apps.service.feedback.counted import DROPPED, WRITTEN, FeedbackMetrics
from apps.service.feedback.records import (
    Database,
    ModelRecord,
    PredictionRecord,
    Unavailable,
    WindowRecord,
    add_predictions,
)
from apps.service.model import Serving
from model_training.card import Feature

WRITE_SECONDS = 0.5
MEASURE_SECONDS = 15.0
SWEEP_SECONDS = 60.0
LAST_WRITE_SECONDS = 5.0
WINDOW_SECONDS = 60
MOST_WAITING = 20_000  # rows in the queue
AT_ONCE = 5000  # rows in a transaction, or swept
UNSYNCHRONISED = {"synchronize_session": False}
OPEN_WINDOWS = 2  # minutes that more may come for


Entry = tuple[float, str, str, Serving, list[list], Outcome]  # at, tenant, request_id, …: what was answered


class Window(NamedTuple):
    """What a row of counts is found by, besides the process."""

    model: str
    version: str
    start: int
    tenant: str


class PredictionLog:
    """What was predicted, on its way into the database, in a thread of its own."""

    def __init__(self, app: str, settings, log, database: Database, metrics: FeedbackMetrics) -> None:
        self._app, self._log, self._database, self._metrics = app, log, database, metrics
        self._keeps_features = settings.prediction_log_features == "on"
        self._keep_seconds = settings.prediction_log_keep_seconds
        self._process = uuid4().hex
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._waiting: list[Entry] = []
        self._rows = 0  # that wait
        self._full = False
        self._bins: WeakKeyDictionary[Serving, Bins] = WeakKeyDictionary()  # a replaced model goes
        self._counts: dict[Window, tuple[int, np.ndarray]] = {}  # of the minutes that go on
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.measure: Callable[[], list] = list  # the gauges of now; set by who reads the log

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="prediction log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what there is, if the database answers."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(LAST_WRITE_SECONDS)

    def add(self, tenant: str, request_id: str, serving: Serving, rows: list[list], outcome: Outcome) -> None:
        """Rows were predicted. Never waits."""
        with self._lock:
            if self._rows + len(rows) <= MOST_WAITING:
                self._rows += len(rows)
                self._waiting.append((time.time(), tenant, request_id, serving, rows, outcome))
                return
            told, self._full = self._full, True
        self._metrics.rows(DROPPED, len(rows))
        if not told:
            self._log.error("predictions are not logged: more of them wait than there is room for")

    def flush(self) -> None:
        """Write all that waits. Raises Unavailable, and keeps it."""
        with self._writing:
            while entries := self._take():
                try:
                    self._write(entries)
                except BaseException:
                    with self._lock:
                        self._waiting[:0] = entries
                        self._rows += sum(map(rows_in, entries))
                    raise
                self._full = False

    def _take(self) -> list[Entry]:
        """The oldest, as many as are written at once."""
        with self._lock:
            taken, rows = self._waiting, self._rows
            if rows > AT_ONCE:
                so_far = [*accumulate(map(rows_in, taken))]
                end = max(1, bisect_right(so_far, AT_ONCE))
                taken, rows = taken[:end], so_far[end - 1]
            self._waiting, self._rows = self._waiting[len(taken) :], self._rows - rows
        return taken

    def _work(self) -> None:
        measure = sweep = 0.0
        while True:
            ending = self._ending.wait(WRITE_SECONDS)
            self._try(self.flush)
            if ending:
                return
            now = time.monotonic()
            if now >= measure:
                measure = now + MEASURE_SECONDS
                self._try(lambda: self._metrics.measured(self.measure()))
            if now >= sweep:
                sweep = now + SWEEP_SECONDS
                self._try(self.sweep)

    def _try(self, do: Callable[[], Any]) -> None:
        try:
            do()
        except Unavailable:
            pass  # which has been logged
        except Exception as error:  # its words may hold what was to be written
            self._log.error("the log of predictions failed, and goes on", error=type(error).__name__)

    def _write(self, entries: list[Entry]) -> None:
        for serving in {serving for *_, serving, _, _ in entries}:
            if serving not in self._bins:
                self._know(serving)
        counts = self._counted(entries)
        with self._database.session() as session:
            records = [record for entry in entries for record in self._records(*entry)]
            add_predictions(session, records)
            for window, (rows, found) in sorted(counts.items(), key=lambda one: one[0]):
                key = {**window._asdict(), "process": self._process}
                same = [getattr(WindowRecord, name) == value for name, value in key.items()]
                told = {"rows": rows, "counts": packed(found)}
                if not session.execute(update(WindowRecord).where(*same).values(told)).rowcount:
                    session.execute(insert(WindowRecord).values(**key, **told))
        now = time.time() - OPEN_WINDOWS * WINDOW_SECONDS
        together = self._counts | counts
        self._counts = {window: of for window, of in together.items() if window.start > now}
        self._metrics.rows(WRITTEN, len(records))

    def _know(self, serving: Serving) -> None:
        """A model that has not predicted in this process before: its card is kept, for when it is gone."""
        mine = (ModelRecord.name == serving.name, ModelRecord.version == serving.version)
        card = serving.card_json.decode()
        try:
            with self._database.session() as session:
                if session.scalar(select(ModelRecord.card).where(*mine)) is None:
                    session.add(ModelRecord(name=serving.name, version=serving.version, card=card))
                else:
                    session.execute(update(ModelRecord).where(*mine).values(card=card))
        except IntegrityError:
            pass  # another process has just done it
        self._bins[serving] = Bins(serving.card)

    def _counted(self, entries: list[Entry]) -> dict[Window, tuple[int, np.ndarray]]:
        """What is to be there for each minute that has more, all that this process has counted in it."""
        together: defaultdict[tuple[int, str, Serving], list[list]] = defaultdict(list)
        for at, tenant, _, serving, rows, _ in entries:
            together[int(at) // WINDOW_SECONDS * WINDOW_SECONDS, tenant, serving] += rows
        found: dict[Window, tuple[int, np.ndarray]] = {}
        for (start, tenant, serving), rows in together.items():
            window = Window(serving.name, serving.version, start, tenant)
            count, counts = len(rows), self._bins[serving].count(rows)
            before = found.get(window) or self._counts.get(window)
            if before is not None and len(before[1]) == len(counts):
                count, counts = count + before[0], counts + before[1]
            found[window] = count, counts
        return found

    def _records(self, at, tenant, request_id, serving, rows, outcome) -> Iterator[tuple]:
        """Of each row, as LOGGED has it."""
        name, version, class_of = serving.name, serving.version, serving.class_of
        shares = outcome.probabilities or repeat(None)
        found = zip(count(), rows, outcome.predictions, shares, strict=False)
        for number, row, prediction, share in found:
            several = isinstance(prediction, list)  # outputs, for which there is no column
            label = class_of[prediction] if class_of and not several else None
            value = None if class_of or several else float(prediction)
            features = as_json(row, serving.card.features) if self._keeps_features else None
            yield (
                at,
                self._app,
                tenant,
                request_id,
                number,
                name,
                version,
                label,
                value,
                max(share) if share and not several else None,
                features,
            )

    def sweep(self) -> None:
        """Delete what is older than it is kept. Raises Unavailable."""
        before = time.time() - self._keep_seconds
        oldest = select(PredictionRecord.id, PredictionRecord.at).order_by(PredictionRecord.id).limit(AT_ONCE)
        while not self._ending.is_set():
            with self._database.session() as session:
                found = session.execute(oldest).all()  # ids grow with time, give or take a write
                old = [id for id, at in found if at < before]
                if old:
                    own = PredictionRecord.id.between(old[0], old[-1]) & (PredictionRecord.at < before)
                    session.execute(delete(PredictionRecord).where(own), execution_options=UNSYNCHRONISED)
            if len(old) < AT_ONCE:
                break
        with self._database.session() as session:
            session.execute(delete(WindowRecord).where(WindowRecord.start < before))


def as_json(row: list[float], features: list[Feature]) -> str:
    """The values as they were sent: in the row a category is its place in the card's list, and NaN is
    missing."""
    sent = [
        None if isnan(value) else feature.categories[int(value)] if feature.categories else value
        for value, feature in zip(row, features, strict=True)
    ]
    return msgspec.json.encode(sent).decode()


def rows_in(entry: Entry) -> int:
    return len(entry[4])
