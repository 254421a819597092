"""Tokens that a caller and a tenant may use: counted in this process and in a real Redis alike."""

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from redis_server import missing

from apps.service.access import local_counts
from apps.service.access.callers import Caller
from apps.service.access.counting import Counts
from apps.service.access.local_counts import LocalCounts
from apps.service.generation.bill import Bill
from apps.service.generation.budget import Budget
from apps.service.generation.runtime import Ended
from apps.service.metrics import Metrics
from apps.service.problems import Problem
from apps.service.redis import Redis
from apps.service.settings import Settings, SettingsError, read

PATIENCE = 20
ALICE, BOB = Caller("user:alice", tenant="physics"), Caller("key:sk_bob", tenant="physics")
EVE = Caller("address:192.0.2.7", tenant="default")


class Log:
    def info(self, *_, **__) -> None:
        pass

    warning = error = info


def settings_of(**quotas: str) -> Settings:
    return Settings.model_construct(
        generation="on", **{f"generation_{of}": told for of, told in quotas.items()}
    )


def budget_of(counts: Counts, **quotas: str) -> Budget:
    return Budget(settings_of(**quotas), counts, Metrics("test"))


def asked_by(caller: Caller) -> SimpleNamespace:
    return SimpleNamespace(
        caller=caller, rate_limit=[("RateLimit-Policy", '"x";q=1'), ("RateLimit", '"x";r=1')]
    )


def left(budget: Budget, caller: Caller) -> list[int]:
    return [one["remaining"] for one in budget.left(caller)]


def refused(budget: Budget, caller: Caller, tokens: int) -> Problem:
    with pytest.raises(Problem) as found:
        budget.enter(asked_by(caller), tokens)
    return found.value


def redis_of(server) -> Redis:
    return Redis(server.url, Log(), PATIENCE)


@pytest.fixture(params=["here", pytest.param("in Redis", marks=missing)])
def counts(request) -> Iterator[Counts]:
    redis = None if request.param == "here" else redis_of(request.getfixturevalue("redis"))
    found = Counts(redis, Metrics("test"))
    if redis:
        redis.start()
    assert found.shares is bool(redis)
    yield found
    if redis:
        redis.close()


def test_a_prompt_is_paid_for_before_and_its_answer_after(counts):
    budget = budget_of(counts, caller_tokens="100/day")
    spent = budget.enter(asked_by(ALICE), 40)
    assert left(budget, ALICE) == [60]
    budget.spend(spent, 30)
    assert left(budget, ALICE) == [30]
    assert refused(budget, ALICE, 31).kind.slug == "too-many-requests"
    assert left(budget, ALICE) == [30]  # a refusal costs nothing
    budget.spend(budget.enter(asked_by(ALICE), 30), 25)  # and an answer is never cut short
    assert left(budget, ALICE) == [0]
    assert refused(budget, ALICE, 1).status == 429
    assert left(budget, BOB) == [100]


def test_a_tenant_s_callers_share_what_it_has_and_who_is_refused_by_one_is_counted_by_none(counts):
    budget = budget_of(counts, caller_tokens="50/hour", tenant_tokens="80/day")
    budget.enter(asked_by(ALICE), 50)
    assert left(budget, BOB) == [50, 30]
    told = refused(budget, BOB, 31)
    assert "80 tokens of one tenant in one day" in told.detail and "30 are left" in told.detail
    assert left(budget, BOB) == [50, 30]
    assert left(budget, EVE) == [50, 80]
    assert "50 tokens of one caller in one hour" in refused(budget, ALICE, 1).detail


def test_what_is_left_and_when_there_is_more_is_told_beside_the_other_limits(counts):
    budget, context = budget_of(counts, caller_tokens="20/minute,90/day"), asked_by(ALICE)
    before = 86400 - time.time() % 86400
    budget.enter(context, 15)
    after = 86400 - time.time() % 86400
    policy, standing = (dict(context.rate_limit)[name] for name in ("RateLimit-Policy", "RateLimit"))
    written = '"x";q=1, "tokens-minute";q=20;w=60;qu="tokens", "tokens-day";q=90;w=86400;qu="tokens"'
    assert policy == written
    other, minute, day = standing.split(", ")
    assert other == '"x";r=1' and minute.startswith('"tokens-minute";r=5;t=')
    assert 1 <= int(minute.rpartition("=")[2]) <= 60
    name, _, seconds = day.rpartition(";t=")
    assert name == '"tokens-day";r=75'
    assert before < after or math.ceil(after) <= int(seconds) <= math.ceil(before)


def test_who_is_refused_is_told_of_the_limit_that_lasts_longest(counts):
    if (left_of_today := 86400 - time.time() % 86400) < 61:  # the last minute ends together with the day
        time.sleep(left_of_today)
    budget = budget_of(counts, caller_tokens="20/minute,30/day")
    budget.spend(budget.enter(asked_by(ALICE), 10), 25)
    problem = refused(budget, ALICE, 5)
    assert "of one caller in one day" in problem.detail
    [(name, seconds)] = problem.headers
    assert name == "Retry-After" and seconds in problem.detail
    assert abs(int(seconds) - (86400 - time.time() % 86400)) < PATIENCE


def test_a_prompt_that_will_never_have_room_is_not_told_to_come_again(counts):
    budget = budget_of(counts, caller_tokens="20/minute,90/day")
    problem = refused(budget, ALICE, 21)
    assert problem.kind.slug == "prompt-too-long" and "at most 20 tokens" in problem.detail
    assert left(budget, ALICE) == [20, 90]


