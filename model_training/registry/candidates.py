"""A version that an alias names is a candidate: it is served only once it has shown that it can take the
place of what is."""

import time
from collections.abc import Callable

from model_training.artifact import ArtifactError, load_path
from model_training.card import Card, CardError
from model_training.registry.registry import IS_VERSION, Registry, Version
from model_training.registry.store import IS_NAME, Pointer, Store
from model_training.registry.tracking_server import RegistryError

FIXED = "followed"  # the pointer of a version that MODEL_URI names by its number
OURS = ("active", "pinned", FIXED)  # pointers of the store that no alias may be called
LONGEST_PAUSE_SECONDS = 10  # between questions to a registry that does not answer
AGAIN_SECONDS = 30  # until a version that was refused is looked at once more
AUDIT_SECONDS = 30  # between looks at the files in the store


def fetched(registry: Registry, store: Store, name: str, version: str) -> str:
    """Put a version into the store, and return its digest, once it is `checked`; else note there why not.
    Raises RegistryError."""
    try:
        digest = registry.fetch(name, version, store)
        checked(store, name, digest)
    except RegistryError as error:
        if error.kind == "refused":
            store.refuse(name, version, error.detail)
        raise
    store.take_back(name, version)
    return digest


def checked(store: Store, name: str, digest: str) -> Card:
    """The card of a model in the store that answers its golden rows, and takes and answers what the active
    one does. Raises RegistryError (refused)."""
    folder = store.folder(name, digest)
    try:
        store.verified(name, digest)
        card = load_path(folder).card
    except (ArtifactError, CardError) as error:
        raise RegistryError(
            "refused",
            f"it does not load, or answers otherwise than when it was exported ({type(error).__name__})",
            str(error),
        ) from error
    active = store.pointer(name, "active")
    if active and active.digest != digest:
        try:
            now = store.verified(name, active.digest)
        except (ArtifactError, CardError):  # there is nothing to be like
            return card
        if different := difference(now, card):
            what = f"{different}: clients of {name} would get errors; give it another name"
            raise RegistryError("refused", what)
    return card


def difference(now: Card, candidate: Card) -> str | None:
    """What of a candidate would be an error to those who ask the model that there is now; None where nothing
    would."""
    if now.task != candidate.task:
        return f"expected a model for {now.task}, this is for {candidate.task}"
    if [feature.name for feature in now.features] != [feature.name for feature in candidate.features]:
        return f"expected the {len(now.features)} features of the active model by name and in their order"
    for old, new in zip(now.features, candidate.features, strict=True):
        if old.kind != new.kind:
            return f"expected the feature {old.name} to be a {old.kind}, it is a {new.kind}"
        if not begins(new.categories, old.categories) or not begins(new.labels, old.labels):
            return f"expected the feature {old.name} to have the categories of the active model, in order"
        if old.may_be_missing and not new.may_be_missing:
            return f"expected the feature {old.name} to be one that may be missing"
    if now.classes != candidate.classes or now.raw_labels != candidate.raw_labels:
        return "expected the classes of the active model, in their order"
    if answered(now) != answered(candidate):
        return "expected the targets of the active model, with their classes, in their order"
    return None


def begins(new: list | None, old: list | None) -> bool:
    """Whether a place in the old list is the same in the new one: one's codes are read by the other."""
    return not old or (new or [])[: len(old)] == old


def answered(card: Card) -> list:
    """Of a model that answers several questions: each with what may be answered."""
    return [(target.name, target.classes, target.raw_labels) for target in card.targets or []]


