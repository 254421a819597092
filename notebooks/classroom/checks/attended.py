"""Work whose client may leave: exercise 13.3."""

import asyncio
from collections.abc import Awaitable, Callable

from ..answers import NotYet, named, shown

PATIENCE = 5  # seconds until what has not ended never will
ATTENDED = '''
class Gone(Exception):
    """The client has left."""

async def attended(work, leaving):
    return await work
'''


class Side:
    """One of the two. When `attended` had ended: `goes_on`, nobody has told this one to end."""

    def __init__(self, seconds: float, outcome: object = None) -> None:
        """After so long it gives `outcome`, or raises it."""
        self._seconds, self._outcome = seconds, outcome
        self.begun = self.ended = self.cancelled = self.goes_on = False

    async def run(self) -> object:
        self.begun = True
        try:
            await asyncio.sleep(self._seconds)
            if isinstance(self._outcome, Exception):
                raise self._outcome
            return self._outcome
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        finally:
            await asyncio.sleep(0.05)  # a slot that is given back, say
            self.ended = True


async def _told(task: Awaitable) -> object:
    """What it gives, or the error that it raises."""
    try:
        return await asyncio.wait_for(task, PATIENCE)
    except BaseException as error:
        return error


def _together(
    attended: Callable, work: Side, leaving: Side, cancel: bool = False
) -> tuple[object, list[str]]:
    """What `attended` gave or raised, and which of the two had not ended at that moment."""

    async def run() -> tuple[object, list[str]]:
        task = asyncio.ensure_future(attended(work.run(), leaving.run()))
        if cancel:
            await asyncio.sleep(0.1)
            task.cancel()
        said = await _told(task)
        sides = {"work": work, "leaving": leaving}
        open_ones = [name for name, side in sides.items() if side.begun and not side.ended]
        for name in open_ones:
            sides[name].goes_on = not sides[name].cancelled
        for left in asyncio.all_tasks() - {asyncio.current_task()}:
            left.cancel()
        return said, open_ones

    return asyncio.run(run())


def _expect_end(open_ones: list[str], what: str) -> None:
    if open_ones:
        raise NotYet(
            f"{what}, and at the end `{open_ones[0]}` had not come to its own, expected that both have. "
            "Who cancels it, and who waits until it has ended?"
        )


def work_first(attended: Callable) -> None:
    for value in ("an answer", None, 0):
        said, open_ones = _together(attended, Side(0.05, value), Side(60))
        if said != value or type(said) is not type(value):
            how = f"raised {named(said)}" if isinstance(said, BaseException) else f"gave {shown(said)}"
            raise NotYet(
                f"`work` gave {shown(value)} and attended {how}, expected the same. What is returned?"
            )
        _expect_end(open_ones, "`work` was ready first")
    error = LookupError("the model has failed")
    said, open_ones = _together(attended, Side(0.05, error), Side(60))
    if said is not error:
        how = f"raised {named(said)}" if isinstance(said, BaseException) else f"returned {shown(said)}"
        raise NotYet(f"`work` raised LookupError and attended {how}, expected that error. Who asks for it?")
    _expect_end(open_ones, "`work` raised")


def left_first(attended: Callable, gone: type[Exception]) -> None:
    work = Side(60, "an answer")
    said, open_ones = _together(attended, work, Side(0.05))
    if isinstance(said, TimeoutError):
        raise NotYet(
            f"the client left at once, and after {PATIENCE} seconds attended was still waiting for `work`; "
            "expected Gone. What does it wait for?"
        )
    if not isinstance(said, gone):
        how = f"raised {named(said)}" if isinstance(said, BaseException) else f"returned {shown(said)}"
        raise NotYet(f"the client left, and attended {how}, expected Gone. What do you do then?")
    if work.goes_on:
        raise NotYet(
            "the client left, attended raised Gone, and `work` goes on for nobody; expected that it is "
            "cancelled. Who tells it?"
        )
    _expect_end(open_ones, "the client left")


def cancelled_itself(attended: Callable) -> None:
    work, leaving = Side(60), Side(60)
    said, open_ones = _together(attended, work, leaving, cancel=True)
    if not isinstance(said, asyncio.CancelledError):
        raise NotYet(
            f"attended was cancelled itself, as where the server stops, and gave {shown(said)}, expected "
            "that the CancelledError comes out. Who keeps it?"
        )
    _expect_end(open_ones, "attended was cancelled itself, as where the server stops")
