"""Both full servers, started at the same time with settings of a test's own.

With SERVELAB_WORKERS=2 each has two workers, and everything has to hold all the same."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil
from classroom.servers import Server

FULL = ("fastapi", "flask")
WORKERS = int(os.environ.get("SERVELAB_WORKERS", "1"))
ONE = {"WORKERS": "1"}  # for a test of what each process has or finds out for itself


@contextmanager
def pair(env: Mapping[str, str]) -> Iterator[dict[str, Server]]:
    """The two by name, FastAPI first. Without metrics, unless `env` says where."""
    env = {"LOG_FORMAT": "json", "METRICS_PORT": "0", "WORKERS": str(WORKERS), **env}
    servers = {name: Server(name, env=env) for name in FULL}
    try:
        for server in servers.values():
            server.wait()
            if "LOG_LEVEL" not in env:
                await_workers(server, int(env["WORKERS"]))
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def await_workers(server: Server, count: int) -> None:
    """Until each has its model, or has said why not. The first of them answers health before."""
    while server.alive and server.log.read_bytes().count(b'"event":"model ') < count:
        time.sleep(0.05)


def workers(server: Server) -> list[psutil.Process]:
    """Those that answer: not the tracker that Python's multiprocessing starts beside them."""
    found = []
    for child in server.process.children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "multiprocessing.spawn" in "".join(child.cmdline()):
                found.append(child)
    return found


def each_worker(server: Server) -> Iterator[None]:
    """A turn for each, in which it answers alone: the others are suspended. On a busy machine one of them may
    take every connection of a dozen, and what the others know goes untold."""
    found = workers(server)
    if len(found) < 2:
        yield
        return
    for turn in found:
        others = [worker for worker in found if worker != turn]
        try:
            for worker in others:
                worker.suspend()
            yield
        finally:
            for worker in others:
                worker.resume()
