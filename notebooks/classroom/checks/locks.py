"""Locks that count, and callers that come together: exercise 4.2."""

import threading
import time

CALLERS = 8
LOCKS = (type(threading.Lock()), type(threading.RLock()))


class CountingLock:
    """A lock that knows how often it was taken."""

    def __init__(self):
        self.taken, self._lock = 0, threading.Lock()

    def acquire(self, *args, **kwargs):
        self.taken += 1
        return self._lock.acquire(*args, **kwargs)

    def release(self):
        self._lock.release()

    def locked(self):
        return self._lock.locked()

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *_):
        self.release()


def taken(locks: dict[str, CountingLock]) -> int:
    return sum(lock.taken for lock in locks.values())


def call_together(get) -> list:
    """What `get()` gave to each of the callers: a value or the error; fewer than CALLERS if some hang."""
    barrier, got = threading.Barrier(CALLERS), []

    def caller():
        barrier.wait()
        try:
            got.append(get())
        except Exception as error:
            got.append(error)

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return got
