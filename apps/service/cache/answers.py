"""What the places where results are kept have in common."""

from typing import NamedTuple, Protocol

from apps.service.batching import Outcome
from apps.service.cache.keys import Wanted


class Found(NamedTuple):
    outcome: Outcome
    ttl: int  # seconds that it will still be kept


class Unavailable(Exception):
    """The place cannot be asked now; the message is a token for Cache-Status."""


class Results(Protocol):
    """Both methods may raise Unavailable, and nothing else."""

    def get(self, wanted: Wanted) -> Found | None: ...

    def put(self, wanted: Wanted, outcome: Outcome) -> bool:
        """Whether it is kept now."""
