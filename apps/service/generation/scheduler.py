"""Who generates when: as many at a time as the model has slots, so many wait, and more are refused.

Each slot is a thread, which asks the runtime and waits for nobody who reads."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from apps.service.generation.run import Delta, Finished, Run
from apps.service.generation.runtime import Encoded, Ended, Moderated, Runtime, RuntimeFailed, Sampling
from apps.service.problems import Problem

LAST_SECONDS = 3.0  # in which what is cancelled ends


class Window(Protocol):
    """What a text passes on its way out; it may hold back what could be the beginning of something.
    `moderated`: by what, so far."""

    moderated: Moderated

    def add(self, text: str) -> str:
        """What may go out now. Raises Forbidden."""

    def end(self) -> str:
        """What was held back. Raises Forbidden."""


class Forbidden(Exception):
    """The text may go no further. What was let out before may stay, and `before` may still go out."""

    def __init__(self, rule: str = "", before: str = "") -> None:
        super().__init__(rule)
        self.rule, self.before = rule, before


@dataclass(frozen=True)
class Asked:
    """One request: `choices` texts from one prompt."""

    encoded: Encoded
    sampling: Sampling
    salt: str
    choices: int
    window: Callable[[], Window]
    done: Callable[[Ended], None]  # told of each choice what was computed, however it ended
    keep: Callable[[str, Ended], None] | None = None  # told of a text that is whole


NOTHING = Ended("stop", 0, 0)  # of a choice that was never begun


class Task(NamedTuple):
    """One of the choices."""

    run: Run
    asked: Asked
    choice: int


class Scheduler:
    def __init__(self, runtime: Runtime, settings, metrics, log) -> None:
        self._runtime, self._settings, self._metrics, self._log = runtime, settings, metrics, log
        self._waiting: deque[Task] = deque()
        self._changed = threading.Condition()
        self._running: list[Run] = []  # once for each choice
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"slot-{number}", daemon=True)
            for number in range(runtime.limits.slots)
        ]

    def start(self) -> None:
        self._metrics.follow(len(self._threads), lambda: len(self._running), lambda: len(self._waiting))
        for thread in self._threads:
            thread.start()

    def submit(self, asked: Asked) -> Run:
        """Raises Problem (503) where as many wait as may."""
        settings = self._settings
        run = Run(
            asked.choices,
            settings.generation_first_token_seconds,
            settings.generation_seconds,
            settings.heartbeat_seconds,
        )
        with self._changed:
            if self._closed:
                raise Problem("draining", "this server is stopping")
            free = len(self._threads) - len(self._running)
            if len(self._waiting) + asked.choices > settings.generation_queue + max(free, 0):
                raise Problem("generation-busy", "as many generations as may wait for the model are waiting")
            self._waiting += [Task(run, asked, choice) for choice in range(asked.choices)]
            self._changed.notify(asked.choices)
        self._metrics.changed()
        return run

    def close(self) -> None:
        """What runs or waits ends, with a problem."""
        with self._changed:
            self._closed = True
            waiting, left = [*self._waiting], {task.run for task in self._waiting}.union(self._running)
            self._waiting.clear()
            self._changed.notify_all()
        for run in left:
            run.put(Problem("draining", "this server had to stop before the answer was whole"))
            run.cancel()
        for task in waiting:
            task.asked.done(NOTHING)
        end = time.monotonic() + LAST_SECONDS
        for thread in filter(threading.Thread.is_alive, self._threads):
            thread.join(max(end - time.monotonic(), 0))

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                task = self._waiting.popleft()
                gone = task.run.cancelled
                if not gone:
                    self._running.append(task.run)
            self._metrics.changed()
            if gone:
                task.asked.done(NOTHING)
                continue
            try:
                self._generate(task)
            finally:
                with self._changed:
                    self._running.remove(task.run)
                self._metrics.changed()

    def _generate(self, task: Task) -> None:
        run, asked, choice = task.run, task.asked, task.choice
        window, computed, sent = asked.window(), 0, []
        run.times.begun = run.times.begun or time.monotonic()

        def send(text: str) -> None:
            sent.append(text)
            run.put(Delta(choice, text))

        def emit(text: str, tokens: int) -> bool:
            nonlocal computed
            computed += tokens
            if tokens and not run.times.first:
                run.times.first = time.monotonic()
            if text and (text := window.add(text)):
                send(text)
            return run.cancelled

        sampling = asked.sampling
        if sampling.seed is not None and choice:
            sampling = replace(sampling, seed=sampling.seed + choice)
        try:
            ended = self._runtime.generate(asked.encoded, sampling, asked.salt, emit)
            if text := window.end():
                send(text)
            ended = replace(ended, moderated=window.moderated)
            how = ("timeout" if run.late else "cancelled") if run.cancelled else ended.reason
        except Forbidden as error:
            if error.before:
                send(error.before)
            prompt = asked.encoded.tokens
            ended = Ended("content_filter", prompt, computed, moderated=window.moderated)
            how = ended.reason
        except Exception as error:
            ended, how = None, "failed"
            known = isinstance(error, RuntimeFailed)
            self._log.error(
                "a generation has failed", **{"error": str(error)} if known else {"exc_info": error}
            )
        told = ended or Ended("stop", asked.encoded.tokens if computed else 0, computed)
        self._metrics.ended(run, told, how)
        asked.done(told)
        if asked.keep is not None and how in ("stop", "length"):
            asked.keep("".join(sent), told)
        run.put(
            Problem("generation-failed", "the model has failed") if ended is None else Finished(choice, ended)
        )
