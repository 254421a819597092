"""Load tests that go on whoever watches: each in a thread of its own, to its end or until it is stopped."""

import atexit
import threading
from collections import deque
from contextlib import closing

from ui.card import Card
from ui.load import Load, Trial
from ui.sign_in import SignIn, acting_for


class Run(threading.Thread):
    """A test that runs; when it has ended it is the first of `ended`. `latest`: how many turns are over,
    whose turn it is, and what the generator told last. `signed`: for whom it asks."""

    def __init__(self, trial: Trial, card: Card, ended: deque[Trial], signed: SignIn) -> None:
        super().__init__(name="load test", daemon=True)
        self.trial, self.card, self.ended, self.signed = trial, card, ended, signed
        self.latest: tuple[int, Load, dict] | None = None
        self._stop_asked = threading.Event()

    def run(self) -> None:
        try:
            with acting_for(self.signed), closing(self.trial.run(self.card)) as events:
                for self.latest in events:
                    if self._stop_asked.is_set():
                        break
        finally:
            self.ended.appendleft(self.trial)
            _running.discard(self)

    def start(self) -> None:
        _running.add(self)
        super().start()

    def end(self) -> None:
        """Stop the test, and wait for its generator to be gone."""
        self._stop_asked.set()
        self.join(timeout=15)


_running: set[Run] = set()


@atexit.register
def _end_all() -> None:
    for run in list(_running):
        run.end()
