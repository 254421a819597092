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
    redis = redis_of(settings, log)
    try:
        gate = gate_of(settings, log, metrics, redis)
        jobs = jobs_of(settings, log, metrics)
    except SettingsError as error:
        sys.exit(f"{app}: {error}")
    tracing = Tracing(settings, app)
    cache = cache_of(settings, metrics, redis)
    request_log = RequestLog(settings, log)
    return Service(app, settings, log, request_log, metrics, tracing, model, gate, cache, redis, jobs)


def redis_of(settings: Settings, log):
    """What the limits and the cache ask, or None, where it is not imported either."""
    if not settings.redis_url or not (settings.guarded or settings.limited or settings.cached):
        return None
    from apps.service.redis import Redis

    return Redis(settings.redis_url, log, settings.redis_timeout_seconds)


def cache_of(settings: Settings, metrics: Metrics, redis):
    """The results that are kept, or None where none are; the cache is not imported then."""
    if not settings.cached:
        return None
    from apps.service.cache.local_results import LocalResults
    from apps.service.cache.results import Cache

    if redis is None:
        return Cache(LocalResults(settings.cache_seconds, settings.cache_entries), metrics)
    from apps.service.cache.redis_results import RedisResults

    redis.used("results are kept there", "results are computed anew", metrics.cache_shared)
    return Cache(RedisResults(redis, settings.cache_seconds), metrics, redis)


def gate_of(settings: Settings, log, metrics: Metrics, redis=None):
    """What every request has to pass, or None where access is off and nothing is limited, which then is not
    imported either. Raises SettingsError."""
    if not (settings.guarded or settings.limited):
        return None
    from apps.service.access.counting import Counts
    from apps.service.access.gate import Gate

    counts, identity, limits = Counts(redis, metrics), None, None
    if settings.guarded:
        from apps.service.access.identity import Identity
        from apps.service.access.logins import Logins

        identity = Identity(settings, log, Logins(counts, metrics))
    if settings.limited:
        from apps.service.access.limits import Limits

        limits = Limits(settings, counts, metrics)
    return Gate(settings, log, identity, limits, counts)


def jobs_of(settings: Settings, log, metrics: Metrics):
    """What is left to be done later, or None with JOBS=off; it is not imported then. Raises SettingsError."""
    if settings.jobs == "off":
        return None
    from apps.service.jobs import Jobs

    return Jobs(settings, log, metrics)


class Service:
    """What the two servers share, wired. The parts come from outside, so that a test may bring its own."""

    def __init__(
        self,
        app: str,
        settings: Settings,
        log,
        request_log,
        metrics,
        tracing,
        model: Model,
        gate=None,
        cache=None,
        redis=None,
        jobs=None,
    ) -> None:
        self.app, self.settings, self.log = app, settings, log
        self.metrics, self.tracing, self.model = metrics, tracing, model
        self.cache, self._redis = cache, redis
        self.lifecycle = Lifecycle()
        self.health = Health(app, self.lifecycle, model)
        self.models = Models(model)
        self._stop_exporter, self._request_log = None, request_log
        self.exporter_listener, self._stopped = None, False  # a worker is handed a listener
        self.requests = Requests(settings, log, request_log, metrics, tracing)
        self.documents = Documents(app, settings, model, self.requests)
        self.requests.service, self.requests.gate, self.jobs = self, gate, jobs

    @property
    def identity(self):
        """Users, keys and tokens; None where access is off."""
        return self.requests.gate and self.requests.gate.identity

    @property
    def limits(self):
        """What callers have left; None where nothing is limited."""
        return self.requests.gate and self.requests.gate.limits

    def me(self, caller):
        """Who a caller is, and what they have left."""
        found = self.identity.me(caller)
        return found if self.limits is None else found.model_copy(update=self.limits.left(caller))

    def start(self) -> None:
        """Load the model beside the requests, and show the metrics on their own port. One of several workers
        waits for its model, a while, before it takes requests: the others answer them better."""
        settings = self.settings
        if self._redis is not None:
            self._redis.start()
        if self.requests.gate is not None:
            self.requests.gate.counts.start()
        if self.identity is not None:
            self.identity.start()
        if self.jobs is not None:
            self.jobs.start()
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
        if self._stop_exporter:
            self._stop_exporter()
        self.metrics.flush()
        if self.requests.gate is not None:
            self.requests.gate.counts.close()
        if self._redis is not None:
            self._redis.close()
        if self.identity is not None:
            self.identity.close()
        if self.jobs is not None:
            self.jobs.close()
        self.model.close()
        self.tracing.close()
        self._request_log.flush()
