"""What a load test says, in plain sentences, none of which says more than its figures do."""

from ui.knee import Search
from ui.load import Load, Test
from ui.prediction import number
from ui.servers import Server

LATE = 10  # ms; a generator that is later than this adds to what it measures
REFUSALS = {
    "503": "503 is how a server says that it takes no more at once.",
    "429": "429: more than one caller may ask in that time. The page Access shows the limit.",
    "401": "401: what this page was signed in with was revoked, or it signed out.",
}
FEW = 1000  # answers, below which the slowest in a thousand is an accident


def reading(test: Test) -> list[str]:
    """The heading, then the sentences; for a test of which every server had a turn."""
    said = [headline(test)]
    for load in test.loads:
        said += shortfall(load)
    if len(test.loads) == 2 and all(load.kept_up for load in test.loads):
        said += comparison(*test.loads)
    elif len(test.loads) == 1 and test.loads[0].kept_up:
        said.append(speed(test.loads[0]))
    return said + lateness(test.loads)


def lateness(loads: list[Load]) -> list[str]:
    """Whether the generator itself was late, and what that means; nothing where it was not."""
    late = max((load.lag for load in loads), default=0)
    if late <= LATE:
        return []
    return [
        f"The load generator itself was up to {late:.0f} ms late: this machine had too little left for it, "
        "and every latency here counts that too. Ask for less, or close what else runs."
    ]


def knees(search: Search) -> list[str]:
    """The heading, then a sentence for each server: up to where it kept up, and what latency did there."""
    borne = {server.name: search.borne(server) for server in search.servers}
    known = [f"{name} bears {rate:,} requests a second" for name, rate in borne.items() if rate]
    said = [f"{', '.join(known)}." if known else "No knee was found: the lowest rate was too much already."]
    for server in search.servers:
        good, bad, name = search.borne(server), search.too_much(server), server.name
        if good is None:
            said.append(f"{name} did not keep up with {search.rates(server)[0][0]:,} requests a second.")
            continue
        words = f"{name} kept up with {good:,} requests a second"
        if bad is None:
            words += ", the most that was tried." if not search.stopped else " so far."
        else:
            words += f", and not with {bad:,}: its knee is between them."
            low, high = (_p95(search, server, rate) for rate in (good, bad))
            if low and high:
                words += f" There, 19 of 20 answers came within {number(round(low, 2))} ms, and then within "
                words += f"{number(round(high, 2))} ms."
        said.append(words)
    return said + lateness([step for step in search.steps if step.turns and step.kept_up])


def steps(search: Search, server: Server) -> dict[str, str]:
    """For each rate that was tried, what was answered and how fast; the best of its tries."""
    found = {}
    for rate, tries in search.rates(server):
        best = max(tries, key=lambda step: (step.kept_up, step.answered_rate))
        p95 = best.percentile("p95")
        time = "none answered" if p95 is None else f"p95 {p95:,.1f} ms"
        found[f"{rate:,}"] = time if best.kept_up else f"{time}; answered {best.answered_rate:,.0f}"
    return found


def in_short(trial: Test | Search) -> list[tuple[str, str, str, str]]:
    """For each server: its name, answers a second, p50 and p99 in milliseconds; of a knee, at the knee."""
    found = []
    for server in trial.servers:
        if isinstance(trial, Search):
            loads = [
                step for step in trial.tried(server) if step.rate == trial.borne(server) and step.kept_up
            ]
        else:
            loads = [load for load in trial.loads if load.server == server]
        if loads:
            p50, p99 = (loads[-1].percentile(name) for name in ("p50", "p99"))
            times = ["none" if ms is None else f"{ms:,.1f}" for ms in (p50, p99)]
            found.append((f"{server.mark} {server.name}", f"{loads[-1].answered_rate:,.0f}", *times))
    return found


def _p95(search: Search, server: Server, rate: int) -> float | None:
    tries = dict(search.rates(server))[rate]
    return max(tries, key=lambda step: (step.kept_up, step.answered_rate)).percentile("p95")


def headline(test: Test) -> str:
    asked = f"{test.rate:,} request{'s' if test.rate > 1 else ''} a second"
    good = [load.server.name for load in test.loads if load.kept_up]
    names = [load.server.name for load in test.loads]
    if good == names:
        return f"{'Both' if len(names) > 1 else names[0]} kept up with {asked}."
    if len(names) == 1:
        return f"{names[0]} did not keep up with {asked}."
    if not good:
        return f"Neither kept up with {asked}."
    other = next(name for name in names if name not in good)
    return f"{good[0]} kept up with {asked}, {other} did not."


def shortfall(load: Load) -> list[str]:
    """What a server did not do of what was asked."""
    name, said = load.server.name, []
    if load.answered_rate < 0.95 * load.rate:
        words = f"{name} was asked {load.rate:,} times a second and answered {load.answered_rate:,.0f} times."
        if load.fell_behind is not None:
            words += (
                f" After {load.fell_behind:.1f} seconds of a turn it was half a second behind, and from "
                "then on every request waited for those before it"
            )
            slowest = load.percentile("max")
            words += f", the last of them {slowest / 1000:.1f} seconds." if slowest else "."
        said.append(words)
    if load.total("failed"):
        kinds = ", ".join(f"{kind}: {count:,}" for kind, count in load.counts("errors").most_common(3))
        due = load.total("answered") + load.total("failed")
        said.append(f"{load.total('failed'):,} of {due:,} requests to {name} got no answer ({kinds}).")
    if load.refused:
        kinds = ", ".join(f"{count:,} with status {status}" for status, count in load.refused.most_common(3))
        why = "".join(f" {REFUSALS[status]}" for status in load.refused if status in REFUSALS)
        said.append(f"{name} refused {load.refused.total():,} requests: {kinds}.{why}")
    return said


def comparison(one: Load, other: Load) -> list[str]:
    """Which of two that kept up was quicker, if that can be said."""
    fast, slow = sorted((one, other), key=lambda load: load.percentile("p50"))
    said = [speed(fast), speed(slow)]
    quick, late = (sorted(turn.percentiles["p50"] for turn in load.turns) for load in (fast, slow))
    if quick[-1] >= late[0]:
        said.append(
            "That is no difference that this test can show: the turns of one server differ as much as the "
            "two servers do."
        )
    else:
        said.append(f"In every turn {fast.server.name} was the quicker one.")
    return said


def speed(load: Load) -> str:
    p50, p99 = load.percentile("p50"), load.percentile("p99")
    return (
        f"Half of {load.server.name}'s answers came within {number(round(p50, 2))} ms of when they were due, "
        f"99 of 100 within {number(round(p99, 2))} ms."
    )


def figures(load: Load) -> dict[str, str]:
    """The figures of one server, by what they are called in the table."""

    def told(name: str) -> str:
        value = load.percentile(name)
        return "none" if value is None else f"{value:,.2f}"

    few = min(turn.answered for turn in load.turns) < FEW
    return {
        "asked a second": f"{load.rate:,}",
        "answered a second": f"{load.answered_rate:,.1f}",
        "p50, ms": told("p50"),
        "p90, ms": told("p90"),
        "p95, ms": told("p95"),
        "p99, ms": told("p99"),
        "p99.9, ms": "too few" if few else told("p999"),
        "slowest, ms": told("max"),
        "answered": f"{load.total('answered'):,}",
        "refused": f"{load.refused.total():,}",
        "not answered": f"{load.total('failed'):,}",
    }
