"""Threads that get the processor late, as on a busy machine. Where several share an httpx client, its pool
may close a connection at which one waits for its answer: https://github.com/encode/httpcore/issues/1110."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from httpcore._backends.sync import SyncStream
from httpcore._sync.connection_pool import PoolRequest

SECONDS = {
    (PoolRequest, "wait_for_connection"): 0.002,  # until it uses the connection that it has been given
    (SyncStream, "get_extra_info"): 0.005,  # until it sees whether a connection is to be closed
    (SyncStream, "read"): 0.01,  # until it takes the answer
}


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable], list]]:
    """Calls what it is given a hundred times, in eight such threads; all answers."""
    for (owner, name), seconds in SECONDS.items():
        monkeypatch.setattr(owner, name, late(getattr(owner, name), seconds))
    with ThreadPoolExecutor(8) as threads:
        yield lambda ask: list(threads.map(lambda _: ask(), range(100)))


def late(method: Callable, seconds: float) -> Callable:
    def wait(*arguments, **options):
        time.sleep(seconds)
        return method(*arguments, **options)

    return wait
