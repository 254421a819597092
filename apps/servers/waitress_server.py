"""waitress for the Flask server, on strict connections (waitress_channel.py): a request to stop drains first
and ends with exit code 0.

waitress reads a request whole before a thread sees it, so a slow client never holds one."""

import ctypes
import logging
import signal
import threading
import time
from collections import deque
from contextlib import suppress

from waitress import wasyncore
from waitress.server import create_server

from apps.frameworks.wsgi import SPARE_THREADS
from apps.servers import workers
from apps.servers.http_parser import FRAMING_ALLOWED
from apps.servers.waitress_channel import SEND_BYTES, strict

SWEEP_SECONDS = 0.5
CONNECTIONS = 16384  # at most; fewer where the system allows fewer open files
M_ARENA_MAX = -8  # from malloc.h
NO_LIMIT = 1 << 62  # our own limits are the ones that count


def run(create_app, service) -> None:
    """Listen, create the app, serve until told to stop. Ends the process with one line if it cannot begin."""
    settings = service.settings
    share_free_memory()
    listener = workers.listen(service)
    app = create_app(service)
    service.requests.check_access()
    server = create_server(
        app,
        _dispatcher=Dispatcher(
            threads=settings.max_in_flight + SPARE_THREADS + settings.streams,
        ),
        sockets=[listener],
        ident=None,
        backlog=workers.BACKLOG,
        connection_limit=connection_limit(),
        channel_timeout=NO_LIMIT,
        clear_untrusted_proxy_headers=False,  # TRUSTED_PROXIES says whom to believe
        inbuf_overflow=settings.max_body_bytes + FRAMING_ALLOWED,
        send_bytes=SEND_BYTES,
    )
    server.channel_class = strict(service.requests)
    server.handle_accept = accept_all(server)
    Loop(server, service).run()


def share_free_memory() -> None:
    """glibc gives several threads a heap each, with free memory that no other can use: after large uploads,
    hundreds of MB. One for all costs nothing, since they take turns anyway (mallopt(3))."""
    with suppress(AttributeError, OSError, TypeError):  # another C library; Windows
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def connection_limit() -> int:
    """As many connections as there may be open files, less some for everything else."""
    try:
        import resource
    except ImportError:
        return 480  # Windows: its select takes 512 sockets
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return min(CONNECTIONS, max(soft - 128, 64))


def accept_all(server):
    """waitress accepts one connection for each look at all of them: in a flood, the last would wait long."""
    accept_one = server.handle_accept

    def accept() -> None:
        count = -1
        while count < len(server._map) < server.adj.connection_limit:
            count = len(server._map)
            accept_one()

    return accept


class Dispatcher:
    """Hands tasks to threads. waitress's own wakes a thread for each task, through a Condition, which is
    Python. Here one is woken at a time, the one that was idle last, and wakes another if it leaves tasks."""

    def __init__(self, threads: int) -> None:
        self._lock = threading.Lock()
        self._tasks: deque = deque()
        self._idle: list[threading.Lock] = []
        self._waking = False
        for number in range(threads):
            threading.Thread(target=self._serve, name=f"waitress-{number}", daemon=True).start()

    def add_task(self, channel) -> None:
        with self._lock:
            self._tasks.append(channel)
            self._wake()

    def _wake(self) -> None:
        if self._idle and not self._waking:
            self._waking = True
            self._idle.pop().release()

    def _take(self, asleep: threading.Lock):
        while True:
            with self._lock:
                if self._tasks:
                    channel = self._tasks.popleft()
                    if self._tasks:
                        self._wake()
                    return channel
                self._idle.append(asleep)
            asleep.acquire()
            self._waking = False

    def _serve(self) -> None:
        asleep = threading.Lock()
        asleep.acquire()
        while True:
            channel = self._take(asleep)
            try:
                channel.service()
            except BaseException:  # the thread has others to serve
                logging.getLogger("waitress").exception("a thread failed at a request")
            del channel  # until the next it would hold what this one was sent


class Loop:
    """waitress's main loop, which also cuts off clients that stall, and ends as it is asked to."""

    def __init__(self, server, service) -> None:
        self._server, self._service = server, service
        self._stop_at: float | None = None
        self._at_once = False
        self._next_sweep = 0.0
        for number in workers.SIGNALS:
            signal.signal(number, self._stop)

    def _stop(self, number: int, _) -> None:
        if workers.is_for_supervisor(number):
            return
        if self._stop_at is None:
            self._service.lifecycle.drain()
            self._stop_at = time.monotonic() + self._service.settings.drain_seconds
        else:
            self._at_once = True
        self._server.pull_trigger()

    def run(self) -> None:
        while self._stop_at is None or (time.monotonic() < self._stop_at and not self._at_once):
            self._turn(SWEEP_SECONDS)
        self._server.draining = True
        self._server.del_channel(self._server._map)  # nobody new
        self._server.socket.close()
        self._idle_until = time.monotonic() + workers.LAST_WORD_SECONDS
        end = time.monotonic() + self._service.settings.grace_seconds
        while self._busy() and not self._at_once and time.monotonic() < end:
            self._turn(0.05)
        self._service.stop()

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(seconds, hasattr(wasyncore.select, "poll"), self._server._map, count=1)
        now = time.perf_counter()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            for channel in list(self._server.active_channels.values()):
                channel.cut_off_if_stalled(now)

    def _busy(self) -> bool:
        """Close what is idle; true while something that was accepted has not been answered. Who sends in the
        moment in which we stop is answered too: idle means for a short while."""
        busy, patient = False, time.monotonic() < self._idle_until
        for channel in list(self._server.active_channels.values()):
            if patient or channel.requests or channel.ahead or channel.total_outbufs_len:
                busy = True
            else:
                channel.handle_close()
        return busy
