"""The result cache: keys, places to keep results, and who computes when several ask at the same time."""

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from types import SimpleNamespace

import pytest
from redis_server import PASSWORD, missing, mute

from apps.service.batching import Outcome
from apps.service.cache import redis_results
from apps.service.cache.keys import Wanted, wanted
from apps.service.cache.local_results import LocalResults
from apps.service.cache.redis_results import RedisResults, read
from apps.service.cache.results import Cache
from apps.service.problems import Problem
from apps.service.redis import Redis

ROW = [5.1, 3.5, 1.4, 0.2]
PATIENCE = 20.0  # seconds in which something happens, however busy the machine


def serving(name="iris", version="1", sha256="aa", classes=("a", "b"), labels=(0, 1), shares=True):
    return SimpleNamespace(
        name=name,
        version=version,
        sha256=sha256,
        classes=classes,
        targets=None,
        card=SimpleNamespace(classes=classes, raw_labels=labels),
        has_probabilities=shares,
    )


IRIS = serving()
SUM = serving(classes=(), labels=(), shares=False)


class Told(list):
    """What the log was told, and the metrics."""

    def __init__(self) -> None:
        self.results: list[str] = []
        self.cached, self.shared = self.results.append, []

    def warning(self, *words, **fields) -> None:
        self.append((words, fields))

    info = warning


@pytest.fixture
def told() -> Told:
    return Told()


def context(tenant: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(caller=tenant and SimpleNamespace(tenant=tenant), cache_status=None)


# --- keys


def test_what_differs_in_anything_has_another_key():
    rows = [ROW, [5.1, 3.5, 1.4, 0.2000000000000001], [5.1, 3.5, 1.4, -0.0], [5.1, 3.5, 1.4, 0.0]]
    found = [wanted("", IRIS, [row]) for row in rows]
    found += [wanted("", IRIS, [ROW, ROW]), wanted("", serving(), [ROW + ROW])]
    found += [wanted("physics", IRIS, [ROW]), wanted("", serving(sha256="ab"), [ROW])]
    names = [("a:b", "c"), ("a", "b:c"), ("a", "b"), ('a","b', "c"), ("a", 'b","c'), ("ab", "")]
    found += [wanted("", serving(name, version), [ROW]) for name, version in names]
    found += [wanted("a", serving("", ""), [ROW]), wanted("", serving("a", ""), [ROW])]
    for one, other in combinations(found, 2):
        assert one.key != other.key, (one, other)
    assert wanted("", serving(), [list(ROW)]).key == found[0].key


# --- in this process


def one(n: int, count: int = 1) -> Wanted:
    return Wanted(str(n).encode(), SUM, count)


def test_a_result_ends_with_its_time():
    now = [100.0]
    results = LocalResults(60, 10, now=lambda: now[0])
    assert results.get(one(1)) is None
    assert results.put(one(1), Outcome([3.0], None, 0.008))
    assert results.get(one(1)) == (Outcome([3.0], None, 0), 60)
    now[0] += 59.5
    assert results.get(one(1)).ttl == 0
    now[0] += 0.5
    assert results.get(one(1)) is None and results.rows == 0


def test_beyond_its_room_what_was_asked_for_least_recently_goes():
    results = LocalResults(60, 5)
    for n in range(3):
        results.put(one(n), Outcome([float(n)], None))
    results.get(one(0))
    assert results.put(one(3, 3), Outcome([1.0, 2.0, 3.0], None))
    assert [results.get(one(n)) is not None for n in range(4)] == [True, False, True, True]
    assert not results.put(one(4, 6), Outcome([0.0] * 6, None)) and results.rows == 5
    results.put(one(3, 3), Outcome([1.0, 2.0, 3.0], None))
    assert results.rows == 5


def test_many_threads_leave_it_whole():
    results = LocalResults(60, 50)

    def work(seed: int) -> None:
        for n in range(500):
            count = 1 + (n * seed) % 3
            found = results.get(one((n * seed) % 90, count))
            assert found is None or found.outcome.predictions[0] == float((n * seed) % 90)
            results.put(one((n * seed) % 90, count), Outcome([float((n * seed) % 90)] * count, None))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(1, 9)))
    assert results.rows == sum(len(outcome.predictions) for outcome, _ in results._kept.values()) <= 50


