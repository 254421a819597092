"""Who follows the registry: of all processes that share a store the one that has its lock.

It keeps an agent, which moves the store's pointers, and writes down what versions there are, so that nobody
who asks a server waits for the registry. When it ends, however it ends, another takes its place."""

import json
import os
import threading
import time
from typing import NamedTuple

from apps.service.registry.agent import Agent, AgentError
from model_training.registry.lock import Lock
from model_training.registry.store import replace

LISTING_SECONDS = 10  # that the agent may take to list versions
IDLE_SECONDS = 60  # after which an agent ends that follows nothing
STALE_SECONDS = 30  # a listing that is older says nothing of whether the registry answers
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # before an agent that ended is started again


class Listing(NamedTuple):
    """The versions that the registry had when it was last asked, and whether it answers."""

    versions: list[dict]
    answers: bool


class Follower:
    """One in each process. Any thread may call its methods."""

    def __init__(self, settings, name: str, log) -> None:
        self._settings, self._name, self._log = settings, name, log
        folder = settings.model_store / name
        self._lock, self._file = Lock(folder / "lock"), folder / "versions"
        self._agent: Agent | None = None
        self._turn, self._stopped = threading.Lock(), threading.Event()
        self._pause, self._next = FIRST_PAUSE, 0.0
        self._answers = True  # as was last told
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        with self._turn:
            if self._agent is not None:
                self._agent.close()  # first: whoever waits for it goes on
                self._agent = None
        if self._thread is not None:
            self._thread.join(LISTING_SECONDS)
        self._lock.release()

    def ask(self, do: str, seconds: float, **members) -> object:
        """What the registry says to a command, of which one takes its time. Raises AgentError."""
        return self._awake().ask(do, seconds, **members)

    def listing(self) -> Listing:
        """Asks nobody."""
        try:
            found = json.loads(self._file.read_bytes())
            fresh = time.time() - self._file.stat().st_mtime < STALE_SECONDS
            return Listing(found["versions"], found["answers"] and fresh)
        except (OSError, ValueError, KeyError, TypeError):
            return Listing([], False)

    def refresh(self, seconds: float = LISTING_SECONDS) -> None:
        """Ask the registry for its versions, and write them down. Raises nothing."""
        known = self.listing()
        try:
            found = Listing(self.ask("versions", seconds, name=self._name), True)
        except AgentError as error:
            found = Listing(known.versions, False)
            if self._answers:
                self._log.warning(
                    "the registry does not answer: what is in the store is served", why=error.detail
                )
        if found.answers and not self._answers:
            self._log.info("the registry answers again")
        self._answers = found.answers
        try:
            if found != known:
                replace(self._file, json.dumps(found._asdict()).encode())
            elif found.answers:
                os.utime(self._file)
        except OSError as error:
            self._log.warning("the store cannot be written", error=error.strerror)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._look()
            except Exception as error:
                self._log.error("the follower failed", error=f"{type(error).__name__}: {error}")
            self._stopped.wait(self._settings.registry_seconds)

    def _look(self) -> None:
        """Follow if nobody else does; end an agent that nobody needs any more."""
        agent = self._agent
        if self._lock.take():
            if agent is not None and agent.alive and agent.follows and not agent.stuck:
                self._pause = FIRST_PAUSE
                self.refresh()
            elif time.monotonic() >= self._next:
                if agent is not None and agent.follows:
                    self._log.warning("the agent ended: another is started", exit_code=agent.exit_code)
                self._next = time.monotonic() + self._pause
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
                self._renew(self._settings.model_uri)
        elif agent is not None and (
            not agent.alive or agent.stuck or time.monotonic() - agent.used > IDLE_SECONDS
        ):
            self._renew(None, start=False)

    def _renew(self, uri: str | None, start: bool = True) -> None:
        with self._turn:
            if self._agent is not None:
                self._agent.close()
                self._agent = None
            if start and not self._stopped.is_set():
                self._agent = Agent(self._settings, self._log, uri)

    def _awake(self) -> Agent:
        """The agent of this process, started if there is none. Raises AgentError."""
        with self._turn:
            if self._stopped.is_set():
                raise AgentError("unavailable", "this server is shutting down")
            if self._agent is None or not self._agent.alive:
                if self._agent is not None:
                    self._agent.close()
                uri = self._settings.model_uri if self._lock.held else None
                try:
                    self._agent = Agent(self._settings, self._log, uri)
                except OSError as error:
                    self._agent = None
                    raise AgentError(
                        "unavailable", f"no process could be started ({error.strerror})"
                    ) from None
            return self._agent
