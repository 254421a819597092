"""The service behind both servers: it knows models, features and problems, and nothing of a web framework.

Its parts are wired here. What an area does is in the module of its name, as its views are in the servers."""

import sys

from apps.service.documents import Documents
from apps.service.health import Health, Lifecycle
from apps.service.logs import RequestLog, configure
from apps.service.metrics import Metrics
from apps.service.model import Model
from apps.service.models import Models
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
    model = Model(settings.model_path, settings.model_format, log, metrics)
    return Service(app, settings, log, RequestLog(settings, log), metrics, Tracing(settings, app), model)


class Service:
    """What the two servers share, wired. The parts come from outside, so that a test may bring its own."""

    def __init__(
        self, app: str, settings: Settings, log, request_log, metrics, tracing, model: Model
    ) -> None:
        self.app, self.settings, self.log = app, settings, log
        self.metrics, self.tracing, self.model = metrics, tracing, model
        self.lifecycle = Lifecycle()
        self.health = Health(app, self.lifecycle, model)
        self.models = Models(model)
        self.documents = Documents(app, settings, model)
        self._stop_exporter, self._request_log = None, request_log
        self.exporter_listener, self._stopped = None, False  # a worker is handed a listener
        self.requests = Requests(settings, log, request_log, metrics, tracing)
        self.requests.service = self

    def start(self) -> None:
        """Load the model beside the requests, and show the metrics on their own port. One of several workers
        waits for its model, a while, before it takes requests: the others answer them better."""
        settings = self.settings
        self.model.start(wait=OTHERS_ANSWER_SECONDS if settings.workers > 1 else 0)
        if settings.exporter_port:
            try:
                self._stop_exporter = self.metrics.serve(
                    settings.metrics_host, settings.exporter_port, self.exporter_listener
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
        if self._stop_exporter:
            self._stop_exporter()
        self.metrics.flush()
        self.model.close()
        self.tracing.close()
        self._request_log.flush()