class Following:
    """Keeps the store's pointers where the registry's aliases are."""

    def __init__(self, uri: str, store: Store, log: Callable[..., None]) -> None:
        """Raises ValueError for a URI that is none."""
        self.name, self.alias, self.version = parse(uri)
        self._store, self._log = store, log
        self._refused: dict[tuple[str, str], float] = {}  # versions by digest, and when to look again
        self._failures, self._next, self._next_audit = 0, 0.0, 0.0
        self._told: set[str] = set()

    def look(self, agent) -> None:
        """Ask the registry, and move what can be moved. Nothing that goes wrong is raised."""
        try:
            self._settle()
            if time.monotonic() < self._next:
                return
            self._follow(agent.registry)
            if self._failures:
                self._log("info", "the registry answers again", name=self.name)
            self._failures = 0
            if time.monotonic() >= self._next_audit:
                self._next_audit = time.monotonic() + AUDIT_SECONDS
                self._audit(agent.registry)
                self._store.sweep(self.name)
        except RegistryError as error:
            self._fail(error.detail, error.more)
        except (OSError, ValueError) as error:
            self._fail("the store of models cannot be used", f"{type(error).__name__}: {error}")
        except Exception as error:  # what a registry answers may be anything
            self._fail("the registry's answer was not understood", f"{type(error).__name__}: {error}")

    def _fail(self, what: str, error: str) -> None:
        if not self._failures:
            self._log("warning", "following stopped: what is in the store goes on", reason=what, error=error)
        self._failures += 1
        self._next = time.monotonic() + min(2 ** min(self._failures, 10) / 2, LONGEST_PAUSE_SECONDS)

    def _follow(self, registry) -> None:
        if self.version:
            self._take(registry, registry.version(self.name, self.version), None)
        else:
            self._take(registry, registry.resolve(self.name, self.alias), self.alias)
        if self.alias != "challenger":
            self._take(registry, registry.resolve(self.name, "challenger"), "challenger")

    def _take(self, registry, found: Version | None, alias: str | None) -> None:
        """Let the pointer of that alias name that version, if it passes."""
        if found is None:
            if alias == "challenger":
                if self._store.pointer(self.name, alias):
                    self._store.drop(self.name, alias)
                    self._log("info", "no challenger any more", name=self.name)
            else:
                self._once(f"{self.name} has no {alias} yet: python kit.py promote {self.name} 1")
            return
        pointer = Pointer(found.version, found.digest or "")
        now = self._store.pointer(self.name, alias or "active")
        if now == pointer or time.monotonic() < self._refused.get(pointer, 0):
            return
        try:
            fetched(registry, self._store, self.name, found.version)
        except RegistryError as error:
            if error.kind != "refused":
                raise
            if pointer not in self._refused:
                self._log(
                    "error",
                    "version refused: the old one goes on",
                    name=self.name,
                    version=found.version,
                    alias=alias,
                    reason=error.detail,
                    error=error.more,
                )
            self._refused[pointer] = time.monotonic() + AGAIN_SECONDS
            return
        self._refused.pop(pointer, None)
        self._store.point(self.name, alias or FIXED, pointer)
        self._log("info", "following", name=self.name, alias=alias, version=found.version)
        self._settle()

    def _settle(self) -> None:
        """`active` is what is pinned, or what is followed."""
        wanted = self._store.pointer(self.name, "pinned")
        wanted = wanted or self._store.pointer(self.name, self.alias or FIXED)
        if wanted and wanted != self._store.pointer(self.name, "active"):
            self._store.point(self.name, "active", wanted)

    def _audit(self, registry) -> None:
        """A model of the store that somebody has changed is fetched anew."""
        for alias in ("active", "challenger"):
            pointer = self._store.pointer(self.name, alias)
            if pointer and not self._store.is_whole(self.name, pointer.digest):
                self._log("error", "a model was changed in the store: it is fetched anew", name=self.name)
                registry.fetch(self.name, pointer.version, self._store)

    def _once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._log("warning", what)


def parse(uri: str) -> tuple[str, str | None, str | None]:
    """Name, alias and version of `models:/NAME@ALIAS` or `models:/NAME/VERSION`. Raises ValueError."""
    scheme, _, rest = uri.partition(":/")
    name, at, alias = rest.partition("@")
    version = None
    if not at:
        name, _, version = rest.partition("/")
    named = IS_NAME(alias) and alias not in OURS if at else IS_VERSION(version)
    if scheme != "models" or not IS_NAME(name) or not named:
        raise ValueError(
            "expected models:/NAME@ALIAS, such as models:/iris@champion, or models:/NAME/VERSION"
        )
    return name, alias or None, version
