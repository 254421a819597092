"""Is the process to be sent requests? Starting, serving, draining.

Readiness and liveness as Kubernetes means them: a server that drains is alive and not ready."""

import time


class Lifecycle:
    def __init__(self) -> None:
        self._started = time.monotonic()
        self.draining = False

    @property
    def uptime_seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)

    def drain(self) -> None:
        """From now on readiness says no; what has been accepted is finished."""
        self.draining = True
