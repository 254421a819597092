"""The parts of a swap: a model that is left ends with its last request; one that is tried disturbs nobody."""

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from apps.service.batching import Batcher, Outcome
from apps.service.model import Serving
from apps.service.registry.counted import RegistryMetrics
from apps.service.registry.rollout import Canary, Rollout, part
from apps.service.registry.shadow import WAITING, Shadow, agree
from model_training.artifact import load
from model_training.registry.lock import Lock
from model_training.registry.store import Pointer
from model_training.registry.store import Rollout as Wanted
from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[2]


def batchers() -> int:
    return sum(thread.name == "batcher" for thread in threading.enumerate())


def test_a_batcher_that_was_closed_answers_who_comes_late_and_has_no_thread_then():
    before, batcher = batchers(), Batcher(lambda rows: Outcome([sum(row) for row in rows], None))
    assert batcher.submit([[1.0, 2.0]]).result(PATIENCE).predictions == [3.0]
    batcher.close()
    until(lambda: batchers() == before)
    late = [batcher.submit([[float(number)]]) for number in range(20)]
    assert [one.result(PATIENCE).predictions for one in late] == [[float(number)] for number in range(20)]
    assert asyncio.run(from_loop(batcher)) == [7.0]
    batcher.close()
    until(lambda: batchers() == before)


async def from_loop(batcher: Batcher) -> list:
    return (await batcher.submit_from_loop([[7.0]])).predictions


def test_requests_that_race_with_the_closing_of_a_batcher_are_all_answered():
    before = batchers()
    for _ in range(50):
        batcher = Batcher(lambda rows: Outcome(rows, None))
        answers: list[list] = [[] for _ in range(4)]

        def ask(mine: list, batcher: Batcher = batcher) -> None:
            mine += [batcher.submit([[float(number)]]).result(PATIENCE).predictions for number in range(20)]

        threads = [threading.Thread(target=ask, args=(mine,)) for mine in answers]
        for thread in threads:
            thread.start()
        batcher.close()
        for thread in threads:
            thread.join(PATIENCE)
        assert all(mine == [[[float(number)]] for number in range(20)] for mine in answers)
    until(lambda: batchers() == before)


@pytest.mark.parametrize("format", ["onnx", "skops"])
def test_a_model_is_gone_with_the_last_request_that_has_it(iris_root, format):
    """Without a collection of garbage: what was there at the start is kept out of those."""
    folder = iris_root / "models" / "iris"
    serving = Serving(load(folder, format), folder)
    serving.batcher.submit([[5.1, 3.5, 1.4, 0.2]]).result(PATIENCE)
    left = weakref.ref(serving), weakref.ref(serving.predict)
    gc.disable()
    try:
        request = serving
        serving.batcher.close()
        del serving
        assert request.batcher.submit([[5.1, 3.5, 1.4, 0.2]]).result(PATIENCE).predictions == [0]
        del request
        until(lambda: left[0]() is None and left[1]() is None)
    finally:
        gc.enable()


def test_a_lock_is_one_processes_until_that_ends(tmp_path):
    path = tmp_path / "iris" / "lock"
    code = "import sys; from model_training.registry.lock import Lock; from pathlib import Path;"
    code += "lock = Lock(Path(sys.argv[1])); print(lock.take(), flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "True\n"
        mine = Lock(path)
        assert not mine.take() and not mine.held
        other.kill()
        other.wait()
        until(mine.take)
        assert mine.held and mine.take() and not Lock(path).take()
        mine.release()
        assert Lock(path).take()


def test_a_lock_that_the_system_refuses_is_anothers(tmp_path):
    (tmp_path / "file").touch()
    assert not Lock(tmp_path / "file" / "lock").take()


