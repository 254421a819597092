"""How a load test tells of itself: to a person, or to a program."""

import json
import sys


class Show:
    """Tells a person: a line that is rewritten, where there is a terminal, and a result to read."""

    def progress(self, figures: dict) -> None:
        if sys.stderr.isatty():
            print("\r" + sentence(figures).ljust(78), end="", file=sys.stderr, flush=True)

    def result(self, figures: dict) -> None:
        if sys.stderr.isatty():
            print("\r" + " " * 78 + "\r", end="", file=sys.stderr)
        print(f"{figures['offered_rate']:g}/s offered, {figures['answered_rate']:g}/s answered")
        print(f"answered: {figures['answered']}{kinds(figures['statuses'], 'status ')}")
        print(f"failed:   {figures['failed']}{kinds(figures['errors'])}")
        if figures["p50"] is not None:
            print("latency:  " + ", ".join(f"{name} {figures[name]:g} ms" for name in LATENCIES))
        if (figures["generator_lag_p99"] or 0) > 10:
            print(
                f"The generator itself was {figures['generator_lag_p99']:g} ms late (p99): this machine was "
                "too busy for it, and the latencies above count that too. Ask for a lower rate."
            )

    def error(self, message: str) -> None:
        print(f"load: {message}", file=sys.stderr)


class ShowJson(Show):
    """Tells a program: one JSON object a line."""

    def progress(self, figures: dict) -> None:
        self._line("progress", figures)

    def result(self, figures: dict) -> None:
        self._line("result", figures)

    def error(self, message: str) -> None:
        self._line("error", {"message": message})

    def _line(self, event: str, figures: dict) -> None:
        print(json.dumps({"event": event} | figures), flush=True)


LATENCIES = ("p50", "p90", "p95", "p99", "p999", "max")


def sentence(figures: dict) -> str:
    latency = "" if figures["p99"] is None else f", p50 {figures['p50']:g} ms, p99 {figures['p99']:g} ms"
    return (
        f"{figures['elapsed']:.0f} s: {figures['sent']} sent, {figures['answered']} answered, "
        f"{figures['failed']} failed, {figures['rate']:g}/s{latency}"
    )


def kinds(counts: dict[str, int], what: str = "") -> str:
    told = ", ".join(f"{what}{kind}: {number}" for kind, number in counts.items())
    return told and f" ({told})"
