"""What both servers have counted in the last minutes, looked at every two seconds whether or not a page shows
it, from the first visit to any page on."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from ui import client
from ui.answers import Failure
from ui.metrics import Rollout, Sample
from ui.servers import Server

EVERY = 2  # seconds
MINUTES = 5  # that are kept
FORGOTTEN = 15 * 60  # seconds without a visitor, after which it is not looked at any more


@dataclass
class Watched:
    """A server: its `samples`, the oldest first, and what the last look gave; and the `rollouts`, where it
    follows a registry. `wanted`: when somebody last asked for them."""

    server: Server
    wanted: float = 0.0
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=MINUTES * 60 // EVERY + 1))
    rollouts: deque[Rollout] = field(default_factory=lambda: deque(maxlen=MINUTES * 60 // EVERY + 1))
    latest: Sample | Failure | None = None

    def look(self) -> None:
        found = client.metrics(self.server)
        self.latest = found if isinstance(found, Failure) else found[0]
        if not isinstance(found, Failure):
            self.samples.append(found[0])
            if found[1] is not None:
                self.rollouts.append(found[1])
        for kept in (self.samples, self.rollouts):
            while kept and kept[0].at < time.monotonic() - MINUTES * 60:
                kept.popleft()

    def keep_looking(self) -> None:
        while self.wanted > time.monotonic() - FORGOTTEN:
            self.look()
            time.sleep(EVERY)
        with _lock:
            _watched.pop(self.server, None)


_watched: dict[Server, Watched] = {}
_lock = threading.Lock()


def watch(servers: Iterable[Server]) -> list[Watched]:
    """Go on looking at these servers; returns what is known of each by now."""
    found = []
    with _lock:
        for server in servers:
            one = _watched.get(server)
            if one is None:
                one = _watched[server] = Watched(server, time.monotonic())
                # one each, so that a slow server does not delay the other
                threading.Thread(target=one.keep_looking, name="history", daemon=True).start()
            one.wanted = time.monotonic()
            found.append(one)
    return found