# --- what Redis says


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b"[[0]]",
        b"[[0],null]",  # it has probabilities
        b"[[0],[[0.5,0.5]],1]",
        b"[[0,0],[[0.5,0.5],[0.5,0.5]]]",
        b"[[0],[[0.5,0.5],[0.5,0.5]]]",
        b"[[0],[[0.5]]]",
        b"[[0],[[0.5,0.5,0.0]]]",
        b"[[2],[[0.5,0.5]]]",  # no class of it
        b"[[true],[[0.5,0.5]]]",
        b'[["0"],[[0.5,0.5]]]',
        b"[[null],[[0.5,0.5]]]",
        b"[[[0]],[[0.5,0.5]]]",
        b"[[0],[[NaN,0.5]]]",
        b"[[0],[[1e999,0.5]]]",
        b'[[0],[["0.5",0.5]]]',
        b"[[0],[[0.5,null]]]",
        b"[[0],[[0.5,0.5]]",
        b"[[0],[[0.5,0.5]]] x",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_this_model_cannot_have_answered_is_not_read(text):
    assert read(text, IRIS, 1) is None


def test_what_it_can_have_answered_is_read_as_it_was():
    assert read(b"[[1],[[0.1,0.9]]]", IRIS, 1) == Outcome([1], [[0.1, 0.9]])
    whole = read(b"[[5.0],null]", SUM, 1)
    assert whole == Outcome([5.0], None) and type(whole.predictions[0]) is float
    for text in (b"[[NaN],null]", b"[[1e999],null]", b"[[true],null]", b'[["5"],null]', b"[[5.0],[[1.0]]]"):
        assert read(text, SUM, 1) is None
    words = serving(labels=("x", "y"))
    assert read(b'[["y"],[[0.5,0.5]]]', words, 1).predictions == ["y"]
    truths = serving(labels=(False, True))
    assert read(b"[[true],[[0.5,0.5]]]", truths, 1).predictions == [True]
    assert read(b"[[1],[[0.5,0.5]]]", truths, 1) is None


@missing
def test_redis_gives_back_exactly_what_it_got(redis, told):
    store = Redis(redis.url, told, PATIENCE)
    store.start()
    results = RedisResults(store, 60)
    for n, shares in enumerate([[[1e-300, 1.0]], [[0.1 + 0.2, 2.2250738585072014e-308]]]):
        key = Wanted(f"k{n}".encode(), IRIS, 1)
        assert results.get(key) is None
        assert results.put(key, Outcome([1], shares, 0.5))
        found = results.get(key)
        assert found.outcome == Outcome([1], shares, 0) and 0 < found.ttl <= 60
        assert 0 < redis.client.pttl(redis_results.name_of(key)) <= 60_000
    store.close()


# --- who computes


