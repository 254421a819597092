"""A stopwatch for notebooks."""

import time


class stopwatch:
    """Measures a `with` block: afterwards `took.ms` and `took.seconds` say how long it was."""

    def __enter__(self):
        self.seconds = None
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self._started

    @property
    def ms(self) -> float:
        return self.seconds * 1000