def test_a_canary_takes_about_its_share_and_another_challenger_takes_others():
    callers = [f"user:{number}" for number in range(4000)]
    first, second = ({c for c in callers if part(c, digest) < 10} for digest in ("a" * 64, "b" * 64))
    assert 300 < len(first) < 500 and 300 < len(second) < 500
    assert len(first & second) < 100
    canaries = [Canary(None, None, "a" * 64, percent) for percent in (0, 10, 20, 100)]
    taken = [{caller for caller in callers if canary.takes(caller)} for canary in canaries]
    assert taken[0] == set() and taken[1] == first and taken[1] < taken[2] < taken[3] == {*callers}


class Fake:
    """A challenger of a test's own."""

    def __init__(self, answer) -> None:
        self.classes, self.class_of, self.full_name = ["no", "yes"], {0: "no", 1: "yes"}, "fake 1"
        self._answer = answer

    def predict(self, rows: list) -> Outcome:
        return Outcome([self._answer(row) for row in rows], None)


@pytest.fixture
def shadowed():
    """A shadow, its counts, and what it logs."""
    registry, lines = CollectorRegistry(), []
    log = SimpleNamespace(warning=lambda event, **fields: lines.append((event, fields)))
    shadow = Shadow(log, RegistryMetrics(registry))

    def count(result: str) -> float:
        return registry.get_sample_value("shadow_comparisons_total", {"result": result}) or 0

    yield shadow, count, lines
    shadow.close()


def test_rows_that_a_challenger_fails_at_are_counted_apart(shadowed):
    shadow, count, lines = shadowed
    shadow.start()
    active = Fake(lambda row: 1)
    challenger = Fake(lambda row: {0: 0, 1: 1}[row[0]])  # KeyError for any other
    for row in ([0], [1], [1], [2], [2]):
        shadow.offer(active, challenger, [row], Outcome([1], None))
    until(lambda: (count("agree"), count("differ"), count("failed")) == (2, 1, 2))
    assert lines == [("the challenger fails", {"model": "fake 1", "error": "KeyError"})]


def test_what_a_challenger_cannot_keep_up_with_is_dropped_and_keeps_nobody(shadowed):
    shadow, count, _ = shadowed
    fake = Fake(lambda row: 1)
    for _ in range(WAITING + 10):  # its thread does not run: nothing is taken
        shadow.offer(fake, fake, [[1], [1]], Outcome([1, 1], None))
    assert count("dropped") == 20
    shadow.start()
    until(lambda: count("agree") == 2 * WAITING)
    left = weakref.ref(fake)
    del fake
    until(lambda: left() is None)


@pytest.mark.parametrize(
    "one, other, same",
    [
        *(("a", "a", True), ("a", "b", False), (True, False, False), (100.0, 104.0, True)),
        *((100.0, 110.0, False), (0.0, 0.0, True), (["a", 1.0], ["a", 1.01], True), (["a"], ["b"], False)),
    ],
)
def test_agreement_is_the_same_class_or_nearly_the_same_number(one, other, same):
    assert agree(one, other) is same


def test_without_a_challenger_or_with_the_same_model_twice_everybody_gets_the_active_one():
    registry = CollectorRegistry()
    log = SimpleNamespace(warning=lambda *_, **__: None)
    served = SimpleNamespace(pointer=Pointer("1", "a" * 64), serving=object())
    model = SimpleNamespace(active=served, challenger=None, serving=served.serving)
    rollout = Rollout(model, "", log, RegistryMetrics(registry))
    context = SimpleNamespace(caller=None, peer="127.0.0.1", header=lambda name: "")
    for challenger in (None, served):
        model.challenger = challenger
        for mode in ("off", "canary", "shadow"):
            rollout.set(Wanted(mode, 100))
            assert rollout.serving_for(context) is served.serving
    other = SimpleNamespace(pointer=Pointer("2", "b" * 64), serving=object())
    model.challenger = other
    rollout.set(Wanted("canary", 100))
    assert rollout.serving_for(context) is other.serving
    rollout.set(Wanted("shadow", 100))
    assert rollout.serving_for(context) is served.serving
    rollout.close()
