"""Both full servers, started at the same time with settings of a test's own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from classroom.servers import Server

FULL = ("fastapi", "flask")


@contextmanager
def pair(env: Mapping[str, str]) -> Iterator[dict[str, Server]]:
    """The two by name, FastAPI first. Without metrics, unless `env` says where."""
    servers = {name: Server(name, env={"LOG_FORMAT": "json", "METRICS_PORT": "0", **env}) for name in FULL}
    try:
        for server in servers.values():
            server.wait()
        yield servers
    finally:
        for server in servers.values():
            server.stop()
