"""Which files are opened: exercise 4.3."""

import contextlib
import sys

_opened_sets, _hooked = [], []


@contextlib.contextmanager
def opened_for_reading():
    """A set that fills with the path of each file that this process opens for reading meanwhile."""
    if not _hooked:  # a hook cannot be taken away again, so there is one
        sys.addaudithook(_note_opening)
        _hooked.append(True)
    opened = set()
    _opened_sets.append(opened)
    try:
        yield opened
    finally:
        _opened_sets.remove(opened)


def _note_opening(event, arguments):
    if event == "open" and _opened_sets and "w" not in str(arguments[1]):
        for opened in _opened_sets:
            opened.add(str(arguments[0]))