class Model:
    """Computes when it is let go on, and fails where it is told to."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Semaphore(0), threading.Event()
        self.count, self.fails = 0, 0
        self.seconds: list[float] = []

    def compute(self, rows, seconds: float) -> Outcome:
        self.seconds.append(seconds)
        self.count += 1
        number = self.count
        self.begun.release()
        assert self.go_on.wait(PATIENCE)
        if number <= self.fails:
            raise Problem("prediction-failed", "the test wants it")
        return Outcome([sum(rows[0])], None, 0.008)

    async def compute_from_loop(self, rows, seconds: float) -> Outcome:
        return await asyncio.to_thread(self.compute, rows, seconds)


def in_threads(cache: Cache, model: Model, count: int, meanwhile) -> list[tuple]:
    """Status and answer, or the problem, of so many that ask for the same; the first one is ahead."""

    def ask(_) -> tuple:
        own = context()
        try:
            return own, cache.recall(own, SUM, [ROW], model.compute, PATIENCE)
        except Problem as problem:
            return own, problem

    with ThreadPoolExecutor(count) as pool:
        first = pool.submit(ask, 0)
        model.begun.acquire()
        others = [pool.submit(ask, n) for n in range(1, count)]
        meanwhile()
        model.go_on.set()
        return [(own.cache_status, found) for own, found in (one.result() for one in [first, *others])]


def in_a_loop(cache: Cache, model: Model, count: int, meanwhile) -> list[tuple]:
    async def ask() -> tuple:
        own = context()
        try:
            return own, await cache.recall_from_loop(own, SUM, [ROW], model.compute_from_loop, PATIENCE)
        except Problem as problem:
            return own, problem

    async def all_of_them() -> list[tuple]:
        first = asyncio.ensure_future(ask())
        await asyncio.to_thread(model.begun.acquire)
        others = [asyncio.ensure_future(ask()) for _ in range(1, count)]
        await asyncio.sleep(0)
        await asyncio.to_thread(meanwhile)
        model.go_on.set()
        return [await one for one in (first, *others)]

    return [(own.cache_status, found) for own, found in asyncio.run(all_of_them())]


@pytest.fixture(params=[in_threads, in_a_loop])
def crowd(request):
    return request.param


@pytest.fixture(params=["here", pytest.param("in Redis", marks=missing)])
def cache(request, told) -> Cache:
    if request.param == "here":
        yield Cache(LocalResults(60, 100), told)
        return
    store = Redis(request.getfixturevalue("redis").url, told, PATIENCE)
    store.used("there", "here", told.shared.append)
    store.start()
    yield Cache(RedisResults(store, 60), told, store)
    store.close()
    assert told.shared == [False, True]


def test_what_many_ask_for_is_computed_once(crowd, cache, told):
    model = Model()
    found = crowd(cache, model, 20, lambda: time.sleep(0.05))
    assert model.count == 1 and {answer.predictions[0] for _, answer in found} == {sum(ROW)}
    assert [said for said, _ in found].count("servelab; fwd=miss; stored") == 1
    own = context()
    assert cache.recall(own, SUM, [ROW], model.compute, PATIENCE).seconds == 0
    assert own.cache_status.startswith("servelab; hit; ttl=") and model.count == 1
    assert told.results.count("miss") == 1 and len(told.results) == 21 and not cache._flights


def test_who_joined_one_that_fails_computes_for_itself_in_the_time_that_is_left(crowd, cache):
    model = Model()
    model.fails = 1
    found = crowd(cache, model, 5, lambda: time.sleep(0.05))
    failed = [answer for _, answer in found if isinstance(answer, Problem)]
    assert len(failed) == 1 and found[0][1] is failed[0]
    assert {answer.predictions[0] for _, answer in found[1:]} == {sum(ROW)}
    assert model.seconds[0] == PATIENCE and all(left <= PATIENCE for left in model.seconds)
    assert not cache._flights


def test_an_error_is_kept_for_nobody(crowd, cache):
    model = Model()
    model.fails = 5
    assert all(isinstance(answer, Problem) for _, answer in crowd(cache, model, 5, lambda: None))
    own = context()
    assert cache.recall(own, SUM, [ROW], model.compute, PATIENCE).predictions == [sum(ROW)]
    assert own.cache_status == "servelab; fwd=miss; stored"


def test_who_is_cancelled_while_it_computes_spoils_nobody_and_who_waits_ends_nothing(cache):
    model = Model()

    async def all_of_them() -> Outcome:
        def ask() -> asyncio.Task:
            return asyncio.ensure_future(
                cache.recall_from_loop(context(), SUM, [ROW], model.compute_from_loop, PATIENCE)
            )

        first = ask()
        await asyncio.to_thread(model.begun.acquire)
        second, third = ask(), ask()
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        assert second.cancelled() and not third.done()
        first.cancel()
        model.go_on.set()
        return await third

    assert asyncio.run(all_of_them()).predictions == [sum(ROW)]
    assert model.count == 2 and not cache._flights


def test_tenants_share_nothing(cache):
    model = Model()
    model.go_on.set()
    told = []
    for tenant in ("physics", "biology", "physics", None):
        own = context(tenant)
        cache.recall(own, SUM, [ROW], model.compute, PATIENCE)
        told.append(own.cache_status.partition("; ttl")[0])
    miss = "servelab; fwd=miss; stored"
    assert told == [miss, miss, "servelab; hit", miss]


def test_a_version_put_in_place_meanwhile_has_results_of_its_own(cache):
    """What was being computed by the one before is not the new one's."""
    old, new, model = serving("m", "1", "aa", (), (), False), serving("m", "2", "bb", (), (), False), Model()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(cache.recall, context(), old, [ROW], model.compute, PATIENCE)
        model.begun.acquire()
        two = cache.recall(context(), new, [ROW], lambda rows, seconds: Outcome([-1.0], None), PATIENCE)
        model.go_on.set()
        assert (first.result().predictions, two.predictions) == ([sum(ROW)], [-1.0])
    for one_, expected in ((old, sum(ROW)), (new, -1.0)):
        own = context()
        assert cache.recall(own, one_, [ROW], model.compute, PATIENCE).predictions == [expected]
        assert own.cache_status.startswith("servelab; hit")


