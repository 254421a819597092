"""A server is told to change something, by a thread of its own: a reload of the page does not stop it, and
nothing is told twice."""

import threading
import time

from ui.answers import Failure
from ui.registry import Change, Versions
from ui.servers import Server
from ui.sign_in import SignIn, acting_for


class Telling(threading.Thread):
    """`doing`: what goes on, `done`: what is so when it went well, told at a `place` of the page. Then there
    is an `outcome`, which is shown until something else is told."""

    def __init__(
        self, server: Server, place: str, doing: str, done: str, change: Change, signed: SignIn
    ) -> None:
        super().__init__(name="telling", daemon=True)
        self.server, self.place, self.doing, self.done = server, place, doing, done
        self.began = time.monotonic()
        self.outcome: Versions | Failure | None = None
        self._change, self._signed = change, signed

    def run(self) -> None:
        with acting_for(self._signed):
            self.outcome = self._change()

    @property
    def seconds(self) -> float:
        """That it has taken so far."""
        return time.monotonic() - self.began
