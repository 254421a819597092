"""A kubelet on paper: what three probes do to a server that is slow to start, hangs, or has lost its model.
Exercise 12.3. Nothing is started, and no time passes."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..answers import NotTried, NotYet, shown

KINDS = ("startup", "liveness", "readiness")
NUMBERS = ("periodSeconds", "failureThreshold")
PATHS = ("/health", "/health/live", "/health/ready")
HOUR = 3600
Answer = Callable[[str, int, int], int | None]  # path, age of the process, time → status; None: no answer


def probes_of(probes: object) -> dict[str, dict]:
    """As the learner wrote them, complete. Raises NotTried where nothing was filled in."""
    if not isinstance(probes, dict) or set(probes) != set(KINDS):
        raise NotYet(f"`probes` is {shown(probes)}, expected {', '.join(KINDS)}. Which one is missing?")
    values = [value for probe in probes.values() if isinstance(probe, dict) for value in probe.values()]
    if values and all(value is ... for value in values):
        raise NotTried
    for kind, probe in probes.items():
        if not isinstance(probe, dict):
            raise NotYet(f"{kind} is {shown(probe)}, expected a dictionary. What has it for keys?")
        if probe.get("path", ...) not in PATHS:
            raise NotYet(
                f"{kind} asks {shown(probe.get('path', ...))}, where the server gives 404; expected one of "
                f"{', '.join(PATHS)}. Which questions does it answer?"
            )
        for name in NUMBERS:
            number = probe.get(name, ...)
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise NotYet(
                    f"{kind} has {shown(number)} for {name}, expected a whole number from 1 on. How often is "
                    "it asked, and after how many times no is something done?"
                )
    return probes


@dataclass
class Seen:
    restarts: list[int] = field(default_factory=list)  # when
    sent: list[bool] = field(default_factory=list)  # for each second, whether it is sent requests


def watch(probes: dict[str, dict], answer: Answer, seconds: int) -> Seen:
    """What becomes of one server in so many seconds. Each probe is asked when its period is over, first at
    the start; readiness and liveness once startup has said yes."""
    seen, born, started, ready, noes = Seen(), 0, False, False, dict.fromkeys(KINDS, 0)
    for now in range(seconds):
        for kind in KINDS if started else ("startup",):
            probe, age = probes[kind], now - born
            if age % probe["periodSeconds"]:
                continue
            yes = answer(probe["path"], age, now) == 200
            noes[kind] = 0 if yes else noes[kind] + 1
            ready = ready or yes if kind == "readiness" else ready
            started = started or (kind == "startup" and yes)
            if noes[kind] < probe["failureThreshold"]:
                continue
            if kind == "readiness":
                ready = False
            elif kind == "liveness" or not started:
                seen.restarts.append(now)
                born, started, ready, noes = now + 1, False, False, dict.fromkeys(KINDS, 0)
                break
        seen.sent.append(ready)
    return seen


def server(
    loads: float = 20, hangs: tuple[float, float] = (0, 0), without_model: tuple[float, float] = (0, 0)
) -> Answer:
    """It listens when it has been loading for so long. While it hangs nothing is answered, and without its
    model it is not ready."""

    def answer(path: str, age: int, now: int) -> int | None:
        if age < loads or hangs[0] <= now < hangs[1]:
            return None
        missing = without_model[0] <= now < without_model[1]
        return 503 if missing and path != "/health/live" else 200

    return answer


def moments(probe: dict) -> range:
    """Seconds at which something may happen, so that it comes at every distance from when the probe asks."""
    return range(200, 200 + min(probe["periodSeconds"], 100))


def survives_its_start(probes: dict[str, dict]) -> None:
    seen = watch(probes, server(loads=90), 600)
    if seen.restarts:
        raise NotYet(
            f"a server that loads for 90 seconds is started anew after {seen.restarts[0] + 1}, and so for "
            "ever; expected it to come up. How long does your startup probe wait?"
        )
    seen = watch(probes, server(loads=float("inf")), 900)
    if not seen.restarts or seen.restarts[0] > 300:
        when = f"{seen.restarts[0]} seconds" if seen.restarts else "never in 900 seconds"
        raise NotYet(
            f"a server that never comes up is started anew after {when}, expected at most 300. What is "
            "periodSeconds times failureThreshold?"
        )


def bears_a_missing_model(probes: dict[str, dict]) -> None:
    for what, begins in (("goes while it runs", 200), ("is not there when it starts", 0)):
        seen = watch(probes, server(without_model=(begins, begins + HOUR)), begins + HOUR + 60)
        if seen.restarts:
            raise NotYet(
                f"a model that {what} and comes back after an hour: {len(seen.restarts)} restarts, expected "
                "0. Which of your probes asks about the model, and what is done when it says no?"
            )
    for goes in moments(probes["readiness"]):
        seen = watch(probes, server(without_model=(goes, goes + 100)), goes + 120)
        if seen.sent[goes + 10]:
            raise NotYet(
                "10 seconds after it lost its model the server is still sent requests, expected none. What "
                "does readiness ask, how often, and how many times no does it take?"
            )
        if not seen.sent[goes + 110]:
            raise NotYet(
                "10 seconds after its model is back the server is sent no requests, expected some. How often "
                "is readiness asked?"
            )


def bears_a_moment(probes: dict[str, dict]) -> None:
    for lost in moments(max(probes.values(), key=lambda probe: probe["periodSeconds"])):
        seen = watch(probes, server(hangs=(lost, lost + 1)), lost + 60)
        if seen.restarts:
            raise NotYet("one lost answer restarts it, expected that it changes nothing. How many times no?")
        if not all(seen.sent[100:]):
            raise NotYet(
                "one lost answer takes it out of the balancer, expected that it changes nothing. After how "
                "many times no should readiness act?"
            )


def ends_what_hangs(probes: dict[str, dict]) -> None:
    for begins in moments(probes["liveness"]):
        if watch(probes, server(hangs=(begins, begins + 15)), begins + 120).restarts:
            raise NotYet(
                "a pause of 15 seconds restarts it, expected that it is waited for. How long does it take "
                "from the first no of liveness to the last?"
            )
        seen = watch(probes, server(hangs=(begins, float("inf"))), begins + 400)
        if not seen.restarts or seen.restarts[0] > begins + 60:
            after = f"after {seen.restarts[0] - begins} seconds" if seen.restarts else "never in 400 seconds"
            raise NotYet(
                f"a server that hangs is started anew {after}, expected within 60. What is periodSeconds "
                "times failureThreshold of liveness?"
            )
