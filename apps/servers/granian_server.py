"""granian for the Flask server: HTTP in Rust, faster than waitress, for behind a proxy that buffers.

What its parser refuses it answers itself, in a word or none, and a body that arrives slowly holds a thread.
Told to stop it drains first, as the others do, and then answers what is in flight."""

import multiprocessing
import os
import threading
import time
from contextlib import nullcontext, suppress
from functools import partial
from ipaddress import ip_address
from multiprocessing.connection import Connection

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from apps.frameworks.wsgi import SPARE_THREADS
from apps.servers import workers


def run(create_app, service) -> None:
    """Serve until told to stop. The service lives in the workers; this process only watches them."""
    settings = service.settings
    with workers.listen_once(service) as tried:  # granian listens by itself, and takes no name for an address
        address, port = tried.getsockname()[:2]
    if not ip_address(address).is_loopback:
        service.log.warning(
            "granian without a proxy: clients that send slowly stop all others; put a proxy that buffers "
            "in front, or set SERVER=waitress",
            address=address,
        )
    multiprocessing.set_start_method("spawn", force=True)  # a fork would copy the locks of our threads
    drain, told = multiprocessing.Pipe(duplex=False)  # whose end, when we close ours, every worker sees
    lifeline, ours = multiprocessing.Pipe(duplex=False)
    server = Server(
        told,
        settings.drain_seconds,
        target="",
        address=address,
        port=port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.max_in_flight + SPARE_THREADS,
        backlog=workers.BACKLOG,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=int(settings.request_timeout_seconds * 1000)),
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        workers_kill_timeout=max(settings.grace_seconds, 1),  # 0 would be for ever
    )
    folder = workers.metrics_folder() if settings.workers > 1 else nullcontext()
    with folder, ours:
        server.serve(target_loader=partial(load, create_app, drain, lifeline), wrap_loader=False)


class Server(Granian):
    """Told to stop, it has its workers say so first, and stops them after DRAIN_SECONDS. A second request to
    stop ends it at once."""

    def __init__(self, told: Connection, drain_seconds: float, **options) -> None:
        super().__init__(**options)
        self._told, self._drain_seconds = told, drain_seconds

    def signal_handler_interrupt(self, *_) -> None:
        if self._told.closed:
            for worker in self.wrks:
                worker.kill()
        else:
            self._told.close()
            threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        """Again and again: where a worker ends at the same time, granian's loop forgets that it was told."""
        time.sleep(self._drain_seconds)
        while True:
            super().signal_handler_interrupt()
            time.sleep(workers.LOOK_SECONDS)


def load(create_app, drain: Connection, lifeline: Connection):
    """The app of a worker, which says that it drains as soon as it will be stopped, and ends with its
    supervisor."""
    if os.name == "posix":
        os.setsid()  # Ctrl-C in a terminal is for the supervisor
    app = create_app()
    service = app.extensions["service"]
    service.model.on_loaded = workers.settle
    workers.settle()  # it may be loaded already

    def await_drain() -> None:
        with suppress(EOFError, OSError):
            drain.recv_bytes()
        service.lifecycle.drain()

    threading.Thread(target=await_drain, name="drain", daemon=True).start()
    threading.Thread(target=workers.stop_at_end_of, args=(lifeline,), name="lifeline", daemon=True).start()
    return app
