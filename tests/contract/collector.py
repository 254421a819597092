"""A collector of traces as OpenTelemetry's are: it takes what an exporter posts, and keeps every span."""

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.waiting import PATIENCE


class Collector:
    """`spans`: (name of the service, span), in the order of arrival. `received`: the bytes they came in."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[tuple[str, object]] = []
        self.received: list[bytes] = []

    def trace(self, trace_id: str, spans: int) -> list[tuple[str, object]]:
        """The spans of that trace, once there are so many, and all that came while they were awaited."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = [pair for pair in list(self.spans) if pair[1].trace_id.hex() == trace_id]
            if len(found) >= spans:
                return found
            time.sleep(0.02)
        raise AssertionError(f"expected {spans} spans of {trace_id}, got {[span.name for _, span in found]}")


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            collector.received.append(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {item.key: item.value.string_value for item in resource.resource.attributes}
                collector.spans += [
                    (names["service.name"], span) for scope in resource.scope_spans for span in scope.spans
                ]
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
