"""One rule's way with a text that comes in pieces, and several rules one after the other."""

from collections.abc import Callable, Iterable
from typing import Protocol

from apps.service.generation.scheduler import Forbidden, Window

Found = Callable[[str], None]  # is told the rule that has replaced something


class Step(Protocol):
    """A rule. What it says of a text must not depend on the pieces in which it comes."""

    def window(self, found: Found) -> Window:
        """What one text passes. Its `add` gives back what may go on now, and `end` the rest; either raises
        Forbidden, with the rule's name, where the text may go no further. What could be the beginning of
        something is held back, and never more than so many characters."""


class Windows:
    """All of them: what the one lets go, the next one has."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self._windows = list(windows)

    def add(self, text: str) -> str:
        return self._pass(text, ended=False)

    def end(self) -> str:
        return self._pass("", ended=True)

    def _pass(self, text: str, ended: bool) -> str:
        refused = None
        for window in self._windows:
            try:
                text = window.add(text) if text else ""
                if ended and refused is None:
                    text += window.end()
            except Forbidden as error:
                # What the others had not let go by now, nobody gets.
                refused, text = error, error.before
        if refused is not None:
            raise Forbidden(refused.rule, text)
        return text


def passed(windows: Window, text: str) -> str:
    """A text that is there as a whole. Raises Forbidden."""
    return windows.add(text) + windows.end()
