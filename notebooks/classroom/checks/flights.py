"""Threads that ask for the same at the same time: exercise 11.2."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from ..answers import NotYet, named, shown

CALLERS = 8
MOMENT = 0.3  # seconds in which whoever has come to `once` gets as far as it will
PATIENCE = 5  # seconds until whoever is not back will never be


class Slow(dict):
    """A dictionary that holds up whoever looks into it until as many are looking, so that who looks first and
    writes then is not alone; at most a MOMENT, since one may look at a time where there is a lock."""

    def __init__(self, lookers: int = 1) -> None:
        super().__init__()
        self._all_look = threading.Barrier(lookers)

    def _slowly(self, found):
        with suppress(threading.BrokenBarrierError):  # for good, after the first moment
            self._all_look.wait(MOMENT)
        return found

    def __contains__(self, key):
        return self._slowly(super().__contains__(key))

    def get(self, *arguments):
        return self._slowly(super().get(*arguments))


class Callers:
    """Threads that call `once`: each with its own `compute`, of which the first one to be called lasts until
    all have come."""

    def __init__(self, once: Callable, first: Callable) -> None:
        """`first`: what the first `compute` does at its end."""
        self.flights, self.together, self.later = Slow(CALLERS), 0, 0
        self.said: list[object] = []  # in the order of their ends; errors as they were raised
        self._once, self._first = once, first
        self._lock, self._coming = threading.Lock(), 0
        self._all_here, self._all_compute = threading.Event(), threading.Event()
        self._leader, self._landed = None, False

    def run(self) -> "Callers":
        threads = [threading.Thread(target=self._call, daemon=True) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + PATIENCE
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            raise NotYet(
                f"of {CALLERS} threads that asked for the same key, {CALLERS - len(self.said)} wait for "
                "ever; expected that all get on. Who tells them, where it raises and where it does not?"
            )
        return self

    def _call(self) -> None:
        with self._lock:
            self._coming += 1
            if self._coming == CALLERS:
                self._all_here.set()
        try:
            said = self._once(self.flights, "a flower", self._compute)
        except Exception as error:
            said = error
        self.said.append(said)

    def _compute(self):
        with self._lock:
            leads = self._leader is None
            if leads:
                self._leader = threading.current_thread()
            if self._landed:
                self.later += 1
            else:
                self.together += 1
            if self.together == CALLERS:
                self._all_compute.set()
        if not leads:
            return "an answer"
        self._all_here.wait(PATIENCE)
        self._all_compute.wait(MOMENT)
        with self._lock:
            self._landed = True
        return self._first()


def one_computes(once: Callable) -> None:
    for value in ("an answer", None):
        callers = Callers(once, lambda value=value: value).run()
        if callers.together > 1:
            raise NotYet(
                f"{CALLERS} threads asked for the same key at the same time, and {callers.together} computed "
                "while the first was at it; expected 1. What did each of them see in `flights`?"
            )
        if callers.later > CALLERS // 2:
            raise NotYet(
                f"while the first computed, the others waited, and then {callers.later} of them computed all "
                "the same; expected that they take its value. Where is it for them to find?"
            )
        for said in callers.said:
            if isinstance(said, Exception):
                raise NotYet(f"`once` raised {named(said)}, expected {shown(value)}. Which line did that?")
        if wrong := [said for said in callers.said if said not in (value, "an answer")]:
            raise NotYet(
                f"where `compute()` gives {shown(value)}, some got {shown(wrong[0])}. What does `once` "
                "return to those who waited?"
            )


def nobody_else_waits(once: Callable) -> None:
    flights, came = Slow(), threading.Event()

    def compute():
        threading.Thread(
            target=lambda: once(flights, "another flower", lambda: came.set()), daemon=True
        ).start()
        return came.wait(PATIENCE / 2)

    if not once(flights, "a flower", compute):
        raise NotYet(
            "while one computed for its key, a thread with another key had to wait; expected that it "
            "computes at once. What is locked meanwhile?"
        )


def errors_are_ones_own(once: Callable) -> None:
    def fail():
        raise LookupError("of the first")

    callers = Callers(once, fail).run()
    failed = [said for said in callers.said if isinstance(said, Exception)]
    strange = [error for error in failed if not isinstance(error, LookupError)]
    if strange:
        raise NotYet(f"where the first failed, `once` raised {named(strange[0])}. Which line did that?")
    if len(failed) != 1:
        raise NotYet(
            f"the first computation failed, and {len(failed)} of {CALLERS} threads got its error, expected "
            "1. Whose error is it, and what do those do who had waited?"
        )
    if any(said != "an answer" for said in callers.said if said not in failed):
        raise NotYet(
            "the first computation failed, and some of those who had waited got nothing; expected that they "
            "call their own `compute` and return its value. What do they do where `result()` raises?"
        )
    if dict.__len__(callers.flights):
        raise NotYet(
            "after a failure there is something left in `flights`, and the next one would wait for it. Who "
            "takes it out where `compute` raises?"
        )


def what_is_left(once: Callable) -> None:
    flights: dict = {}
    said = [once(flights, "a flower", lambda answer=answer: answer) for answer in ("first", "second")]
    if flights:
        raise NotYet(
            f"when all was done, `flights` had {len(flights)} entry left, expected none. Who takes it out?"
        )
    if said != ["first", "second"]:
        raise NotYet(
            f"two calls, one after the other, gave {shown(said)}, expected what each computed. Is a flight "
            "that has landed kept?"
        )
