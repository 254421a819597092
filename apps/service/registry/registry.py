"""What following a registry is made of, wired."""

from apps.service.model import Serving
from apps.service.registry.counted import RegistryMetrics
from apps.service.registry.follower import Follower
from apps.service.registry.following import Following
from apps.service.registry.rollout import Rollout
from apps.service.registry.versions import Versions
from model_training.registry.store import Rollout as Wanted
from model_training.registry.store import Store


class Registry:
    def __init__(self, settings, log, metrics) -> None:
        """`settings.model_uri` says what is followed."""
        name, alias = parts(settings.model_uri)
        self._settings, self._log, self._name = settings, log, name
        self._store, counted = Store(settings.model_store), RegistryMetrics(metrics.registry)
        metrics.on_flush.append(counted.flush)
        self.model = Following(self._store, name, settings, log, metrics, counted)
        self.rollout = Rollout(self.model, settings.trusted_proxies, log, counted)
        self.follower = Follower(settings, name, log)
        self.versions = Versions(name, alias, self._store, self.model, self.follower, self.wanted, settings)
        self.model.changed, self._told = self._changed, {}

    def start(self) -> None:
        self.follower.start()

    def close(self) -> None:
        self.follower.close()
        self.rollout.close()

    def wanted(self) -> Wanted:
        """What the challenger is to do: what an admin said last, or else the settings."""
        default = Wanted(self._settings.rollout, self._settings.canary_percent)
        try:
            return self._store.rollout(self._name) or default
        except (OSError, ValueError) as error:
            self._log.error("the rollout cannot be read", error=f"{type(error).__name__}: {error}")
            return default

    def served(self) -> list[tuple[str, str, Serving]]:
        """Role, number in the registry and model of those that can be asked now."""
        roles = (("active", self.model.active), ("challenger", self.model.challenger))
        return [(role, found.pointer.version, found.serving) for role, found in roles if found is not None]

    def _changed(self) -> None:
        wanted, challenger = self.wanted(), self.model.challenger
        self.rollout.set(wanted)
        version = challenger.pointer.version if challenger else None
        told = {"mode": wanted.mode, "percent": wanted.percent, "challenger": version}
        if told != self._told:
            self._told = told
            self._log.info("rollout", **told)


def parts(uri: str) -> tuple[str, str | None]:
    """The name in models:/NAME@ALIAS or models:/NAME/VERSION, and the alias, if it is one."""
    name, at, alias = uri.removeprefix("models:/").partition("@")
    return (name, alias) if at else (name.partition("/")[0], None)
