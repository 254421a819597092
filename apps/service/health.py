"""Health: can it predict, does the process answer, is it to be sent requests?

Readiness and liveness as Kubernetes means them: a server that drains is alive and not ready."""

import time
from collections.abc import Callable
from typing import Literal

from apps.service.bodies import Answer
from apps.service.model import Model, Serving
from apps.service.models import ServedModel
from apps.service.problems import Problem


class HealthReport(Answer):
    status: Literal["ok"]
    app: str
    model: ServedModel
    uptime_seconds: float


class Live(Answer):
    status: Literal["live"] = "live"


class Ready(Answer):
    status: Literal["ready"] = "ready"


class Lifecycle:
    """Starting, serving, draining."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.draining = False
        self.on_drain: list[Callable[[], None]] = []  # called from a signal's handler: none of them waits

    @property
    def uptime_seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)

    def drain(self) -> None:
        """From now on readiness says no; what has been accepted is finished."""
        self.draining = True
        for call in self.on_drain:
            call()


class Health:
    def __init__(self, app: str, lifecycle: Lifecycle, model: Model) -> None:
        self._app, self._lifecycle, self._model = app, lifecycle, model

    def report(self) -> HealthReport:
        """While it can predict. Raises Problem (503) with the reason while it cannot."""
        uptime = self._lifecycle.uptime_seconds
        serving = self.check_ready(app=self._app, uptime_seconds=uptime)
        model = ServedModel(name=serving.name, version=serving.version, format=serving.format)
        return HealthReport(status="ok", app=self._app, model=model, uptime_seconds=uptime)

    def check_ready(self, **members) -> Serving:
        """The model. Raises Problem (503), with these members, unless requests may be sent."""
        if self._lifecycle.draining:
            raise Problem("draining", "this server is shutting down", **members)
        try:
            return self._model.serving
        except Problem as problem:
            problem.members.update(members)
            raise
