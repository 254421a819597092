"""How many tokens a caller and a tenant may use: so many from one turn of the clock to the next.

A prompt's tokens are spent before it is read, if there is room for them. Nobody knows how long its answer
will be: those tokens are spent when they have been generated, room or not. So what was let in and has not
ended, running or waiting, may go over the limit, and the next prompt waits."""

from apps.service.access.callers import Caller
from apps.service.access.counting import Counts
from apps.service.access.limits import UNITS, remaining, seconds_of
from apps.service.access.policies import PERIOD, Asked, Policy, Standing
from apps.service.problems import Problem


class Budget:
    """One for all requests of a process."""

    def __init__(self, settings, counts: Counts, metrics) -> None:
        self._counts, self._metrics = counts, metrics
        self._of_caller = policies("tokens", settings.generation_caller_tokens)
        self._of_tenant = policies("tenant-tokens", settings.generation_tenant_tokens)
        self._policies = self._of_caller + self._of_tenant
        self._written = ", ".join(map(as_field, self._policies))

    def enter(self, context, tokens: int) -> list[Asked]:
        """Spend a prompt's tokens; returns for whom, as `spend` takes it. Raises Problem: 429 where there is
        no room for them now, 400 where there never will be."""
        smallest = min(policy.limit for policy in self._policies)
        if tokens > smallest:
            raise Problem(
                "prompt-too-long",
                f"expected a prompt of at most {smallest} tokens, which is all that there is for a while; "
                f"got {tokens}",
            )
        asked = self._asked(context.caller)
        taken, _ = self._counts.take(asked, tokens)
        left = ", ".join(map(told, self._policies, taken.standings))
        context.rate_limit = together(context.rate_limit, self._written, left)
        if not taken.inside:
            raise self._refused(tokens, taken.standings)
        return asked

    def spend(self, asked: list[Asked], tokens: int) -> None:
        """What was generated; less than 0 gives back what was spent and not used."""
        if tokens:
            self._counts.spend(asked, tokens)

    def left(self, caller: Caller) -> list[dict]:
        """What a caller and its tenant have left, for people."""
        standings = self._counts.look(self._asked(caller)).standings
        return [
            {
                "of": "caller" if policy in self._of_caller else "tenant",
                "limit": policy.limit,
                "window_seconds": int(policy.seconds),
                "remaining": remaining(policy, standing),
                "reset_seconds": seconds_of(standing),
            }
            for policy, standing in zip(self._policies, standings, strict=True)
        ]

    def _asked(self, caller: Caller) -> list[Asked]:
        callers = [(policy, caller.subject) for policy in self._of_caller]
        return callers + [(policy, caller.tenant) for policy in self._of_tenant]

    def _refused(self, tokens: int, standings: list[Standing]) -> Problem:
        """Tells of the limit that lasts longest: whoever waits that long is served."""
        full = [
            (policy, standing)
            for policy, standing in zip(self._policies, standings, strict=True)
            if standing[0] + tokens > policy.limit
        ]
        policy, standing = max(full, key=lambda one: one[1][1])
        self._metrics.limited("generate", "tokens")
        whose = "caller" if policy in self._of_caller else "tenant"
        unit, seconds = policy.name.rpartition("-")[2], seconds_of(standing)
        return Problem(
            "too-many-requests",
            f"expected at most {policy.limit} tokens of one {whose} in one {unit}: "
            f"{remaining(policy, standing)} are left, and the prompt has {tokens}. "
            f"The next {unit} begins in {seconds} seconds",
            [("Retry-After", str(seconds))],
        )


def policies(name: str, quotas: str) -> list[Policy]:
    """Of a setting such as "20000/minute,200000/day"."""
    found = []
    for quota in filter(None, quotas.split(",")):
        limit, _, unit = quota.partition("/")
        found.append(Policy(f"{name}-{unit}", PERIOD, int(limit), UNITS[unit]))
    return found


def as_field(policy: Policy) -> str:
    """In RateLimit-Policy."""
    return f'"{policy.name}";q={policy.limit};w={policy.seconds};qu="tokens"'


def told(policy: Policy, standing: Standing) -> str:
    """In RateLimit."""
    return f'"{policy.name}";r={remaining(policy, standing)};t={seconds_of(standing)}'


def together(fields, written: str, left: str) -> list[tuple[str, str]]:
    """The fields of the limits that were told already, and these."""
    before = dict(fields)
    return [
        ("RateLimit-Policy", ", ".join(filter(None, (before.get("RateLimit-Policy"), written)))),
        ("RateLimit", ", ".join(filter(None, (before.get("RateLimit"), left)))),
    ]
