"""Load on a server from a lesson, and how long its answers took:

    from classroom.load import load, plot_latency

    result = load(server, rate=200, seconds=3, body={"features": [5.1, 3.5, 1.4, 0.2]})
    result.p99, result.failed

The generator is `benchmarks.load`, in a process of its own: the kernel's own work would make it late. It is
an open loop: what a stalled server owes to those who came meanwhile is in the figures.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from .processes import ROOT
from .servers import Server

WIDTH = 72


class LoadError(RuntimeError):
    """The load generator could not begin; the message says why and what to do."""


@dataclass(frozen=True)
class LoadResult:
    """Counts, and latencies in milliseconds from when a request was due; None where nothing was answered."""

    offered_rate: float  # requests in a second
    answered_rate: float
    sent: int
    answered: int  # with whatever status
    failed: int  # without an answer; not in the latencies
    late: int  # found every connection busy when due
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p999: float | None
    max: float | None
    generator_lag_p99: float | None  # how late the generator itself was: above a few ms, trust nothing
    statuses: Mapping[str, int] = field(repr=False)
    errors: Mapping[str, int] = field(repr=False)
    histogram: Sequence[tuple[float, int]] = field(repr=False)  # (upper bound in ms, answers), ascending

    @property
    def successes(self) -> int:
        """Answers with a 2xx."""
        return sum(count for status, count in self.statuses.items() if status.startswith("2"))

    def slower_than(self, ms: float) -> int:
        """How many answers took longer, to the width of a histogram's bucket (a quarter)."""
        return sum(count for upper, count in self.histogram if upper > ms)

    def plot(self, name: str = "the server") -> None:
        plot_latency({name: self})


def load(
    server: Server | str,
    *,
    rate: float,
    seconds: float,
    path: str = "/predict",
    body: object = None,
    connections: int = 64,
    timeout: float = 10,
) -> LoadResult:
    """Send `rate` requests a second for `seconds`, whatever has been answered.

    `server` is one that `serve` or `start` gave, and `path` is asked of it, or it is a whole URL. `body` is
    sent as JSON in a POST; without one, each request is a GET. Raises LoadError when nobody listens.
    """
    url = server if isinstance(server, str) else server.url + path
    command = [sys.executable, "-m", "benchmarks.load", url, "--json", "--rate", str(rate)]
    command += ["--seconds", str(seconds), "--connections", str(connections), "--timeout", str(timeout)]
    if body is not None:
        command += ["--body", json.dumps(body)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            event = {"event": "error", "message": "the load generator ended before its result"}
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "progress":
                    _rewrite(f"{event['elapsed']:.0f} of {seconds:g} s: {event['answered']} answered")
        finally:
            process.kill()  # of no effect when it has ended; an interrupted cell leaves none behind
    if event["event"] != "result":
        raise LoadError(event.get("message", "the load generator ended before its result"))
    result = LoadResult(**{part.name: event[part.name] for part in fields(LoadResult)})
    failed = f", {result.failed} failed" if result.failed else ""
    _rewrite(f"{rate:g} requests/s for {seconds:g} s: {result.answered} answered{failed}")
    print()
    return result


def plot_latency(results: Mapping[str, LoadResult], caption: str | None = None) -> None:
    """What share of the answers came within how many milliseconds: a line for each result, by its name."""
    from .plots import figure, markers, palette, show

    drawn, axes = figure("Who has an answer by when", x="ms from when it was due", y="share of answers")
    own, others = (
        {"FastAPI": palette.fastapi, "Flask": palette.flask},
        iter(palette.series[1:4] * len(results)),
    )
    looks = zip(("-", "--", ":", "-.") * len(results), markers * len(results), strict=False)
    for (name, result), (dash, marker) in zip(results.items(), looks, strict=False):
        so_far, shares = 0, []
        for _, count in result.histogram:
            so_far += count
            shares.append(so_far / result.answered)
        times = [upper for upper, _ in result.histogram]
        color = own.pop(name.partition(" ")[0], None) or next(others)
        axes.plot(times, shares, dash, marker=marker, color=color, label=name, markersize=4)
    axes.set(xscale="log", ylim=(0, 1.05))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.axhline(0.99, color=palette.muted, linewidth=0.8)
    axes.annotate("99 %", (1, 0.99), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=9)
    axes.legend(loc="lower right")
    told = "; ".join(
        f"{name}: half within {result.p50:.3g} ms, 99 % within {result.p99:.3g} ms"
        for name, result in results.items()
        if result.answered
    )
    show(drawn, caption or f"{told}.")


def _rewrite(line: str) -> None:
    """In place of the last such line. nbval, like a terminal, keeps only what the last one left."""
    print("\r" + line.ljust(WIDTH), end="", flush=True)
