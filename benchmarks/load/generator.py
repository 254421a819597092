"""The open loop itself: sends what is due, whatever has been answered."""

import asyncio
import math
import time
from collections.abc import Callable
from urllib.parse import SplitResult

from benchmarks.load.connection import Connection
from benchmarks.load.figures import Tally
from benchmarks.load.plan import LoadError, Plan

PROGRESS_SECONDS = 0.25
clock = time.perf_counter  # on Windows, time.monotonic (the event loop's clock) knows only 16 ms


class Load:
    """Sends each request of a plan when it is due, over as few connections as will do, into a tally."""

    def __init__(self, plan: Plan, address: tuple) -> None:
        self.plan, self.address, self.request = plan, address, plan.request()
        self.tally = Tally()
        self.free: list[Connection] = []  # the last used is used first: the others may fall asleep
        self.busy: dict[Connection, float] = {}  # and when its request was due
        self.starved = False  # a request is due and every connection busy
        self.ended = asyncio.Event()

    async def run(self, progress: Callable[[], None]) -> None:
        self.started = clock()
        self.times = (self.started + moment for moment in self.plan.due())
        self.next_due = next(self.times)
        self.issue()
        while not self.ended.is_set():
            try:
                await asyncio.wait_for(self.ended.wait(), PROGRESS_SECONDS)
            except TimeoutError:
                self.give_up()
                progress()
        for connection in list(self.free):
            connection.close()
        await asyncio.sleep(0)  # the event loop closes them in its next turn

    @property
    def elapsed(self) -> float:
        return clock() - self.started

    def issue(self) -> None:
        """Send what is due; come back when the next is, or, with no connection left, when one is free."""
        while (now := clock()) >= self.next_due:
            if self.free:
                connection = self.free.pop()
            elif len(self.busy) < self.plan.connections:
                connection = Connection(self.request, self.answered, self.failed)
                connection.open(self.address)
            else:
                self.starved = True
                return
            if self.starved:
                self.tally.late += 1
            else:
                self.tally.lags.append(now - self.next_due)
            self.tally.sent += 1
            self.busy[connection] = self.next_due
            connection.send()
            self.next_due = next(self.times)
        self.starved = False
        if self.next_due < math.inf:
            asyncio.get_running_loop().call_later(self.next_due - now, self.issue)
        elif not self.busy:
            self.ended.set()

    def answered(self, connection: Connection, status: int) -> None:
        now = clock()
        self.tally.answer(status, now - self.busy.pop(connection), now - self.started)
        if connection.usable:
            self.free.append(connection)
        self.next_turn()

    def failed(self, connection: Connection, kind: str) -> None:
        """A connection ended: under a request, or while it slept, which is a server's right."""
        if connection in self.busy:
            del self.busy[connection]
            self.tally.errors[kind] += 1
            self.next_turn()
        elif connection in self.free:
            self.free.remove(connection)

    def next_turn(self) -> None:
        if self.starved:
            self.issue()
        elif self.next_due == math.inf and not self.busy:
            self.ended.set()

    def give_up(self) -> None:
        """Fail what has waited longer than the timeout, sent or not."""
        oldest = clock() - self.plan.timeout
        for connection in [connection for connection, due in self.busy.items() if due < oldest]:
            connection.give_up()
        while self.starved and self.next_due < oldest:
            self.tally.errors["timeout before it was sent"] += 1
            self.next_due = next(self.times)
        self.next_turn()


async def perform(plan: Plan, progress: Callable[[dict], None]) -> dict:
    """Run the plan; its result as a dictionary. Raises LoadError when nobody listens."""
    load = Load(plan, await reachable(plan.url))
    await load.run(lambda: progress(load.tally.progress(load.elapsed)))
    return {"offered_rate": plan.rate} | load.tally.result(plan.seconds)


async def reachable(url: SplitResult) -> tuple:
    """The address at which the URL's host accepts connections: localhost may have two, one of them dead."""
    loop, port = asyncio.get_running_loop(), url.port or 80
    try:
        for *_, address in await loop.getaddrinfo(url.hostname, port, type=1):
            try:
                async with asyncio.timeout(5):
                    transport, _ = await loop.create_connection(asyncio.Protocol, *address[:2])
                transport.abort()
                return address[:2]
            except OSError:  # a TimeoutError is one
                continue
    except OSError as error:
        raise LoadError(f"expected a host in the URL, got {url.hostname}: {error.strerror}") from None
    raise LoadError(f"nobody listens at {url.hostname}:{port}: start the server, or correct the URL")
