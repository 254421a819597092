"""The model being served: loaded beside the requests, verified, and only then put in place.

A model that cannot be loaded never takes the server down: the server says so at /health, the log says more,
and it tries again once the files have changed."""

import atexit
import threading
import time
from collections.abc import Callable
from math import isfinite
from pathlib import Path

import numpy as np

from apps.service.batching import Batcher, LoopBatcher, Outcome
from apps.service.problems import Problem
from model_training.artifact import (
    ArtifactError,
    FileMissingError,
    GoldenRowsError,
    HashMismatchError,
    LoadedModel,
    Predict,
    UnreadableError,
    UntrustedTypeError,
    VersionMismatchError,
    load_path,
)
from model_training.card import CardError

INLINE_ROWS = 64  # ONNX answers so many rows in the time that handing them to a thread would take
FLOAT32_MAX = float(np.finfo(np.float32).max)
LOOK_AGAIN_SECONDS = 0.5
LAST_WAIT_SECONDS = 5
UNHURRIED_SECONDS = 60  # where nobody has told the process to stop

# What a client is told, never with a path or a library's own words in it.
REASONS = {
    CardError: "the model has no card that describes it: train a model, or adopt this one",
    FileMissingError: "the model's file is missing or cannot be read",
    HashMismatchError: "the model's file is not the one that was exported",
    VersionMismatchError: "the model was made with another version of scikit-learn",
    UntrustedTypeError: "the model's file holds types that a model has no need of",
    UnreadableError: "the model's file cannot be read as a model",
    GoldenRowsError: "the model answers otherwise here than where it was exported",
    ArtifactError: "the model cannot be loaded",
}


def kind_of(error: Exception) -> type[Exception]:
    """Which of the kinds in REASONS it is."""
    return next((kind for kind in REASONS if isinstance(error, kind)), ArtifactError)


def reason_of(error: Exception) -> str:
    """Why a model was not loaded, for a client."""
    return REASONS[kind_of(error)]


class Serving:
    """A loaded model with all that a request needs of it, looked up once. Nothing in it refers back to it, so
    that a model that was replaced is gone with the last request that had it."""

    def __init__(self, loaded: LoadedModel, path: Path) -> None:
        """`path`: its folder or file."""
        card = loaded.card
        self.path, self.card, self.format = path, card, loaded.format
        self.name, self.version = card.name, card.version
        self.sha256 = card.files[loaded.format].sha256
        self.features = [feature.name for feature in card.features]
        self.is_plain, self.columns = card.is_plain, None  # what apps/service/rows.py reads others by
        self.has_categories = any(feature.categories for feature in card.features)
        # ONNX computes in 32 bits: where the card knows no range, what 32 bits can hold is the range.
        widest = FLOAT32_MAX if loaded.format == "onnx" else float("inf")
        self.minimum = [-widest if f.minimum is None else f.minimum for f in card.features]
        self.maximum = [widest if f.maximum is None else f.maximum for f in card.features]
        self.targets = card.targets  # where an answer has several parts; then it has no classes of its own
        self.class_of = dict(zip(card.raw_labels, card.classes or [], strict=True))
        self.classes = card.classes
        self.has_probabilities = card.has_probabilities
        self.identity = None  # set by whoever answers first
        self.full_name = f"{card.name} {card.version}"
        self.card_json = card.to_json().encode()
        self.inline = loaded.format == "onnx"
        predicting = PredictingSeveral if card.targets else Predicting
        self.predict = predicting(loaded.predict, np.float32 if self.inline else np.float64)
        self.batcher, self.loop_batcher = Batcher(self.predict), LoopBatcher(self.predict)


class Predicting:
    """Rows in, as check_features gives them; the model's answer out, as plain values."""

    def __init__(self, predict: Predict, dtype: type[np.floating]) -> None:
        self._predict, self._dtype = predict, dtype

    def __call__(self, rows: list[list[float]]) -> Outcome:
        """ValueError for what JSON has no word for."""
        started = time.perf_counter()
        predictions, probabilities = self._predict(np.array(rows, self._dtype))
        seconds = time.perf_counter() - started
        answers = predictions.tolist()
        if predictions.dtype.kind == "f" and not all(map(isfinite, answers)):
            raise ValueError("the model's answer is not a finite number")
        if probabilities is None:
            return Outcome(answers, None, seconds)
        shares = probabilities.tolist()
        for row in shares:
            if not isfinite(sum(row)):
                raise ValueError("a probability is not a finite number")
        return Outcome(answers, shares, seconds)


