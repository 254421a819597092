"""A folder of models that servers load from: each one verified, read-only, and known by its hash.

What was registered is fetched into it, whole or not at all, and stays as it is; what moves are small files
that say which of the models is meant:

    NAME/models/DIGEST/     a model folder; DIGEST is the sha256 of its card.json, which has its files' hashes
    NAME/pointers/ALIAS     a version and its digest, as JSON: what `champion` is, say
    NAME/refused/VERSION    why a version was not taken
    NAME/rollout            what the challenger does, as JSON

A pointer is replaced in one step (rename(2) is atomic), so that whoever reads it sees the old one or the new
one, also after a crash. Nothing here asks a registry, or imports one."""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from model_training.artifact import (
    ArtifactError,
    FileMissingError,
    HashMismatchError,
    UnreadableError,
    read_bytes,
    read_verified,
)
from model_training.card import Card, CardError, read_card

KEPT = 5  # models that no pointer names, in case one is wanted again
LEFT_OVER_SECONDS = 3600  # whatever is being written for longer is a crashed process's
IS_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII).fullmatch  # of a model, and of a pointer
IS_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
READ_ONLY_FILE, READ_ONLY_FOLDER = 0o444, 0o555


class Pointer(NamedTuple):
    """Which model is meant: the registry's number of its version, and the digest of its card."""

    version: str
    digest: str


class Rollout(NamedTuple):
    """What the challenger does: nothing, answer `percent` of the callers, or be compared in the shadow."""

    mode: Literal["off", "canary", "shadow"]
    percent: int


