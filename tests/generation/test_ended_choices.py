"""Each choice of a request is told of once when it has ended, however it did, so that it can be paid for."""

import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
from prometheus_client import CollectorRegistry

from apps.service.generation.counted import GenerationMetrics
from apps.service.generation.run import Run
from apps.service.generation.runtime import Encoded, Ended, Limits, RuntimeFailed, Sampling
from apps.service.generation.scheduler import NOTHING, Asked, Scheduler
from apps.service.settings import Settings
from tests.waiting import PATIENCE, until

FAILS = 7  # a seed


class Log:
    def error(self, *_, **__) -> None:
        pass


class Plain:
    """A window that lets everything out."""

    moderated: ClassVar[dict[str, bool]] = {}

    def add(self, text: str) -> str:
        return text

    def end(self) -> str:
        return ""


class Held:
    """A model that goes on until it may end, or is cancelled."""

    name, created, limits = "held", 0, Limits(context=100, slots=1, schemas=False)

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def generate(self, encoded, sampling, salt, emit) -> Ended:
        self.begun.set()
        if sampling.seed == FAILS:
            raise RuntimeFailed("as it was asked")
        while not self.may_end.wait(0.01):
            if emit("a", 1):
                break
        return Ended("stop", encoded.tokens, 1)


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    settings = Settings.model_construct(generation_queue=4)
    found = Scheduler(Held(), settings, GenerationMetrics(CollectorRegistry()), Log())
    found.start()
    yield found
    found.close()


def submitted(scheduler: Scheduler, choices: int, seed: int | None = None) -> tuple[Run, list[Ended]]:
    told: list[Ended] = []
    asked = Asked(Encoded("", 30), Sampling(max_tokens=9, seed=seed), "", choices, Plain, told.append)
    return scheduler.submit(asked), told


def test_each_choice_is_told_of_once_also_those_that_were_never_begun(scheduler):
    first, told = submitted(scheduler, 2)
    second, others = submitted(scheduler, 2)
    scheduler._runtime.begun.wait(PATIENCE)
    second.cancel()  # while it waits
    first.cancel()
    until(lambda: len(told) == len(others) == 2)
    assert told == [Ended("stop", 30, 1), NOTHING] and others == [NOTHING, NOTHING]


def test_with_the_end_everything_has_been_told(scheduler):
    _, told = submitted(scheduler, 1)
    _, others = submitted(scheduler, 3)
    scheduler._runtime.begun.wait(PATIENCE)
    scheduler.close()
    assert told == [Ended("stop", 30, 1)] and others == [NOTHING] * 3


def test_what_fails_before_its_first_token_is_told_of_as_nothing(scheduler):
    _, told = submitted(scheduler, 1, FAILS)
    until(lambda: told)
    assert told == [NOTHING]
