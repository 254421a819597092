"""The parts of the service that settings switch on. What is off is None, and is not imported either."""

from dataclasses import dataclass
from typing import Any

from apps.service.metrics import Metrics
from apps.service.model import Model
from apps.service.settings import Settings


@dataclass(kw_only=True)
class Parts:
    redis: Any = None  # what the limits and the cache ask
    gate: Any = None  # what every request has to pass
    cache: Any = None  # results that are kept
    jobs: Any = None  # what is left to be done later
    registry: Any = None  # whose model is followed
    feedback: Any = None  # the log of predictions, and the truth about them
    explainer: Any = None
    generation: Any = None  # the language model

    @property
    def identity(self):
        """Users, keys and tokens; None where access is off."""
        return self.gate and self.gate.identity

    @property
    def running(self) -> list:
        """Those that have threads, files or connections, in the order in which they are started. They are
        closed in the opposite one: what generation has counted goes into what is closed after it."""
        counts = self.gate and self.gate.counts
        found = [self.redis, counts, self.identity, self.jobs, self.registry, self.feedback, self.explainer]
        return [part for part in (*found, self.generation) if part is not None]


def parts_of(app: str, settings: Settings, log, metrics: Metrics, model: Model, registry) -> Parts:
    """Those that the settings ask for. Raises SettingsError."""
    redis = redis_of(settings, log)
    gate = gate_of(settings, log, metrics, redis)
    return Parts(
        redis=redis,
        gate=gate,
        cache=cache_of(settings, metrics, redis),
        jobs=jobs_of(settings, log, metrics),
        registry=registry,
        feedback=feedback_of(app, settings, log, metrics, model),
        explainer=explainer_of(settings, log, metrics),
        generation=generation_of(settings, log, metrics, gate),
    )


def registry_of(settings: Settings, log, metrics: Metrics):
    """What follows a registry of models."""
    if not settings.follows:
        return None
    from apps.service.registry import Registry

    return Registry(settings, log, metrics)


def redis_of(settings: Settings, log):
    """What the limits and the cache ask."""
    counts = settings.guarded or settings.limited or settings.budgeted
    if not settings.redis_url or not (counts or settings.cached):
        return None
    from apps.service.redis import Redis

    return Redis(settings.redis_url, log, settings.redis_timeout_seconds)


def cache_of(settings: Settings, metrics: Metrics, redis):
    """The results that are kept."""
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
    """What every request has to pass where access is on or something is limited. Raises SettingsError."""
    if not (settings.guarded or settings.limited or settings.budgeted):
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
    """What is left to be done later. Raises SettingsError."""
    if settings.jobs == "off":
        return None
    from apps.service.jobs import Jobs

    return Jobs(settings, log, metrics)


def generation_of(settings: Settings, log, metrics: Metrics, gate=None):
    """The language model. Raises SettingsError."""
    if not settings.generates:
        return None
    from apps.service.generation import generator_of

    return generator_of(settings, log, metrics, gate and gate.counts)


def feedback_of(app: str, settings: Settings, log, metrics: Metrics, model: Model):
    """The log of predictions, and what is told of it. Raises SettingsError."""
    if settings.prediction_log == "off":
        return None
    from apps.service.feedback import feedback_of

    return feedback_of(app, settings, log, metrics, model)


def explainer_of(settings: Settings, log, metrics: Metrics):
    """What explains predictions."""
    if not settings.explains:
        return None
    from apps.service.explanations import Explainer

    return Explainer(settings, log, metrics)