def test_with_the_clock_s_turn_all_is_there_again():
    now = 0
    counts = Counts(None, Metrics("test"))
    counts._local = LocalCounts(time.monotonic_ns, lambda: now)
    budget = budget_of(counts, caller_tokens="20/minute,60/hour")
    for turn in range(3):
        now = (turn * 60 + 59) * 10**9
        budget.enter(asked_by(ALICE), 20)
        assert refused(budget, ALICE, 1).headers == [("Retry-After", "1" if turn < 2 else str(3600 - 179))]
    now = 3600 * 10**9
    assert left(budget, ALICE) == [20, 60]


def test_memory_is_bounded_however_many_ask(monkeypatch):
    monkeypatch.setattr(local_counts, "MOST_CALLERS", 100)
    counts = Counts(None, Metrics("test"))
    budget = budget_of(counts, caller_tokens="20/day")
    for number in range(1000):
        budget.enter(asked_by(Caller(f"address:{number}")), 5)
    [period] = counts._local._periods.values()
    assert len(period.callers) == 100
    assert left(budget, Caller("address:999")) == [15]


@missing
def test_in_redis_every_count_has_an_end_and_two_processes_let_exactly_so_much_in(redis):
    shared = [redis_of(redis) for _ in range(2)]
    for one in shared:
        one.start()
    budgets = [budget_of(Counts(one, Metrics("test")), caller_tokens="100/day") for one in shared]

    def enter(number: int) -> bool:
        try:
            budgets[number % 2].enter(asked_by(ALICE), 3)
        except Problem:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(enter, range(200))) == 33
    assert left(budgets[0], ALICE) == [1]
    [key] = redis.client.keys("servelab:period:*")
    assert 0 < redis.client.pttl(key) <= 86400_000
    budgets[1].spend([(budgets[1]._policies[0], ALICE.subject)], -200)  # never below nothing
    assert left(budgets[0], ALICE) == [100]
    for one in shared:
        one.close()


@missing
def test_without_redis_each_process_counts_for_itself(redis):
    shared = redis_of(redis)
    shared.start()
    budget = budget_of(Counts(shared, Metrics("test")), caller_tokens="100/day")
    spent = budget.enter(asked_by(ALICE), 90)
    redis.kill()
    budget.spend(spent, 5)  # is not lost: it is counted here
    assert left(budget, ALICE) == [95]
    budget.enter(asked_by(ALICE), 90)
    assert refused(budget, ALICE, 90).status == 429
    shared.close()


# --- a request's bill


class Added(list):
    """What was used, where Usage would be."""

    def add(self, *words) -> None:
        self.append(words)


@pytest.fixture
def budget() -> Budget:
    return budget_of(Counts(None, Metrics("test")), caller_tokens="1000/day")


def bill_of(budget: Budget, tokens: int, choices: int) -> tuple[Bill, Added]:
    added = Added()
    spent = budget.enter(asked_by(ALICE), tokens)
    return Bill(added, budget, spent, "physics", "m", tokens, choices), added


def test_the_prompt_stands_on_the_bill_once(budget):
    bill, added = bill_of(budget, 30, 3)
    bill.add(Ended("stop", 30, 5, 10))
    bill.add(Ended("length", 30, 7, 29))
    bill.add(Ended("stop", 30, 0))
    assert added == [("physics", "m", 1, 30, 10, 5), ("physics", "m", 0, 0, 0, 7)]
    assert left(budget, ALICE) == [1000 - 30 - 12]


def test_what_was_never_begun_costs_nothing(budget):
    bill, added = bill_of(budget, 30, 2)
    bill.add(Ended("stop", 0, 0))
    assert left(budget, ALICE) == [970]
    bill.add(Ended("stop", 0, 0))
    assert added == [] and left(budget, ALICE) == [1000]


def test_a_request_that_found_no_place_costs_nothing(budget):
    bill, added = bill_of(budget, 30, 1)
    bill.cancel()
    assert added == [] and left(budget, ALICE) == [1000]


def test_an_estimate_is_put_right(budget):
    bill, added = bill_of(budget, 30, 1)
    bill.add(Ended("stop", 41, 4))
    assert added == [("physics", "m", 1, 41, 0, 4)] and left(budget, ALICE) == [1000 - 45]


# --- the settings


@pytest.mark.parametrize("told", ["20000/minute,200000/day", "1/hour", " 5/day , 7/hour ", ""])
def test_what_a_quota_may_be(monkeypatch, told):
    monkeypatch.setenv("GENERATION_CALLER_TOKENS", told)
    assert read().generation_caller_tokens == told.replace(" ", "")


@pytest.mark.parametrize(
    "told",
    ["many", "0/hour", "5/second", "5/day,6/day", "generate=5/day", "-5/day", "5/day;6/hour", "1e5/day"],
)
def test_what_it_may_not_be(monkeypatch, told):
    monkeypatch.setenv("GENERATION_TENANT_TOKENS", told)
    with pytest.raises(SettingsError) as error:
        read()
    assert "GENERATION_TENANT_TOKENS: expected 20000/minute" in str(error.value)
    assert told not in str(error.value)


def test_tokens_are_counted_only_where_they_are_limited_and_generated():
    assert not Settings.model_construct(generation_caller_tokens="5/day").budgeted
    assert not settings_of().budgeted
    assert settings_of(tenant_tokens="5/day").budgeted
