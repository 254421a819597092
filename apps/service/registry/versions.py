"""The versions of the model that is followed, and what an admin does with them."""

import errno
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from apps.service.bodies import Answer, Body
from apps.service.problems import BODY, Problem
from apps.service.registry.agent import AgentError
from apps.service.registry.follower import Follower, Listing
from apps.service.registry.following import Following, OtherFeaturesError, reason
from model_training.artifact import ArtifactError
from model_training.card import CardError
from model_training.registry.store import Pointer, Store
from model_training.registry.store import Rollout as Wanted

COMMAND_SECONDS = 60  # that a command may take, the start of what speaks to the registry included
COPY_SECONDS = 120  # and one that copies a model
PROBLEMS = {
    "not-found": "unknown-model",
    "conflict": "model-refused",
    "refused": "model-refused",
    "unavailable": "registry-unavailable",
    "disk-full": "insufficient-storage",
    "invalid": "invalid-input",
}
READ = ("not-found", "unknown-model", "registry-unavailable")
CHANGE = (*READ, *BODY)


class RegisterRequest(Body):
    """Nothing: what is registered is the model that was trained or adopted last, under the path's name."""

    shape: ClassVar[str] = "{}"


VersionNumber = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")]


class AliasRequest(Body):
    version: VersionNumber
    shape: ClassVar[str] = '{"version": "3"}'


class ActivateRequest(Body):
    """Either the number of a version, which is served from then on, or the alias, which is followed again."""

    version: VersionNumber | None = None
    alias: str | None = None
    shape: ClassVar[str] = '{"version": "3"} or {"alias": "champion"}'


class RolloutRequest(Body):
    """`percent`: of the callers, in a canary."""

    mode: Literal["off", "canary", "shadow"]
    percent: int | None = Field(None, ge=0, le=100)
    shape: ClassVar[str] = '{"mode": "canary", "percent": 10}'


class RolloutState(Answer):
    mode: Literal["off", "canary", "shadow"]
    percent: int


class Version(Answer):
    """`stored`: it is on this machine; `registered`: the registry has it; `refused`: `reason` says why it is
    not served."""

    version: str
    state: Literal["active", "challenger", "stored", "registered", "refused"]
    aliases: list[str]
    reason: str | None = None
    model_version: str | None = None
    digest: str | None = None
    created_at: str | None = None
    algorithm: str | None = None
    metrics: dict[str, float] = {}


class VersionList(Answer):
    """The newest version first. `following`: the alias that the server follows, `pinned`: the version that it
    serves in its place, until it is told to follow again."""

    name: str
    registry: Literal["available", "unavailable"]
    following: str | None = None
    pinned: str | None = None
    active: str | None = None
    challenger: str | None = None
    rollout: RolloutState
    versions: list[Version]


STORED = {  # of a registration: the same again
    200: {
        "description": "Successful Response",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/VersionList"}}},
    }
}


