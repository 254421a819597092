"""What a limit says, and what has been counted against it."""

from typing import NamedTuple

WINDOW = "window"  # so many in any span of so many seconds
PERIOD = "period"  # so many from one turn of the clock to the next: of a minute, an hour or a day, in UTC
SLOT = "slot"  # so many at a time


class Policy(NamedTuple):
    name: str  # as clients see it
    kind: str
    limit: int
    seconds: float = 0  # of a window or a period

    @property
    def is_slot(self) -> bool:
        return self.kind == SLOT


Asked = tuple[Policy, str]  # and whose count: a caller's, a tenant's
# How many are counted, and in how many seconds it will be one less; 0 where nothing is, or nobody knows.
Standing = tuple[int, float]  # of a period: in how many seconds it is over


class Taken(NamedTuple):
    inside: bool  # whether there was room in all
    standings: list[Standing]  # in the order asked; with this one, where there was room
