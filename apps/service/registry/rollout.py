"""Which model answers a request, and what the challenger does meanwhile.

`off`: the active one answers. `canary`: the challenger answers some callers, always the same ones. `shadow`:
the active one answers everybody, and the challenger is asked the same afterwards, and compared."""

import hashlib
from functools import lru_cache

from apps.service.access.addresses import Addresses
from apps.service.batching import Outcome
from apps.service.model import Serving
from apps.service.registry.counted import ACTIVE, CHALLENGER, RegistryMetrics
from apps.service.registry.following import Following
from apps.service.registry.shadow import Shadow
from model_training.registry.store import Rollout as Wanted

CALLERS = 4096  # whose part is remembered


class Rollout:
    def __init__(self, model: Following, trusted_proxies: str, log, counted: RegistryMetrics) -> None:
        self._model, self._counted = model, counted
        self._addresses = Addresses(trusted_proxies)
        self._canary: Canary | None = None
        self._challenger: Serving | None = None
        self._shadowed: Serving | None = None  # whose answers the challenger is compared with
        self._shadow = Shadow(log, counted)

    def set(self, wanted: Wanted) -> None:
        """From now on. Takes the models that are in place."""
        active, challenger = self._model.active, self._model.challenger
        both = active is not None and challenger is not None and active.serving is not challenger.serving
        self._challenger = challenger.serving if both else None
        canary = shadowed = None
        if both and wanted.mode == "canary":
            canary = Canary(active.serving, challenger.serving, challenger.pointer.digest, wanted.percent)
        if both and wanted.mode == "shadow":
            shadowed = active.serving
            self._shadow.start()
        self._canary, self._shadowed = canary, shadowed

    def serving_for(self, context) -> Serving:
        """The model that answers this request. Raises Problem (503) while there is none."""
        canary = self._canary
        if canary is None:
            return self._model.serving
        caller = context.caller.subject if context.caller is not None else self._address(context)
        return canary.challenger if canary.takes(caller) else canary.active

    def answered(self, context, serving: Serving, rows: list, outcome: Outcome, seconds: float) -> None:
        """A request has been answered by `serving`."""
        self._counted.answered(self._role(serving), seconds)
        challenger = self._challenger
        if serving is self._shadowed and challenger is not None:
            self._shadow.offer(serving, challenger, rows, outcome)

    def failed(self, serving: Serving) -> None:
        """A request got no answer from it: the model failed, or took too long."""
        self._counted.failed(self._role(serving))

    def close(self) -> None:
        self._shadow.close()

    def _role(self, serving: Serving) -> str:
        return CHALLENGER if serving is self._challenger else ACTIVE

    def _address(self, context) -> str:
        return f"address:{self._addresses.of(context.peer, context.header)}"


class Canary:
    """Splits the callers in two: the same for every process, as long as the challenger is the same."""

    def __init__(self, active: Serving, challenger: Serving, digest: str, percent: int) -> None:
        self.active, self.challenger = active, challenger

        @lru_cache(maxsize=CALLERS)
        def takes(caller: str) -> bool:
            """Whether the challenger answers this one."""
            return part(caller, digest) < percent

        self.takes = takes


def part(caller: str, digest: str) -> int:
    """In which of a hundred parts a caller is; with another challenger in another."""
    return int.from_bytes(hashlib.sha256(f"{digest} {caller}".encode()).digest()[:8]) % 100