# --- when Redis does not answer


@pytest.mark.parametrize("silent", [True, False])
def test_a_redis_that_was_never_there_is_told_once_and_asked_by_no_request(told, silent):
    with mute() as redis:
        if not silent:
            redis.stop()
        store = Redis(redis.url, told)
        store.used("results are kept there", "results are computed anew", told.shared.append)
        store.start()
        cache, model, callers = Cache(RedisResults(store, 60), told, store), Model(), 0
        model.go_on.set()
        callers = redis.callers if silent else 0
        for n in range(200):
            own = context()
            found = cache.recall(own, SUM, [[float(n)]], model.compute, PATIENCE)
            assert found.predictions == [n] and own.cache_status == "servelab; fwd=bypass; detail=redis-away"
        assert model.count == 200 and told.results == ["bypass"] * 200
        assert not silent or redis.callers - callers <= 1 + PATIENCE // 3
        store.close()
    [(words, fields)] = told
    assert words == ("Redis does not answer: results are computed anew",) and PASSWORD not in str(told)
    assert told.shared == [False, False] and fields["error"] in ("ConnectionError", "TimeoutError")


@missing
def test_one_that_finds_redis_away_spares_the_others_the_wait(redis, told):
    """Limits and cache have one Redis between them."""
    store = Redis(redis.url, told)
    store.used("limits are counted there", "limits are counted here", told.shared.append)
    store.used("results are kept there", "results are computed anew", told.shared.append)
    store.start()
    store.lost(ConnectionError())
    assert not store.answers and told.shared == [False, False, True, True, False, False]
    cache, model, own = Cache(RedisResults(store, 60), told, store), Model(), context()
    model.go_on.set()
    cache.recall(own, SUM, [ROW], model.compute, PATIENCE)
    assert own.cache_status == "servelab; fwd=bypass; detail=redis-away"
    assert [words[0] for words, _ in told] == [
        "Redis answers: limits are counted there, results are kept there",
        "Redis does not answer: limits are counted here, results are computed anew",
    ]
    store.close()


def test_a_redis_that_takes_too_long_is_not_waited_for(told):
    """Each of its answers comes in time, and all of them together do not."""
    asked = []

    class Slow:
        def get(self, one):
            asked.append(one)
            time.sleep(0.3)

        put = get

    cache = Cache(Slow(), told, SimpleNamespace(answers=True, timeout=0.01))
    model, own = Model(), context()
    model.go_on.set()
    assert cache.recall(own, SUM, [ROW], model.compute, PATIENCE).predictions == [sum(ROW)]
    assert own.cache_status == "servelab; fwd=bypass; detail=redis-slow" and len(asked) == 1
    own = context()
    answer = cache.recall_from_loop(own, SUM, [ROW], model.compute_from_loop, PATIENCE)
    assert asyncio.run(answer).predictions == [sum(ROW)]
    assert own.cache_status == "servelab; fwd=bypass; detail=redis-slow"


def test_without_the_setting_nothing_of_it_is_imported():
    code = (
        "import os, sys; os.environ['METRICS_PORT'] = '0'\n"
        "from apps import fastapi_app, flask_app\n"
        "for one in (fastapi_app, flask_app): one.create_app()\n"
        "print([name for name in [*sys.modules] if name.startswith('apps.service.cache') or 'redis' in name])"
    )
    env = {"PATH": "", "MODEL_PATH": "nowhere", "REDIS_URL": "redis://127.0.0.1:1", "LOG_LEVEL": "error"}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert said.stdout.strip() == "[]", said.stderr
