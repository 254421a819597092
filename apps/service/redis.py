"""Redis, as this process asks it: it answers within moments, or is not asked.

A Redis that is down, silent, or refuses to write costs nobody an answer. After one failure no request asks it
any more, whatever for, and a thread looks every few seconds whether it is back. The pattern is known as
circuit breaker (Nygard, Release It!, 2007)."""

import threading
from collections.abc import Callable
from typing import NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 0.05  # to connect, and to answer; redis-py's own are 4.5 s for a refusal, 59 s for silence
PAUSE_SECONDS = 3.0  # between one look at a Redis that is down and the next
FAILURES = (redis.RedisError, OSError)
PROBE = "servelab:probe"


class User(NamedTuple):
    """Who asks Redis, and what the log says of it while Redis is there and while it is not."""

    there: str
    away: str
    told: Callable[[bool], None]


class Redis:
    """One for a process, so that what one of its users finds out spares the others the wait."""

    def __init__(self, url: str, log, timeout: float = TIMEOUT_SECONDS) -> None:
        """`url` as the settings take it, without options: they would win over ours. `timeout`: seconds to
        connect, and to answer. Redis is not asked before `start`."""
        timeouts = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        self.client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **timeouts)
        self.timeout = timeout
        self.answers = False  # whether to ask it
        self._log = log
        self._users: list[User] = []
        self._lock = threading.Lock()
        self._looked = False
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def used(self, there: str, away: str, told: Callable[[bool], None]) -> None:
        """Somebody asks it, and wants to be told when it comes and goes. Before `start`."""
        self._users.append(User(there, away, told))

    def start(self) -> None:
        """Look whether it answers, and go on looking."""
        if self._thread is not None:
            return
        for user in self._users:
            user.told(False)
        self._look()
        self._thread = threading.Thread(target=self._watch, name="redis", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._ending.set()
            self._thread.join(PAUSE_SECONDS)
            self._thread = None

    def lost(self, error: Exception) -> None:
        """It has failed somebody: nobody asks it before it is found again."""
        with self._lock:
            first = self.answers or not self._looked
            self.answers, self._looked = False, True
        if first:
            # Connections that may be dead would each cost one more failure.
            self.client.connection_pool.disconnect(inuse_connections=False)
            self._log.warning(
                f"Redis does not answer: {', '.join(user.away for user in self._users)}",
                error=type(error).__name__,
            )
            for user in self._users:
                user.told(False)

    def _look(self) -> None:
        """It is there if it takes a write."""
        try:
            self.client.set(PROBE, "", px=1000)
        except Exception as error:  # what is no Redis may say anything
            self.lost(error)
            return
        self.answers = self._looked = True
        self._log.info(f"Redis answers: {', '.join(user.there for user in self._users)}")
        for user in self._users:
            user.told(True)

    def _watch(self) -> None:
        while not self._ending.wait(PAUSE_SECONDS):
            if not self.answers:
                self._look()