class Versions:
    """Any method may wait for a disk, those that change something for the registry: none is called on an
    event loop. Each raises Problem: 404 for another name, 503 where registry or store do not answer."""

    def __init__(
        self,
        name: str,
        alias: str | None,
        store: Store,
        model: Following,
        follower: Follower,
        rollout: Callable[[], Wanted],
        settings,
    ) -> None:
        """`alias`: what is followed; None where MODEL_URI names a version. `rollout`: what holds now."""
        self.name, self._alias, self._store = name, alias, store
        self._model, self._follower, self._rollout, self._settings = model, follower, rollout, settings

    def listed(self, name: str) -> VersionList:
        """Asks the store alone, so that nobody waits for the registry."""
        self._check(name)
        pointers, listing = self._pointers(), self._follower.listing()
        refused = {version: one.reason for version, one in [*self._model.refused.items()]}
        refused |= self._store.refused(name)
        active, challenger = pointers["active"], pointers["challenger"]
        pinned, rollout = pointers["pinned"], self._rollout()
        return VersionList(
            name=name,
            registry="available" if listing.answers else "unavailable",
            following=self._alias,
            pinned=pinned and pinned.version,
            active=active and active.version,
            challenger=challenger and challenger.version,
            rollout=RolloutState(mode=rollout.mode, percent=rollout.percent),
            versions=[self._version(each, pointers, refused) for each in with_stored(listing, pointers)],
        )

    def register(self, name: str) -> tuple[VersionList, bool]:
        """What the last train or adopt wrote under that name, and whether it is new there."""
        self._check(name)
        folder = (self._settings.models_folder / name).resolve()
        found = self._asked("register", COPY_SECONDS, name=name, folder=str(folder))
        return self._after(name), found["new"]

    def move(self, name: str, alias: str, version: str) -> VersionList:
        """From now on the alias is that version. Whoever follows it serves it soon."""
        self._check(name)
        self._asked("alias", COPY_SECONDS, name=name, alias=alias, version=version)
        return self._after(name)

    def drop(self, name: str, alias: str) -> VersionList:
        self._check(name)
        self._asked("unalias", COMMAND_SECONDS, name=name, alias=alias)
        return self._after(name)

    def rollback(self, name: str) -> VersionList:
        """The version that was champion before is so again."""
        self._check(name)
        self._asked("rollback", COPY_SECONDS, name=name)
        return self._after(name)

    def activate(self, name: str, wanted: ActivateRequest) -> VersionList:
        """Serve that version, whatever the alias says, or follow the alias again. Raises Problem 409 where
        the model cannot be served; what was served goes on."""
        self._check(name)
        if (wanted.version is None) == (wanted.alias is None):
            raise Problem("invalid-input", f"expected {ActivateRequest.shape}: one of the two")
        if wanted.alias is not None and wanted.alias != self._alias:
            raise Problem("unknown-model", "expected the alias that this server follows (MODEL_URI)")
        if wanted.alias is not None:
            self._write(self._store.unpin, name, wanted.alias)
        else:
            pointer = Pointer(wanted.version, self._fetched(name, wanted.version))
            try:
                self._model.candidate(pointer)
            except (ArtifactError, CardError, OtherFeaturesError) as error:
                self._model.refuse("active", pointer, error)
                raise Problem("model-refused", f"version {pointer.version}: {reason(error)}") from None
            self._write(self._store.pin, name, pointer)
        self._model.look()
        return self.listed(name)

    def roll_out(self, name: str, wanted: RolloutRequest) -> VersionList:
        """From now on, in every process, the challenger does that."""
        self._check(name)
        percent = self._rollout().percent if wanted.percent is None else wanted.percent
        self._write(self._store.set_rollout, name, Wanted(wanted.mode, percent))
        self._model.look()
        return self.listed(name)

    def _check(self, name: str) -> None:
        if name != self.name:
            raise Problem("unknown-model", "there is no such model here; /models lists those there are")

    def _pointers(self) -> dict[str, Pointer | None]:
        names = ("active", "pinned", "champion", "challenger")
        try:
            return {alias: self._store.pointer(self.name, alias) for alias in names}
        except (OSError, ValueError):
            raise Problem("registry-unavailable", "the store of models cannot be read") from None

    def _version(self, known: dict, pointers: dict[str, Pointer | None], refused: dict[str, str]) -> Version:
        version, digest = known["version"], known.get("digest")
        state = "stored" if digest and self._store.folder(self.name, digest).exists() else "registered"
        for role in ("challenger", "active"):
            if pointers[role] and pointers[role].version == version:
                state = role
        if state != "active" and version in refused:
            state = "refused"
        told = {name: value for name, value in known.items() if name in Version.model_fields}
        return Version(**told, state=state, reason=refused.get(version))

    def _fetched(self, name: str, version: str) -> str:
        """The digest of that version, which is in the store."""
        for known in with_stored(self._follower.listing(), self._pointers()):
            digest = known.get("digest")
            if known["version"] == version and digest and self._store.folder(name, digest).exists():
                return digest
        return self._asked("fetch", COPY_SECONDS, name=name, version=version)["digest"]

    def _after(self, name: str) -> VersionList:
        """What there is after something was changed."""
        self._follower.refresh()
        return self.listed(name)

    def _asked(self, do: str, seconds: float, **members):
        try:
            return self._follower.ask(do, seconds, **members)
        except AgentError as error:
            raise Problem(PROBLEMS.get(error.kind, "registry-unavailable"), error.detail) from None

    def _write(self, change: Callable, *what) -> None:
        try:
            change(*what)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise Problem("insufficient-storage", "the disk of the store is full") from None
            raise Problem("registry-unavailable", "the store of models cannot be written") from None


def with_stored(listing: Listing, pointers: dict[str, Pointer | None]) -> list[dict]:
    """What the registry listed, and before it what it did not and pointers name."""
    known = {each["version"] for each in listing.versions}
    own = {each.version: each.digest for each in pointers.values() if each and each.version not in known}
    aliases = {
        version: [alias for alias in ("champion", "challenger") if pointers[alias] == (version, digest)]
        for version, digest in own.items()
    }
    stored = [{"version": each, "digest": own[each], "aliases": aliases[each]} for each in own]
    return stored + listing.versions
