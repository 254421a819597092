"""The metrics' own port. With several workers each listens on it, and whichever is asked answers for all."""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, Metric, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from apps.service.hosts import Hosts

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
EVERY_SECONDS = 1.0  # the values of this process go to those of the others
SILENT_SECONDS = 10  # that a client may say, or take, nothing: each holds a thread


class Exporter:
    """Serves a registry over HTTP. `flush` brings it up to date and is called before anybody reads it;
    `hosts` are the names by which it may be asked, any if None."""

    def __init__(self, registry: CollectorRegistry, flush: Callable[[], None], hosts: Hosts | None) -> None:
        self._flush, self._hosts, self._stopped = flush, hosts, threading.Event()
        self._folder = os.environ.get(FOLDER)
        self._registry = registry
        if self._folder:
            self._registry = CollectorRegistry()
            self._registry.register(WorkersCollector(None, self._folder))
        self._app = make_wsgi_app(self._registry)
        self._server: Server | None = None

    def start(self, host: str, port: int, listener: socket.socket | None = None) -> None:
        """`listener`: one that listens there already, for several processes. Raises OSError where the port is
        not to be had; another worker that has it tells this one's values too."""
        if self._folder:
            threading.Thread(target=self._keep_current, name="metrics values", daemon=True).start()
        if listener is None:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
            shared = bool(self._folder) and hasattr(socket, "SO_REUSEPORT")
            listener = socket.create_server((host, port), family=family, reuse_port=shared)
        self._server = Server(listener)
        self._server.set_app(self._answer)
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._flush()

    def _answer(self, environ: dict, start_response: Callable):
        host = environ.get("HTTP_HOST", "")
        if host and self._hosts is not None and not self._hosts.allows(host):
            start_response("400 Bad Request", [("Content-Type", "text/plain")])
            return [b"expected a Host by which this server may be called (ALLOWED_HOSTS)\n"]
        self._flush()
        if self._folder and os.name == "posix":  # elsewhere one may not ask whether a process lives
            forget_dead_workers(Path(self._folder))
        return self._app(environ, start_response)

    def _keep_current(self) -> None:
        while not self._stopped.wait(EVERY_SECONDS):
            self._flush()


class WorkersCollector(MultiProcessCollector):
    """What all workers counted. A worker's file is empty for a moment when it is made, and for ever where the
    worker was killed in that moment: there the library fails, and nothing would be shown."""

    def collect(self) -> Iterable[Metric]:
        files = []
        for path in Path(self._path).glob("*.db"):
            with suppress(FileNotFoundError):  # a gauge of a worker that has ended
                if path.stat().st_size:
                    files.append(str(path))
        return self.merge(files)


class Server(ThreadingMixIn, WSGIServer):
    """On a socket that other processes may accept from too."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        listener.setblocking(False)  # another may have been faster
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, tuple]:
        connection, address = super().get_request()
        connection.setblocking(True)  # which it has from its listener on some systems
        return connection, address

    def handle_error(self, request: socket.socket, client_address: tuple) -> None:
        """A client that leaves, or says nothing, is no fault of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(WSGIRequestHandler):
    """Logs nothing."""

    timeout = SILENT_SECONDS

    def log_message(self, *_) -> None:
        pass


def forget_dead_workers(folder: Path) -> None:
    """Gauges of a worker that was killed: what it was doing it does no more. Its counters stay."""
    for path in folder.glob("gauge_live*.db"):
        pid = int(path.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            with suppress(OSError):
                mark_process_dead(pid, str(folder))
        except OSError:
            continue
