"""The result cache, in front of the model: what was computed before is not computed again, and what several
ask for at the same time is computed once.

What is kept is the model's outcome for the rows of a request, so that every route profits alike. It follows
from model and rows alone: it ends for room and age, never because it would be wrong."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import NamedTuple

from apps.service.batching import Outcome
from apps.service.cache.answers import Found, Results, Unavailable
from apps.service.cache.keys import wanted
from apps.service.model import Serving

THREADS = 8  # that may ask Redis at a time
HIT = "servelab; hit; ttl={}"  # https://www.rfc-editor.org/rfc/rfc9211
MISS, STORED, JOINED = [f"servelab; fwd=miss{more}" for more in ("", "; stored", "; collapsed")]
AWAY = "servelab; fwd=bypass; detail={}"

Rows = list[list[float]]
Compute = Callable[[Rows, float], Outcome]  # of rows, within so many seconds
ComputeFromLoop = Callable[[Rows, float], Awaitable[Outcome]]


class Landed(NamedTuple):
    """What a flight brings, and what those who joined it are told."""

    outcome: Outcome
    result: str  # in the metrics: hit, miss, collapsed, bypass
    status: str  # in the header Cache-Status


class Flight:
    """One look-up and, if need be, one computation, for all that ask for the same at the same time. It brings
    a Landed, or None where the first of them failed, who alone gets the error."""

    __slots__ = ("_joined", "_landed", "_lock", "_over")

    def __init__(self) -> None:
        self._lock, self._over, self._landed = threading.Lock(), False, None
        self._joined: list[Future] = []

    def join(self) -> Future:
        """What it brings, or has brought. Each has a future of its own, which nobody else can cancel."""
        future = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if not self._over:
                self._joined.append(future)
                return future
        future.set_result(self._landed)
        return future

    def land(self, landed: Landed | None) -> None:
        """The first time counts."""
        with self._lock:
            if self._over:
                return
            self._over, self._landed = True, landed
        for future in self._joined:
            future.set_result(landed)


class Cache:
    """`recall` is for a thread and `recall_from_loop` for the event loop; they do the same. What computing
    raises is raised for the one who computed, and not kept: those who had joined compute for themselves."""

    def __init__(self, results: Results, metrics, redis=None) -> None:
        """`redis`: where the results are; None for this process, for which nobody waits. A request waits for
        Redis, to look and to keep, for its timeout in all."""
        self._results, self._metrics, self._redis = results, metrics, redis
        self._near, self._patience = redis is None, redis.timeout if redis else 0.0
        self._threads = None if self._near else ThreadPoolExecutor(THREADS, "cache")
        self._flights: dict[bytes, Flight] = {}

    def recall(self, context, serving: Serving, rows: Rows, compute: Compute, seconds: float) -> Outcome:
        one = wanted(tenant_of(context), serving, rows)
        if self._near and (found := self._results.get(one)):
            return self._tell(context, hit(found))
        flight, leads = self._board(one.key)
        if not leads:
            began = perf_counter()
            with suppress(TimeoutError):
                if landed := flight.join().result(seconds):
                    return self._tell(context, landed)
            self._tell(context, Landed(None, "miss", MISS))
            return compute(rows, max(0.0, began + seconds - perf_counter()))
        try:
            asked, found, why = perf_counter(), None, None
            try:
                found = self._ask(self._patience, self._results.get, one)
            except Unavailable as error:
                why = error
            left = asked + self._patience - perf_counter()
            if found:
                flight.land(hit(found))
                return self._tell(context, hit(found))
            self._tell(context, missed(why))
            outcome = compute(rows, seconds)
            flight.land(joined(outcome, why))  # first, so that nobody waits for Redis who need not
            with suppress(Unavailable):
                if not why and self._ask(left, self._results.put, one, outcome):
                    context.cache_status = STORED
            return outcome
        finally:
            self._end(one.key, flight)

    async def recall_from_loop(
        self, context, serving: Serving, rows: Rows, compute: ComputeFromLoop, seconds: float
    ) -> Outcome:
        one = wanted(tenant_of(context), serving, rows)
        if self._near and (found := self._results.get(one)):
            return self._tell(context, hit(found))
        flight, leads = self._board(one.key)
        if not leads:
            began = perf_counter()
            with suppress(TimeoutError):
                if landed := await asyncio.wait_for(asyncio.wrap_future(flight.join()), seconds):
                    return self._tell(context, landed)
            self._tell(context, Landed(None, "miss", MISS))
            return await compute(rows, max(0.0, began + seconds - perf_counter()))
        try:
            asked, found, why = perf_counter(), None, None
            if not self._near:  # else nothing has come between the look above and this
                try:
                    found = await self._ask_from_loop(self._patience, self._results.get, one)
                except Unavailable as error:
                    why = error
            left = asked + self._patience - perf_counter()
            if found:
                flight.land(hit(found))
                return self._tell(context, hit(found))
            self._tell(context, missed(why))
            outcome = await compute(rows, seconds)
            flight.land(joined(outcome, why))
            with suppress(Unavailable):
                if not why and await self._ask_from_loop(left, self._results.put, one, outcome):
                    context.cache_status = STORED
            return outcome
        finally:
            self._end(one.key, flight)

    def _board(self, key: bytes) -> tuple[Flight, bool]:
        """The flight that is under way, or a new one, and whether it is."""
        flight = self._flights.get(key)
        if flight is not None:
            return flight, False
        own = Flight()
        flight = self._flights.setdefault(key, own)
        return flight, flight is own

    def _end(self, key: bytes, flight: Flight) -> None:
        del self._flights[key]
        flight.land(None)

    def _ask(self, left: float, call: Callable, *arguments):
        """In another thread, since only that can be left alone when the time is over. Raises Unavailable."""
        if self._near:
            return call(*arguments)
        if not self._redis.answers:
            raise Unavailable("redis-away")
        future = self._threads.submit(call, *arguments)
        try:
            return future.result(left)
        except TimeoutError:
            future.cancel()
            raise Unavailable("redis-slow") from None

    async def _ask_from_loop(self, left: float, call: Callable, *arguments):
        if self._near:
            return call(*arguments)
        if not self._redis.answers:
            raise Unavailable("redis-away")
        future = asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
        try:
            return await asyncio.wait_for(future, left)
        except TimeoutError:
            raise Unavailable("redis-slow") from None

    def _tell(self, context, landed: Landed) -> Outcome:
        self._metrics.cached(landed.result)
        context.cache_status = landed.status
        return landed.outcome


def tenant_of(context) -> str:
    """Whose results they are. Nobody can find out, by the time it takes, what another tenant asked for."""
    return context.caller.tenant if context.caller else ""


def hit(found: Found) -> Landed:
    return Landed(found.outcome, "hit", HIT.format(found.ttl))


def missed(why: Unavailable | None) -> Landed:
    """For the one who has to compute."""
    return Landed(None, "bypass", AWAY.format(why)) if why else Landed(None, "miss", MISS)


def joined(outcome: Outcome, why: Unavailable | None) -> Landed:
    """For those who waited."""
    return Landed(outcome, "bypass", AWAY.format(why)) if why else Landed(outcome, "collapsed", JOINED)
