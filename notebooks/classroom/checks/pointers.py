"""A file that somebody points to while others write it, or while the disk is full: exercise 10.1."""

import contextlib
import errno
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from ..answers import NotYet, named

OLD, NEW, OTHER = '{"version": "1"}', '{"version": "2"}', '{"version": "3"}'
PATIENCE = 2  # seconds, after which whoever waits for a lock is known to wait


class Folder:
    """A folder with a pointer. What is asked of the system in this thread is looked at, and may go wrong."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._real = {name: getattr(os, name) for name in ("replace", "rename", "fsync")}

    def __enter__(self) -> "Folder":
        self._temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._files = Path(self._temporary.name) / "pointers"
        self._files.mkdir()
        self.path = self._files / "champion"
        self._patches = contextlib.ExitStack()
        for name in self._real:
            self._patches.enter_context(mock.patch.object(os, name, getattr(self, f"_{name}")))
        self.begin()
        return self

    def __exit__(self, *_) -> None:
        self._patches.close()
        self._temporary.cleanup()

    def begin(self, wanted: str = "", *, full: bool = False, meanwhile: Callable = lambda: None) -> None:
        """Before the next call: the text that is wanted, whether the disk is full, and what happens just
        before the new file is put in place."""
        self._wanted, self._full, self._meanwhile = wanted, full, meanwhile
        self._before = self.text
        self.replaced, self.synced, self.said = 0, [], None

    @property
    def text(self) -> str | None:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else None

    @property
    def left_over(self) -> list[str]:
        return [file.name for file in self._files.iterdir() if file != self.path]

    def point(self, call: Callable, text: str, **begin) -> None:
        self.begin(text, **begin)
        try:
            call(self.path, text)
        finally:
            if self.said:  # also where the learner's own `except` has caught it
                raise self.said

    def _not_yet(self, why: str) -> None:
        self.said = self.said or NotYet(why)
        raise self.said

    # --- the system, as it looks from this thread

    def _ours(self, target) -> bool:
        return threading.get_ident() == self._thread and Path(target) == self.path

    def _replace(self, source, target, **options) -> None:
        if self._ours(target):
            self.replaced += 1
            self._meanwhile()
            self._look_at(Path(source))
        return self._real["replace"](source, target, **options)

    def _rename(self, source, target, **options) -> None:
        if self._ours(target):
            self._not_yet(
                "`rename` puts a file in another's place on Linux and macOS, and raises FileExistsError on "
                "Windows. Which function of `os` does it everywhere?"
            )
        return self._real["rename"](source, target, **options)

    def _fsync(self, file) -> None:
        if threading.get_ident() == self._thread:
            if self._full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.synced.append(os.fstat(file if isinstance(file, int) else file.fileno()).st_size)
        return self._real["fsync"](file)

    def _look_at(self, new: Path) -> None:
        """What stands ready to be put in place, and what stands there until then."""
        if new.parent.resolve() != self._files.resolve():
            self._not_yet(
                "your new file is in another folder, which may be on another disk, and `os.replace` does not "
                "go from one to the other. Which folder is always on the same disk?"
            )
        if self._before is not None and self.text is None:
            self._not_yet(
                "just before the new file comes there is none at all, expected the old one. What takes it "
                "away, and does it have to?"
            )
        if not new.exists():
            return  # os.replace says so itself
        if (found := new.read_text(encoding="utf-8")) != self._wanted:
            self._not_yet(
                f"the file that you put in place says {found!r}, expected {self._wanted!r}. Is all of the "
                "text in it by then?"
            )


def on_a_full_disk(folder: Folder, point: Callable) -> None:
    """The error comes out, the old text stays, and nothing is left behind."""
    try:
        folder.point(point, OTHER, full=True)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise NotYet(
                f"the disk is full, and point(…) raised {named(error)}, expected the disk's own error. What "
                "does your cleaning up take for granted?"
            ) from error
    else:
        raise NotYet(
            "the disk is full, and point(…) returned as if all were well, expected the OSError to come out. "
            "Who else is to know that nothing was written?"
        )
    if folder.text != NEW:
        raise NotYet(
            f"the disk is full, and the pointer says {folder.text!r}, expected {NEW!r}. Who wrote it?"
        )
    if folder.left_over:
        raise NotYet(
            f"the disk is full, and {len(folder.left_over)} file of yours is left in the folder, expected 0: "
            "each attempt would add one. Who removes it where something goes wrong?"
        )


def while_another_points(folder: Folder, point: Callable) -> None:
    """Another thread points at the moment when this one has its new file ready."""
    failed, waited = [], []

    def write() -> None:
        try:
            point(folder.path, OTHER)
        except BaseException as error:
            failed.append(error)

    def meanwhile() -> None:
        folder._meanwhile = lambda: None
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        waited.append(thread.is_alive())

    try:
        folder.point(point, OLD, meanwhile=meanwhile)
    except OSError as error:
        failed.append(error)
    except NotYet:
        if not failed and not any(waited):
            raise NotYet(
                "two point at the same time, and one puts the other's text in place, expected its own. What "
                "is the name of the file that each of them writes first?"
            ) from None
        raise
    if any(waited):
        raise NotYet(
            "while one thread points, another has to wait for it; the lock is one of this process, and no "
            "other process knows it. What if each wrote a file of its own?"
        )
    if failed:
        raise NotYet(
            f"two point at the same time, and one of them got {type(failed[0]).__name__}, expected both to "
            "get through. What is the name of the file that each of them writes first?"
        )