class PredictingSeveral(Predicting):
    """The same of several targets: a list for each row in the place of one answer, and of its shares."""

    def __call__(self, rows: list[list[float]]) -> Outcome:
        started = time.perf_counter()
        predictions, probabilities = self._predict(np.array(rows, self._dtype))
        seconds = time.perf_counter() - started
        for found in (predictions, *(probabilities or [])):
            if found.dtype.kind == "f" and not np.isfinite(found).all():
                raise ValueError("a part of the model's answer is not a finite number")
        shares = None
        if probabilities is not None:
            shares = [[*parts] for parts in zip(*(one.tolist() for one in probabilities), strict=True)]
        return Outcome(predictions.tolist(), shares, seconds)


class Model:
    """The place where the model is: empty while it loads or when it cannot be loaded."""

    def __init__(self, path: Path, format: str, log, metrics) -> None:
        self._path, self._format, self._log, self._metrics = path, format, log, metrics
        self._serving: Serving | None = None
        self._problem: tuple[str, str] = ("model-loading", "the model is being loaded")
        self._seen: object = None
        self._looked = 0.0
        self.on_loaded: Callable[[], None] = lambda: None  # called before the model is put in place
        self._loading = threading.Lock()
        self._loader: threading.Thread | None = None

    def start(self, wait: float = 0) -> None:
        """Load in the background, and wait for it so long; requests meanwhile get 503 model-loading."""
        if self._loading.acquire(blocking=False):
            self._loader = threading.Thread(target=self._load, name="model", daemon=True)
            self._loader.start()
            if wait:
                self._loader.join(wait)

    @property
    def serving(self) -> Serving:
        """The model. Raises Problem (503) while there is none."""
        if self._serving is None:
            if self._loader is None:
                self._log.warning("no lifespan has started the service: its model is loaded now")
                self.start()
                atexit.register(self.close, UNHURRIED_SECONDS)
            self._look_again()
            raise Problem(*self._problem)
        return self._serving

    def close(self, wait: float = LAST_WAIT_SECONDS) -> None:
        """End what runs beside the requests. Python may not end amid a library's own code, so a model that
        is being loaded is waited for, a while."""
        if self._loader is not None:
            self._loader.join(wait)
        if self._serving is not None:
            self._serving.batcher.close()

    def _look_again(self) -> None:
        """Load once more if the files are others than those that could not be loaded."""
        if self._problem[0] == "model-unavailable" and time.monotonic() - self._looked > LOOK_AGAIN_SECONDS:
            self._looked = time.monotonic()
            if files_of(self._path) != self._seen:
                self.start()

    def _load(self) -> None:
        try:
            self._seen = files_of(self._path)
            started = time.perf_counter()
            loaded = load_path(self._path, None if self._format == "auto" else self._format)
            serving = Serving(loaded, self._path)
            self._metrics.model_loaded(serving.name, serving.version, serving.format, loaded.card.trained_at)
            self._log.info(
                "model loaded",
                model=f"{serving.name} {serving.version}",
                format=serving.format,
                ms=round((time.perf_counter() - started) * 1000, 1),
            )
            self.on_loaded()
            self._serving = serving  # last: whoever has an answer finds the line in the log
        except Exception as error:
            self._metrics.model_failed(kind_of(error).__name__)
            self._log.error(
                "model not loaded", path=str(self._path), error=f"{type(error).__name__}: {error}"
            )
            self._problem = ("model-unavailable", f"{reason_of(error)}; the server's log says more")
        finally:
            self._loading.release()


def files_of(path: Path) -> list[tuple]:
    """What tells a model's files from others that have their names: a replaced one has another inode, or its
    inode another time of change, even where somebody copied its times."""
    try:
        folder = path if path.is_dir() else path.parent
        names = [folder / "card.json", path, *folder.glob("model.*")]
        stats = [(str(name), name.stat()) for name in sorted(set(names)) if name.is_file()]
        return [(name, s.st_mtime_ns, s.st_ctime_ns, s.st_size, s.st_ino) for name, s in stats]
    except OSError:
        return []
