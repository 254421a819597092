"""How much a caller may ask for: so often, so much at a time, and a tenant so much a day.

What is left stands in each answer, as the IETF's draft has it
(https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-11.html)."""

from math import ceil

from apps.service.access.callers import Caller
from apps.service.access.counting import Counts, Slot
from apps.service.access.policies import PERIOD, SLOT, WINDOW, Asked, Policy, Standing
from apps.service.problems import Problem

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
REASONS = {WINDOW: "rate", SLOT: "parallel", PERIOD: "quota"}
EXPECTED = {
    WINDOW: "expected at most {limit} requests in {seconds} seconds",
    SLOT: "expected at most {limit} requests at a time",
    PERIOD: "expected at most {limit} requests of one tenant a day",
}


class Limits:
    def __init__(self, settings, counts: Counts, metrics) -> None:
        self._counts, self._metrics = counts, metrics
        self._rates: dict[str, tuple[int, int]] = {}  # by class, "" for any other: how many, in how long
        for part in filter(None, settings.rate_limits.split(",")):
            class_, _, rate = part.rpartition("=")
            limit, _, unit = rate.partition("/")
            self._rates[class_] = int(limit), UNITS[unit]
        most, quota = settings.max_parallel, settings.daily_quota
        self._parallel = Policy("parallel", SLOT, most) if most else None
        self._day = Policy("day", PERIOD, quota, UNITS["day"]) if quota else None
        self._policies: dict[str, tuple[list[Policy], str]] = {}  # by class, with the field that tells them

    def enter(self, context, caller: Caller, class_: str, wait: bool) -> bool:
        """Count a request. Raises Problem (429) where there is nothing left for it. Returns False where Redis
        has to be asked and `wait` is False."""
        policies, written = self._of(class_)
        if not policies:
            return True
        if not wait and self._counts.shares:
            return False
        taken, slot = self._counts.take(asked_by(caller, policies))
        left = ", ".join(map(told, policies, taken.standings))
        fields = [("RateLimit-Policy", written), ("RateLimit", left)]
        if not taken.inside:
            raise self._refused(class_, policies, taken.standings, fields)
        context.rate_limit, context.slot, context.counted = fields, slot, True
        return True

    def again(self, caller: Caller, class_: str) -> None:
        """Count one more request on a connection that was let in, and that has its slot: a question on a
        WebSocket. Raises Problem (429)."""
        policies = [policy for policy in self._of(class_)[0] if not policy.is_slot]
        taken, _ = self._counts.take(asked_by(caller, policies))
        if not taken.inside:
            raise self._refused(class_, policies, taken.standings, [])

    def leave(self, slot: Slot) -> None:
        """The answer has gone."""
        self._counts.give_back(slot)

    def left(self, caller: Caller) -> dict:
        """What a caller has left, for people."""
        classes = [*sorted(caller.scopes), "account"]
        rates = [policy for class_ in classes for policy in self._of(class_)[0] if policy.kind == WINDOW]
        others = [policy for policy in (self._parallel, self._day) if policy]
        policies = rates + others
        standings = self._counts.look(asked_by(caller, policies)).standings
        shown: dict = {"limits": []}
        for policy, standing in zip(policies, standings, strict=True):
            left = {
                "limit": policy.limit,
                "remaining": remaining(policy, standing),
                "reset_seconds": seconds_of(standing),
            }
            if policy.kind == WINDOW:
                shown["limits"].append({"class": policy.name, **left, "window_seconds": policy.seconds})
            elif policy.kind == PERIOD:
                shown["quota"] = left
            else:
                shown["parallel"] = {"limit": policy.limit}
        return shown

    def _of(self, class_: str) -> tuple[list[Policy], str]:
        """What a class's requests count against, and the field that tells it."""
        if class_ not in self._policies:
            found = []
            if rate := self._rates.get(class_, self._rates.get("")):
                found.append(Policy(class_, WINDOW, *rate))
            if self._parallel:
                found.append(self._parallel)
            if self._day and class_ != "token":  # whose tenant is not known yet
                found.append(self._day)
            self._policies[class_] = found, ", ".join(map(as_field, found))
        return self._policies[class_]

    def _refused(self, class_, policies, standings: list[Standing], fields) -> Problem:
        policy, standing = longest(policies, standings)
        self._metrics.limited(class_, REASONS[policy.kind])
        detail = EXPECTED[policy.kind].format(limit=policy.limit, seconds=policy.seconds)
        retry = ("Retry-After", str(seconds_of(standing)))
        return Problem("too-many-requests", detail, [retry, *fields])


def asked_by(caller: Caller, policies: list[Policy]) -> list[Asked]:
    return [(policy, caller.tenant if policy.kind == PERIOD else caller.subject) for policy in policies]


def as_field(policy: Policy) -> str:
    """In RateLimit-Policy."""
    if policy.is_slot:
        return f'"{policy.name}";q={policy.limit};qu="concurrent-requests"'
    return f'"{policy.name}";q={policy.limit};w={policy.seconds}'


def told(policy: Policy, standing: Standing) -> str:
    """In RateLimit."""
    left = f'"{policy.name}";r={remaining(policy, standing)}'
    return left if policy.is_slot else f"{left};t={seconds_of(standing)}"


def remaining(policy: Policy, standing: Standing) -> int:
    return max(policy.limit - standing[0], 0)


def longest(policies: list[Policy], standings: list[Standing]) -> tuple[Policy, Standing]:
    """Of the limits without room the one that has none for longest: whoever waits that long is served."""
    full = [one for one in zip(policies, standings, strict=True) if remaining(*one) == 0]
    return max(full, key=lambda one: one[1][1])


def seconds_of(standing: Standing) -> int:
    """Whole ones, so that there is more once they have passed: from 1, up to the window."""
    return max(1, ceil(standing[1]))
