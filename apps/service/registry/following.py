"""The model that the store's pointers name, which is loaded beside the requests and put in place in one step.

The pointers are small files (model_training/registry/store.py), which another process moves. A request has
one model from its beginning to its end, so that its answer and the version in it agree, whatever is put in
place meanwhile."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from apps.service.model import LAST_WAIT_SECONDS, Model, Serving, files_of, kind_of, reason_of
from apps.service.registry.counted import RegistryMetrics
from model_training.artifact import HashMismatchError, load, read_verified
from model_training.card import Card
from model_training.registry.candidates import difference
from model_training.registry.store import Pointer, Store

LOOK_SECONDS = 0.25
CHECK_SECONDS = 1  # how often the files of what is served are looked at
ACTIVE, CHALLENGER = "active", "challenger"
UNREADABLE = "the store of models cannot be read; the server's log says more"
NOT_THERE = "the model is not in the store yet: it is fetched as soon as the registry answers"


class OtherFeaturesError(Exception):
    """A candidate that takes or answers something else than the model that is served; clients may be told."""


class Served(NamedTuple):
    pointer: Pointer
    serving: Serving


class Refused(NamedTuple):
    """A version that this process would not serve, and why, for a client."""

    digest: str
    reason: str
    files: list[tuple]  # as they were: with others it is tried again


class Following(Model):
    """A Model that is replaced while it serves. `changed` is called, in the thread that looks, when other
    models are in place, or a file beside the pointers is another."""

    def __init__(self, store: Store, name: str, settings, log, metrics, counted: RegistryMetrics) -> None:
        super().__init__(settings.model_store / name, settings.model_format, log, metrics)
        self._store, self._name, self._counted = store, name, counted
        self._problem = ("model-loading", "the model is being loaded")
        self._roles: dict[str, Served] = {}
        self._stats: dict[str, object] = {}  # of the pointers' files, when they were read
        self._pointers: dict[str, Pointer | None] = {}
        self.refused: dict[str, Refused] = {}  # by version
        self._intact: tuple = ()  # the model that is served, and its files when they were last looked at
        self._checked = 0.0
        self.changed: Callable[[], None] = lambda: None
        self._turn, self._looked, self._stopped = threading.RLock(), threading.Event(), threading.Event()
        self._settled = False

    def start(self, wait: float = 0) -> None:
        """Look in the background, and wait so long until that was done once."""
        self._loader = threading.Thread(target=self._follow, name="following", daemon=True)
        self._loader.start()
        if wait:
            self._looked.wait(wait)

    @property
    def active(self) -> Served | None:
        return self._roles.get(ACTIVE)

    @property
    def challenger(self) -> Served | None:
        return self._roles.get(CHALLENGER)

    def close(self, wait: float = LAST_WAIT_SECONDS) -> None:
        self._stopped.set()
        if self._loader is not None:
            self._loader.join(wait)
        for served in self._roles.values():
            served.serving.batcher.close()

    def look(self) -> None:
        """Serve what the pointers name now. Raises nothing: what is wrong is logged, and what was served goes
        on."""
        with self._turn:
            seen = [self._take(role) for role in (ACTIVE, CHALLENGER)]
            if any([*seen, self._moved("rollout")]):
                self.changed()
            self._looked.set()

    def candidate(self, pointer: Pointer) -> Serving:
        """That model, loaded from the store and verified. Raises CardError, ArtifactError, and
        OtherFeaturesError."""
        folder = self._store.folder(self._name, pointer.digest)
        for served in [*self._roles.values()]:
            if served.pointer.digest == pointer.digest:
                return served.serving
        card = self._store.verified(self._name, pointer.digest)
        if self.active is not None and (different := difference(self.active.serving.card, card)):
            raise OtherFeaturesError(different)
        wanted = self._format if self._format != "auto" else fastest(card)
        return Serving(load(folder, wanted), folder)

    def _follow(self) -> None:
        while True:
            try:
                self.look()
                self._check_files()
            except Exception as error:  # nobody else would be told
                self._log.error("following failed", error=f"{type(error).__name__}: {error}")
            if self._stopped.wait(LOOK_SECONDS):
                return

    def _look_again(self) -> None:
        """The thread does."""

    def _moved(self, file: str) -> bool:
        """Whether that file is another than when it was last looked at."""
        try:
            found = (self._path / file).stat()
            stat = (found.st_ino, found.st_mtime_ns, found.st_size)
        except OSError as error:
            stat = error.errno
        moved = self._stats.get(file, ()) != stat
        self._stats[file] = stat
        return moved

    def _take(self, role: str) -> bool:
        """Put in place what that pointer names, if it is another model. Whether it was."""
        file = f"pointers/{role}"
        if self._moved(file):
            try:
                self._pointers[role] = self._store.pointer(self._name, role)
            except (OSError, ValueError) as error:
                self._stats.pop(file)
                self._tell_unreadable(role, error)
                return False
        pointer, served = self._pointers[role], self._roles.get(role)
        if pointer is None:
            if role == ACTIVE or served is None:
                if self._serving is None and role == ACTIVE and self._problem[1] != NOT_THERE:
                    self._problem = ("model-unavailable", NOT_THERE)
                    self._log.warning("model not in the store yet", store=str(self._path))
                return False
            del self._roles[role]
            self._leave(served)
            return True
        if served is not None and served.pointer == pointer:
            return False
        return self._put(role, pointer)

    def _put(self, role: str, pointer: Pointer) -> bool:
        folder = self._store.folder(self._name, pointer.digest)
        before = self.refused.get(pointer.version)
        if before and before.digest == pointer.digest and before.files == files_of(folder):
            return False
        seen, started = files_of(folder), time.perf_counter()
        try:
            serving = self.candidate(pointer)
        except Exception as error:
            self.refused[pointer.version] = Refused(pointer.digest, reason(error), seen)
            self.refuse(role, pointer, error)
            return False
        if self.refused.pop(pointer.version, None):
            with suppress(OSError):
                self._store.take_back(self._name, pointer.version)
        self._metrics.model_loaded(serving.name, serving.version, serving.format, serving.card.trained_at)
        if not self._settled:  # afterwards there is little to look through: 0.1 ms, where to settle takes 40
            self.on_loaded()
            self._settled = True
        old = self._roles.get(role)
        self._roles[role] = Served(pointer, serving)
        if role == ACTIVE:
            self._intact = serving, seen
            self._serving = serving  # from here on requests have it
            self._counted.swapped()
        self._log.info(
            "model loaded",
            role=role,
            model=serving.full_name,
            registry_version=pointer.version,
            format=serving.format,
            ms=round((time.perf_counter() - started) * 1000, 1),
        )
        if old is not None:
            self._leave(old)
        return True

    def _leave(self, served: Served) -> None:
        """Nobody else gets this model. Who has it is answered."""
        left = served.serving
        kept = [other.serving for other in self._roles.values()]
        if left not in kept:
            left.batcher.close()
            if left.full_name not in [one.full_name for one in kept]:
                self._metrics.model_left(left.name, left.version, left.format)

    def refuse(self, role: str, pointer: Pointer, error: Exception) -> None:
        """Tell of a version that is not taken: in the log, the metrics, and to the other processes."""
        with suppress(OSError):
            self._store.refuse(self._name, pointer.version, reason(error))
        self._counted.refused()
        self._metrics.model_failed(kind_of(error).__name__)
        self._log.error(
            "model not loaded",
            role=role,
            registry_version=pointer.version,
            path=str(self._store.folder(self._name, pointer.digest)),
            error=f"{type(error).__name__}: {error}",
        )
        if self._serving is None:
            self._problem = ("model-unavailable", f"{reason(error)}; the server's log says more")

    def _tell_unreadable(self, role: str, error: Exception) -> None:
        if self._problem[1] != UNREADABLE:
            self._log.error(
                "the store cannot be read", pointer=role, error=f"{type(error).__name__}: {error}"
            )
        self._problem = ("model-unavailable", UNREADABLE)

    def _check_files(self) -> None:
        """Tell where the files of what is served were changed. What is in memory is as it was."""
        if self.active is None or time.monotonic() - self._checked < CHECK_SECONDS:
            return
        self._checked = time.monotonic()
        pointer, serving = self.active
        known, seen = self._intact
        found = files_of(serving.path)
        if known is not serving or found == seen:
            return
        self._intact = serving, found
        try:
            read_verified(serving.path, self._store.verified(self._name, pointer.digest), serving.format)
        except Exception as error:
            self._metrics.model_failed(HashMismatchError.__name__)
            self._log.error(
                "model changed in the store: it is served as it was",
                registry_version=pointer.version,
                error=f"{type(error).__name__}: {error}",
            )
            self.refused[pointer.version] = Refused(pointer.digest, reason(error), found)
        else:
            self.refused.pop(pointer.version, None)


def reason(error: Exception) -> str:
    """Why a model was refused, for a client."""
    return str(error) if isinstance(error, OtherFeaturesError) else reason_of(error)


def fastest(card: Card) -> str:
    """Of the card's files."""
    return next(name for name in ("onnx", "skops", "joblib") if name in card.files)
