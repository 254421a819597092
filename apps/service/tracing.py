"""Traces: where the time of one request went. W3C trace context in and out, spans to an OTLP collector.

Without OTEL_EXPORTER_OTLP_ENDPOINT nothing of OpenTelemetry is imported: a request then has a trace id, its
caller's or a new one, and no spans. https://www.w3.org/TR/trace-context/"""

import os
import re
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from random import getrandbits

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
TRACEPARENT = re.compile(
    r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII
).fullmatch
EXPORT_SECONDS = 2
LOW_64_BITS = (1 << 64) - 1
NOTHING = nullcontext()


class Tracing:
    """Begins traces. `app` names the service, unless OTEL_SERVICE_NAME does."""

    def __init__(self, settings, app: str) -> None:
        self._provider = provider_of(app) if any(os.environ.get(name) for name in ENDPOINTS) else None
        if self._provider:
            self._tracer = self._provider.get_tracer("servelab")
            self._keep_below = bound_of(os.environ)

    def begin(self, traceparent: str, method: str, route: str) -> "Trace":
        """The trace of a request: its caller's, if what the caller sent is well-formed, or a new one."""
        found = TRACEPARENT(traceparent) if traceparent else None
        if self._provider is None:
            return Trace(found[1], found[3]) if found else Trace(f"{getrandbits(128):032x}", "00")
        if not found:
            trace_id = getrandbits(128)
            if trace_id & LOW_64_BITS >= self._keep_below:  # the sampler would drop it, in 12 µs
                return Trace(f"{trace_id:032x}", "00")
            self._provider.id_generator.next.trace_id = trace_id
        http = {"http.request.method": method, "http.route": route}
        return Recorded(self._tracer, traceparent if found else "", f"{method} {route}", "SERVER", http)

    def consume(self, traceparent: str) -> "Trace":
        """The trace of a message from the queue: that of the request which brought the job.
        https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/"""
        found = TRACEPARENT(traceparent)
        if self._provider is None or not found:
            return Trace(found[1], found[3]) if found else Trace(f"{getrandbits(128):032x}", "00")
        told = {"messaging.system": "celery", "messaging.operation.name": "process"}
        return Recorded(self._tracer, traceparent, "process chunk", "CONSUMER", told)

    def close(self) -> None:
        """Send what is left, for a short while."""
        if self._provider is not None:
            self._provider.force_flush(EXPORT_SECONDS * 1000)
            self._provider.shutdown()


class Trace:
    """A request's place in a trace, of which nothing is recorded here."""

    __slots__ = ("_flags", "trace_id")

    def __init__(self, trace_id: str, flags: str) -> None:
        self.trace_id, self._flags = trace_id, flags

    def header(self) -> str:
        """For the answer: the trace and this request's place in it."""
        return f"00-{self.trace_id}-{getrandbits(64):016x}-{self._flags}"

    def span(self, name: str):
        """A part of the request, as a context manager."""
        return NOTHING

    def received(self, carrier: Mapping) -> None:
        """The request is there. `carrier`: its ASGI scope or its WSGI environ. Measured in timing.py only."""

    def lap(self, phase: str, ago: float = 0) -> None:
        """A phase has ended, `ago` seconds before now. Measured in timing.py only."""

    def end(self, status: int) -> None:
        pass


UNTRACED = Trace("", "00")  # where a request has phases that nobody wants told apart


class Recorded(Trace):
    """A trace with spans. Attributes follow the semantic conventions; none holds anything sent."""

    __slots__ = ("_context", "_span", "_tracer")

    def __init__(self, tracer, traceparent: str, name: str, kind: str, attributes: dict) -> None:
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
        self._tracer = tracer
        self._span = tracer.start_span(name, parent, SpanKind[kind], attributes)
        self._context = set_span_in_context(self._span)
        found = self._span.get_span_context()
        super().__init__(format(found.trace_id, "032x"), format(found.trace_flags, "02x"))

    def header(self) -> str:
        return f"00-{self.trace_id}-{format(self._span.get_span_context().span_id, '016x')}-{self._flags}"

    def span(self, name: str):
        return self._tracer.start_as_current_span(  # what an exception says may hold what was sent
            name, self._context, record_exception=False, set_status_on_exception=False
        )

    def end(self, status: int) -> None:
        if self._span.kind.name == "SERVER":
            self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def bound_of(environ: Mapping[str, str]) -> int:
    """A trace that begins here is kept if the low 64 bits of its id are below this, as OpenTelemetry's
    sampler by ratio has it. What another sampler does not want, that one drops itself.
    https://opentelemetry.io/docs/specs/otel/trace/sdk/#traceidratiobased"""
    if not environ.get("OTEL_TRACES_SAMPLER", "").endswith("traceidratio"):
        return LOW_64_BITS + 1
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

    try:
        return TraceIdRatioBased.get_bound_for_rate(float(environ.get("OTEL_TRACES_SAMPLER_ARG", "1")))
    except ValueError:
        return LOW_64_BITS + 1  # OpenTelemetry says what is wrong with it, and keeps all


def provider_of(app: str):
    """OpenTelemetry's own provider: batches in a thread of its own, a queue with an end (spans beyond it are
    dropped), short timeouts. A request never waits for a collector."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import RandomIdGenerator, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class IdGenerator(RandomIdGenerator):
        """Gives the trace id that the sampling of this thread's request went by, once."""

        next = threading.local()

        def generate_trace_id(self) -> int:
            return vars(self.next).pop("trace_id", None) or super().generate_trace_id()

    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", str(EXPORT_SECONDS))
    name = os.environ.get("OTEL_SERVICE_NAME", f"servelab-{app}")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}), id_generator=IdGenerator())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
