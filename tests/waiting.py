"""Waiting for what another thread or process does. How fast that is, no test asserts."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 90  # seconds that nothing waited for takes, however busy the machine


def until(true: Callable[[], T], said: Callable[[], object] = str, seconds: float = PATIENCE) -> T:
    """What `true` gives, once that is true. AssertionError with what is `said` by then, if it never is."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, said()
        time.sleep(0.05)
    return found