class Store:
    """Any number of processes may read it and write to it at the same time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, source: Path) -> str:
        """Copy the model folder `source`, once its card and every file's hash have been checked, and return
        its digest. One that is there already, as it was, is left. Raises CardError, ArtifactError, and
        OSError where the disk does not let us; nothing of it is left then."""
        card_bytes = read_bytes(source / "card.json")
        card = read_card(source / "card.json")
        check_plain(source, card)
        digest = hashlib.sha256(card_bytes).hexdigest()
        target = self.folder(name, digest)
        if target.exists():
            if self.is_whole(name, digest):
                os.utime(target)  # it is wanted: the last to be swept
                return digest
            self._remove(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
        try:
            for format, file in card.files.items():
                write(new / file.file, read_verified(source, card, format), READ_ONLY_FILE)
            write(new / "card.json", card_bytes, READ_ONLY_FILE)
            new.chmod(READ_ONLY_FOLDER)
            sync(new)
            try:
                new.rename(target)
            except OSError:
                if not target.exists():  # else another process was faster
                    raise
            sync(target.parent)
        finally:
            if new.exists():
                discard(new)
        return digest

    def folder(self, name: str, digest: str) -> Path:
        """Where that model is, or would be. Raises ValueError for what is no name or no digest."""
        if not IS_NAME(name) or not IS_DIGEST(digest):
            raise ValueError("expected a name of lower-case letters, digits, '.', '_' and '-', and a sha256")
        return self._folder / name / "models" / digest

    def verified(self, name: str, digest: str) -> Card:
        """The card of that model, whose bytes are those of the digest. Raises ArtifactError, CardError."""
        path = self.folder(name, digest) / "card.json"
        if not path.exists():
            raise FileMissingError(f"{path.parent} is not in the store: fetch it again")
        if hashlib.sha256(read_bytes(path)).hexdigest() != digest:
            raise HashMismatchError(f"{path} was changed in the store: remove that folder, and it is fetched")
        return read_card(path)

    def is_whole(self, name: str, digest: str) -> bool:
        """Whether that model is here, every byte of it."""
        try:
            card = self.verified(name, digest)
            for format in card.files:
                read_verified(self.folder(name, digest), card, format)
        except (ArtifactError, CardError):
            return False
        return True

    def point(self, name: str, alias: str, pointer: Pointer) -> None:
        """From now on `alias` is that model. Raises OSError."""
        replace(self._pointer(name, alias), json.dumps(pointer._asdict()).encode())

    def pointer(self, name: str, alias: str) -> Pointer | None:
        """Which model the alias is; None where it is none. Raises OSError, ValueError where it is unreadable,
        which nothing here writes."""
        try:
            found = json.loads(self._pointer(name, alias).read_bytes())
            return Pointer(str(found["version"]), str(found["digest"]))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError) as error:
            raise ValueError(f"{self._pointer(name, alias)} is no pointer: remove it") from error

    def drop(self, name: str, alias: str) -> None:
        """The alias is no model any more."""
        self._pointer(name, alias).unlink(missing_ok=True)

    @contextmanager
    def incoming(self, name: str) -> Iterator[Path]:
        """A folder for files that are yet to be looked at; gone afterwards."""
        self._in(name).mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self._in(name)))
        try:
            yield new
        finally:
            discard(new)

    def pin(self, name: str, pointer: Pointer) -> None:
        """`active` is that model, whatever an alias says, until `unpin`. Raises OSError."""
        self.point(name, "pinned", pointer)
        self.point(name, "active", pointer)

    def unpin(self, name: str, alias: str) -> None:
        """`active` follows the alias again: at once where it is known which model that is."""
        self.drop(name, "pinned")
        if followed := self.pointer(name, alias):
            self.point(name, "active", followed)

    def rollout(self, name: str) -> Rollout | None:
        """What was said last of the challenger, if anything was. Raises OSError, ValueError."""
        try:
            found = json.loads(self._in(name, "rollout").read_bytes())
            return Rollout(found["mode"], int(found["percent"]))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError) as error:
            raise ValueError(f"{self._in(name, 'rollout')} is no rollout: remove it") from error

    def set_rollout(self, name: str, rollout: Rollout) -> None:
        """From now on the challenger does that. Raises OSError."""
        replace(self._in(name, "rollout"), json.dumps(rollout._asdict()).encode())

    def refuse(self, name: str, version: str, reason: str) -> None:
        """Note why a version was not taken. Raises OSError."""
        replace(self._in(name, "refused", version), reason.encode())

    def take_back(self, name: str, version: str) -> None:
        """The version is refused no more."""
        self._in(name, "refused", version).unlink(missing_ok=True)

    def refused(self, name: str) -> dict[str, str]:
        """Why versions were not taken, by their numbers."""
        files = self._in(name, "refused").glob("[!.]*")
        return {file.name: file.read_text(encoding="utf-8") for file in files}

    def sweep(self, name: str, kept: int = KEPT) -> None:
        """Remove models that no pointer names, but for those that came last, and what crashes have left."""
        pointers = [path.name for path in self._in(name, "pointers").glob("[!.]*")]
        named = {pointer.digest for alias in pointers if (pointer := self.pointer(name, alias))}
        folders = [path for path in self._in(name, "models").glob("[!.]*") if path.name not in named]
        folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for folder in folders[kept:]:
            self._remove(folder)
        for place in ("models", "pointers", "refused", ""):
            for left in self._in(name, place).glob(".new-*"):
                if time.time() - left.stat().st_mtime > LEFT_OVER_SECONDS:
                    discard(left)

    def _remove(self, folder: Path) -> None:
        """Out of the way in one step, then bit by bit: nobody meets half a model."""
        left = folder.with_name(f".new-{folder.name[:8]}-{os.getpid()}-{time.monotonic_ns()}")
        with suppress(FileNotFoundError):  # another process was faster
            folder.rename(left)
            discard(left)

    def _in(self, name: str, *parts: str) -> Path:
        if not IS_NAME(name) or not all(part == "" or IS_NAME(part) for part in parts):
            raise ValueError("expected a name of lower-case letters, digits, '.', '_' and '-'")
        return self._folder.joinpath(name, *parts)

    def _pointer(self, name: str, alias: str) -> Path:
        return self._in(name, "pointers", alias)


def check_plain(folder: Path, card: Card) -> None:
    """Raises UnreadableError where a file of the card's is no plain file."""
    for name in ("card.json", *(file.file for file in card.files.values())):
        if (folder / name).is_symlink():
            raise UnreadableError(f"{name} is a link: expected a plain file")


def replace(path: Path, content: bytes) -> None:
    """The file has that content, or after a crash the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, new = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    os.close(handle)
    try:
        write(Path(new), content)
        Path(new).replace(path)
        sync(path.parent)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def discard(path: Path) -> None:
    """Remove what was being written, a file or a folder."""
    if path.is_dir():
        with suppress(OSError):
            path.chmod(0o755)
            for file in path.iterdir():
                file.chmod(0o644)  # Windows removes no read-only file
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """A file that is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(mode)


def sync(folder: Path) -> None:
    """Put the folder's own entries on the disk, where a folder can be opened for that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
