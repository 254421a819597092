"""A redis-server of a test's own: on this machine only, in memory only, with a password."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
from classroom.servers import free_port

from tests.waiting import PATIENCE

PASSWORD = "not-for-logs"
missing = pytest.mark.skipif(
    not shutil.which("redis-server") or os.name != "posix", reason="needs redis-server, and POSIX signals"
)


class RedisServer:
    """Can be killed, silenced, and started again at the same port."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.address, self.port, self._folder = address, free_port(), folder
        self.url = f"redis://:{PASSWORD}@{address}:{self.port}/0"
        self.client = redis.Redis.from_url(self.url)
        self.start()

    def start(self) -> None:
        where = ["--bind", self.address, "--port", str(self.port), "--dir", str(self._folder)]
        how = ["--save", "", "--appendonly", "no", "--requirepass", PASSWORD, "--loglevel", "warning"]
        self._process = subprocess.Popen(["redis-server", *where, *how], stdout=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < end and self._process.poll() is None
                time.sleep(0.02)

    def kill(self) -> None:
        """As with kill -9."""
        self._process.kill()
        self._process.wait()

    def silence(self) -> None:
        """Connections are taken, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.client.close()
        with suppress(ProcessLookupError):
            self.kill()  # which ends a silent one too


class Mute:
    """Listens where Redis should be, and says nothing. `callers`: how many have come."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self._listener.settimeout(0)
        self._connections: list[socket.socket] = []
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self._listener.getsockname()[1]}/0"

    @property
    def callers(self) -> int:
        with suppress(BlockingIOError):
            while True:
                self._connections.append(self._listener.accept()[0])
        return len(self._connections)

    def stop(self) -> None:
        for connection in (*self._connections, self._listener):
            connection.close()


@contextmanager
def mute() -> Iterator[Mute]:
    found = Mute()
    yield found
    found.stop()
