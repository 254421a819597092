"""A worker's own port: whether it lives, whether it can work, and what it has counted."""

import json
import socket
import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry, make_wsgi_app

from apps.service.exporter import Server
from apps.service.health import Lifecycle
from apps.service.hosts import Hosts


class Probes:
    """GET /health/live, /health/ready, /metrics; and /health, which names the program. `reasons` tells what
    keeps it from working, nothing if it can."""

    def __init__(
        self,
        registry: CollectorRegistry,
        lifecycle: Lifecycle,
        hosts: Hosts,
        reasons: Callable[[], list[str]],
    ) -> None:
        self._metrics, self._lifecycle = make_wsgi_app(registry), lifecycle
        self._hosts, self._reasons = hosts, reasons

    def start(self, host: str, port: int) -> None:
        """Raises OSError where the port is not to be had."""
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        self._server = Server(socket.create_server((host, port), family=family))
        self._server.set_app(self._answer)
        threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()

    def _answer(self, environ: dict, start_response: Callable) -> list[bytes]:
        path, host = environ["PATH_INFO"], environ.get("HTTP_HOST", "")
        if host and not self._hosts.allows(host):
            return said(start_response, "400 Bad Request", {"detail": "expected a Host of ALLOWED_HOSTS"})
        if path == "/metrics":
            return self._metrics(environ, start_response)
        if path == "/health/live":
            return said(start_response, "200 OK", {"status": "live"})
        if path not in ("/health/ready", "/health"):
            return said(start_response, "404 Not Found", {"detail": "there is nothing at this path"})
        reasons = ["this worker is shutting down"] if self._lifecycle.draining else self._reasons()
        told = {"app": "worker", "uptime_seconds": self._lifecycle.uptime_seconds}
        if reasons:
            return said(start_response, "503 Service Unavailable", {"detail": "; ".join(reasons), **told})
        return said(start_response, "200 OK", {"status": "ready", **told})


def said(start_response: Callable, status: str, body: dict) -> list[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
