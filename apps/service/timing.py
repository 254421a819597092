"""Where the time of one request went, in its answer's header Server-Timing, where SERVER_TIMING is set.

Browsers show it beside the request, and the page draws it. https://www.w3.org/TR/server-timing/

It is off by default: a stranger who sees how long each part took can tell what went on inside, such as
whether an answer was computed or remembered."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from apps.service.tracing import Trace

ARRIVAL = "servelab.arrival"  # in a scope or an environ: when a strict server had the first byte and the last
PHASES = {  # in their order; an answer has those that its request went through
    "receive": "until the whole request was there",
    "queue": "until the event loop or a thread took it up",
    "validate": "reading the JSON and checking the features",
    "wait": "for the model and for its answer to come back",
    "predict": "in the model",
    "encode": "writing the answer as JSON",
}
TOTAL = "from the first byte of the request to the head of the answer"


class Timed(Trace):
    """A trace that also measures the request's phases, one after the other, without a gap."""

    __slots__ = ("_at", "_began", "_phases", "_trace", "end", "header")

    def __init__(self, trace: Trace) -> None:
        self._trace, self.trace_id, self.header, self.end = trace, trace.trace_id, trace.header, trace.end
        self._began = self._at = perf_counter()
        self._phases: dict[str, float] = {}

    def received(self, carrier: Mapping) -> None:
        first, last = carrier.get(ARRIVAL) or (self._began, None)
        self._began = self._at = first
        self.lap("receive", ago=perf_counter() - last if last else 0)
        if last:
            self.lap("queue")

    def lap(self, phase: str, ago: float = 0) -> None:
        end = max(self._at, perf_counter() - ago)
        self._phases[phase] = self._phases.get(phase, 0) + end - self._at
        self._at = end

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        with self._trace.span(name):
            try:
                yield
            finally:
                self.lap(name)

    def timing(self) -> str:
        """The header's value: each phase so far and then the total, in milliseconds."""
        told = [(phase, self._phases[phase], PHASES[phase]) for phase in PHASES if phase in self._phases]
        told.append(("total", perf_counter() - self._began, TOTAL))
        # Rounded down, so that the parts never sum up to more than the total.
        return ", ".join(f'{name};dur={int(s * 1e6) / 1000};desc="{what}"' for name, s, what in told)
