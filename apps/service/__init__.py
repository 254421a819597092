"""The service behind both servers: it knows models, features and problems, and nothing of a web framework.

Its parts are wired here. What an area does is in the module of its name, as its views are in the servers."""

import sys

from apps.service.documents import Documents
from apps.service.health import Health, Lifecycle
from apps.service.logs import RequestLog, configure
from apps.service.metrics import Metrics
from apps.service.model import Model
from apps.service.models import Models
from apps.service.parts import Parts, parts_of, registry_of
from apps.service.problems import Problem
from apps.service.requests import RequestContext, Requests
from apps.service.settings import Settings, SettingsError, read
from apps.service.tracing import Tracing

__all__ = ["RequestContext", "Problem", "Service", "build"]

OTHERS_ANSWER_SECONDS = 20


def build(app: str, port: int) -> "Service":
    """The service of one process, as the environment wants it. Ends the process with one line where the
    environment is wrong. Nothing runs before `start`."""
    try:
        settings = read(port=port)
    except SettingsError as error:
        sys.exit(f"{app}: {error}")
    log = configure(settings)
    metrics = Metrics(app)
    registry = registry_of(settings, log, metrics)
    model = registry.model if registry else Model(settings.model_path, settings.model_format, log, metrics)
    try:
        parts = parts_of(app, settings, log, metrics, model, registry)
    except SettingsError as error:
        sys.exit(f"{app}: {error}")
    return Service(app, settings, log, metrics, model, parts)


class Service:
    """What the two servers share, wired. The parts come from outside, so that a test may bring its own."""

    def __init__(
        self, app: str, settings: Settings, log, metrics: Metrics, model: Model, parts: Parts
    ) -> None:
        self.app, self.settings, self.log = app, settings, log
        self.metrics, self.tracing, self.model = metrics, Tracing(settings, app), model
        self.gate, self.cache, self.jobs, self.registry = parts.gate, parts.cache, parts.jobs, parts.registry
        self.feedback, self.explainer = parts.feedback, parts.explainer
        self.generation, self.identity = parts.generation, parts.identity
        self.lifecycle = Lifecycle()
        self.health = Health(app, self.lifecycle, model)
        self.models = Models(model, parts.registry)
        self.on_predicted = []  # each is called with an answer, before it is sent
        self._running, self._stop_exporter, self._stopped = parts.running, None, False
        self.exporter_listener = None  # a worker is handed a listener
        self._request_log = RequestLog(settings, log)
        self.requests = Requests(settings, log, self._request_log, metrics, self.tracing)
        self.documents = Documents(app, settings, model, self.requests)
        self.requests.service, self.requests.gate = self, parts.gate
        if self.registry is not None:
            self.on_predicted.append(self.registry.rollout.answered)
            self.requests.splits = True
        if self.feedback is not None:
            self.on_predicted.append(self.feedback.predicted)
        if self.generation is not None:
            self.lifecycle.on_drain.append(self.generation.drain)

    @property
    def limits(self):
        """What callers have left; None where nothing is limited."""
        return self.gate and self.gate.limits

    def me(self, caller):
        """Who a caller is, and what they have left."""
        left = self.limits.left(caller) if self.limits else {}
        if self.generation is not None:
            left["tokens"] = self.generation.left(caller)
        return self.identity.me(caller).model_copy(update=left)

    def start(self) -> None:
        """Load the model beside the requests, and show the metrics on their own port. One of several workers
        waits for its model, a while, before it takes requests: the others answer them better."""
        settings = self.settings
        for part in self._running:
            part.start()
        self.model.start(wait=OTHERS_ANSWER_SECONDS if settings.workers > 1 else 0)
        if settings.exporter_port:
            try:
                self._stop_exporter = self.metrics.serve(
                    settings.metrics_host, settings.exporter_port, self.exporter_listener, self.requests.hosts
                )
            except OSError as error:
                self.log.warning(
                    "metrics not served: set METRICS_PORT to a free port",
                    port=settings.exporter_port,
                    error=error.strerror,
                )

    def stop(self) -> None:
        """Hand on what has been counted and traced. Stopping twice does no harm."""
        if self._stopped:
            return
        self._stopped = True
        for part in reversed(self._running):
            part.close()
        if self._stop_exporter:
            self._stop_exporter()
        self.metrics.flush()
        self.model.close()
        self.tracing.close()
        self._request_log.flush()
