"""Tokens are limited, counted and paid for on both servers alike: counted here, and in a real Redis.

The names in brackets are those of the cases in the group `streaming`."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from credentials import PASSWORD, accounts_in, eventually
from language_doors import CHAT, LONG, Door, doors_with
from pairs import FULL
from redis_server import RedisServer, missing
from websockets.sync.client import connect

HELLO = [{"role": "user", "content": "Hi"}]
SHORT = {"messages": HELLO, "max_tokens": 4, "temperature": 0}
STORY = LONG | {"max_tokens": 300}
LIMIT = 150
QUOTA = {"GENERATION_CALLER_TOKENS": f"{LIMIT}/day", "TRUSTED_PROXIES": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def apart(tmp_path_factory) -> Iterator[list[Door]]:
    """Each counts for itself."""
    with doors_with({**QUOTA, "GENERATION_FOLDER": str(tmp_path_factory.mktemp("usage"))}) as found:
        yield found


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Iterator[list[Door]]:
    """Both count in one Redis."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"))
    shared = {"REDIS_URL": redis.url, "REDIS_TIMEOUT_SECONDS": "5", "GENERATION_QUEUE": "64"}
    folder = str(tmp_path_factory.mktemp("usage"))
    try:
        with doors_with({**QUOTA, **shared, "GENERATION_FOLDER": folder}) as found:
            yield found
    finally:
        redis.stop()


def caller(number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"192.0.2.{number}"}


def tokens_of(answer: httpx.Response) -> tuple[int, int]:
    """Of the prompt, and of the answer."""
    usage = answer.json()["usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]


def left_of(answer: httpx.Response) -> int:
    return int(answer.headers["RateLimit"].partition('"tokens-day";r=')[2].partition(";")[0])


def seconds_to_midnight() -> float:
    return 86400 - time.time() % 86400


# --- quotas


def pass_and_count(doors: list[Door], headers: dict[str, str]) -> None:
    """Ask the doors in turn until one refuses."""
    spent = 0
    for number in range(LIMIT):
        before = seconds_to_midnight()
        answer = doors[number % len(doors)].ask(SHORT, headers)
        if answer.status_code == 429:
            break
        prompt, completion = tokens_of(answer)
        assert spent + prompt <= LIMIT
        assert left_of(answer) == LIMIT - spent - prompt  # what is generated is not known yet
        assert f'"tokens-day";q={LIMIT};w=86400;qu="tokens"' in answer.headers["RateLimit-Policy"]
        spent += prompt + completion
    assert spent and spent + prompt > LIMIT
    assert left_of(answer) == max(LIMIT - spent, 0)
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("too-many-requests", "rate_limit_error")
    assert f"expected at most {LIMIT} tokens of one caller in one day" in error["message"]
    reset = int(answer.headers["Retry-After"])
    assert seconds_to_midnight() <= reset <= before + 1
    assert f";t={reset}" in answer.headers["RateLimit"]
    for door in doors:
        assert {door.ask(SHORT | {"stream": stream}, headers).status_code for stream in (False, True)} == {
            429
        }


def test_so_many_tokens_pass_and_no_more(apart):
    for door in apart:
        pass_and_count([door], caller(1))
        assert door.ask(SHORT, caller(2)).status_code == 200


@missing
def test_over_two_servers_so_many_pass_together(together):
    pass_and_count(together, caller(1))
    assert {door.ask(SHORT, caller(2)).status_code for door in together} == {200}


@missing
def test_of_many_at_once_only_what_is_being_generated_goes_over(together):
    one = SHORT | {"max_tokens": 1}
    prompt, _ = tokens_of(together[0].ask(one, caller(3)))

    def ask(number: int) -> httpx.Response:
        return together[number % 2].ask(one, caller(4))

    with ThreadPoolExecutor(12) as pool:
        answers = [*pool.map(ask, range(LIMIT // prompt + 12))]
    passed = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} == {200, 429}
    spent = sum(sum(tokens_of(answer)) for answer in passed)
    assert len(passed) * prompt <= LIMIT < spent + prompt
    assert left_of(together[0].ask(one, caller(4))) == max(LIMIT - spent, 0)


def test_a_prompt_that_will_never_have_room_is_no_429(apart):
    long = {"messages": [{"role": "user", "content": "word " * LIMIT * 2}]}
    for door in apart:
        answer = door.ask(long, caller(5))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "prompt-too-long")
        assert door.ask(SHORT, caller(5)).status_code == 200  # which it did not use up


# --- usage


def used_of(doors: list[Door], headers: dict[str, str] | None = None) -> list[dict]:
    """By all of them together: one that is asked writes what it has used first."""
    return [door.used(headers) for door in doors][-1]


def totals(rows: list[dict]) -> tuple[int, int, int]:
    return tuple(
        sum(row[name] for row in rows) for name in ("requests", "prompt_tokens", "completion_tokens")
    )


def test_who_leaves_pays_for_what_was_generated_once(apart):
    """[stream-token-accounting]"""
    for number, door in enumerate(apart):
        headers, before, counted = caller(10 + number), totals(used_of(apart)), door.generated
        chunks = 0
        with door.client.stream("POST", CHAT, json=STORY | {"stream": True}, headers=headers) as answer:
            prompt = LIMIT - left_of(answer)
            for line in answer.iter_lines():
                chunks += line.startswith("data: ")
                if chunks == 5:
                    break
        assert eventually(lambda door=door: door.count("generation_running") == 0)
        assert eventually(lambda door=door, now=counted: door.generated > now)
        completion = door.generated - counted
        after = totals(used_of(apart))
        requests, prompts, completions = (now - then for now, then in zip(after, before, strict=True))
        assert (requests, prompts) == (1, prompt)
        assert chunks <= completions == completion <= STORY["max_tokens"]
        time.sleep(1.2)  # the next write
        assert totals(used_of(apart)) == after
        told = door.ask(SHORT, headers)
        paid = LIMIT - left_of(told) - (tokens_of(told)[0] if told.status_code == 200 else 0)
        assert paid == min(prompt + completion, LIMIT)


def test_usage_is_what_the_answers_said_and_the_metrics_say(apart):
    for number, door in enumerate(apart):
        headers, before = caller(20 + number), totals(used_of(apart))
        kinds = ("prompt", "completion", "cached")
        counted = [door.count("generation_tokens_total", kind=kind) for kind in kinds]
        cost, paid = door.count("generation_cost_total"), sum(row["cost"] for row in used_of(apart))
        told = [tokens_of(door.ask(SHORT | {"n": n}, headers)) for n in (1, 2)]
        found = totals(used_of(apart))
        prompt, completion = (sum(one[kind] for one in told) for kind in (0, 1))
        assert [now - then for now, then in zip(found, before, strict=True)] == [2, prompt, completion]
        now = [door.count("generation_tokens_total", kind=kind) for kind in kinds]
        assert [one - then for one, then in zip(now, counted, strict=True)][:2] == [prompt, completion]
        spent = sum(row["cost"] for row in used_of(apart)) - paid
        assert 0 < spent == pytest.approx(door.count("generation_cost_total") - cost)


def test_days_that_are_none_are_refused(apart):
    for door in apart:
        assert door.client.get("/v1/usage?days=7").json()["days"] == 7
        for days in ("0", "367", "x", ""):
            answer = door.client.get(f"/v1/usage?days={days}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid-input")


def test_both_documents_tell_the_same(apart):
    fastapi, flask = (door.client.get("/openapi.json").json() for door in apart)
    assert fastapi["paths"]["/v1/usage"] == flask["paths"]["/v1/usage"]
    assert fastapi["components"]["schemas"] == flask["components"]["schemas"]


@pytest.mark.parametrize("name", FULL)
def test_what_was_used_is_there_after_a_restart(tmp_path, name):
    told = []
    for _ in range(2):
        door = Door(name, {"GENERATION_FOLDER": str(tmp_path)})
        try:
            door.wait()
            told.append(tokens_of(door.ask(SHORT)))
        finally:
            door.stop()
    door = Door(name, {"GENERATION_FOLDER": str(tmp_path)})
    try:
        door.wait()
        [row] = door.used()
    finally:
        door.stop()
    assert row["requests"] == 2
    assert row["prompt_tokens"] == sum(prompt for prompt, _ in told)
    assert row["completion_tokens"] == sum(completion for _, completion in told)


def test_a_table_of_prices_that_is_none_ends_the_server_with_one_line(tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text("currency = 7\n")
    for name in FULL:
        door = Door(name, {"GENERATION_FOLDER": str(tmp_path), "GENERATION_PRICES": str(file)})
        try:
            with suppress(Exception):
                door.wait()
            assert eventually(lambda door=door: not door.server.alive)
            lines = door.server.log.read_text(encoding="utf-8").splitlines()
            assert [line for line in lines if "GENERATION_PRICES: currency" in line] == lines[-1:]
        finally:
            door.stop()


# --- callers, tenants, streams


@pytest.fixture(scope="module")
def guarded(tmp_path_factory) -> Iterator[tuple[list[Door], Callable[[str], dict[str, str]]]]:
    """The doors, and what a request of somebody's carries: a key of their own for each test."""
    folder: Path = tmp_path_factory.mktemp("access")
    accounts = accounts_in(folder)
    for name in ("bob", "carol"):
        accounts.add(name, ["generate"], tenant="physics", password=PASSWORD)
    limits = {"RATE_LIMITS": "generate=4/hour", "MAX_PARALLEL": "1"}
    quotas = {"GENERATION_CALLER_TOKENS": "5000/day", "GENERATION_TENANT_TOKENS": "8000/day"}
    env = {"ACCESS": "on", "ACCESS_PATH": str(folder), "GENERATION_FOLDER": str(folder)}
    with doors_with(env | limits | quotas) as found:
        yield found, lambda name: {"X-API-Key": accounts.add_key(name, "test", [scope_of(name)])[0]}
    accounts.close()


def scope_of(name: str) -> str:
    return name.removeprefix("only-") if name.startswith("only-") else "generate"


def test_a_tenant_sees_its_own_usage_and_me_tells_what_is_left(guarded):
    doors, key_of = guarded
    for door in doors:
        alice, bob = key_of("alice"), key_of("bob")
        before = totals(used_of(doors, key_of("carol")))
        asked = [door.ask(SHORT, bob) for _ in range(2)]
        mine = sum(sum(tokens_of(answer)) for answer in asked)
        told = door.client.get("/me", headers=bob).json()["tokens"]
        assert [(one["of"], one["limit"], one["window_seconds"]) for one in told] == [
            ("caller", 5000, 86400),
            ("tenant", 8000, 86400),
        ]
        assert told[0]["remaining"] == 5000 - mine
        assert all(0 < one["reset_seconds"] <= 86400 for one in told)
        after = totals(door.used(bob))
        assert sum(after[1:]) - sum(before[1:]) == mine and after[0] - before[0] == 2
        assert {row["model"] for row in door.used(alice)} <= {row["model"] for row in door.used(bob)}
        others = door.client.get("/v1/usage", headers=key_of("carol")).json()
        assert others["tenant"] == "physics" and totals(others["data"]) == after
        assert door.client.get("/v1/usage", headers=key_of("only-predict")).status_code == 403
        assert door.client.get("/v1/usage").status_code == 401


def test_a_stream_holds_its_place_until_its_end(guarded):
    doors, key_of = guarded
    for door in doors:
        bob = key_of("bob")
        with door.client.stream("POST", CHAT, json=STORY | {"stream": True}, headers=bob) as answer:
            lines = answer.iter_lines()  # with it, httpx closes the answer
            next(lines)
            refused = httpx.get(f"{door.server.url}/v1/models", headers=bob, trust_env=False)
            assert refused.status_code == 429 and '"parallel";r=0' in refused.headers["RateLimit"]
        assert eventually(lambda door=door: door.count("http_requests_in_flight") == 0)
        assert door.ask(SHORT | {"stream": True}, bob).text.endswith("data: [DONE]\n\n")
        assert door.ask(SHORT, bob).status_code == 200


def test_each_question_on_a_websocket_is_a_request_and_pays_for_its_tokens(guarded):
    doors, key_of = guarded
    for door in doors:
        bob = key_of("bob")
        before = totals(used_of(doors, key_of("carol")))
        url = door.server.url.replace("http", "ws", 1)
        with connect(f"{url}/v1/chat/ws", additional_headers=bob) as socket:  # 1 of 4
            usages = [say(socket, {"type": "chat", "request": SHORT})[-1]["usage"] for _ in range(3)]
            [refused] = say(socket, {"type": "chat", "request": SHORT})
            assert refused["error"]["code"] == "too-many-requests"
            assert "expected at most 4 requests in 3600 seconds" in refused["error"]["message"]
            assert say(socket, {"type": "ping"}) == [{"type": "pong"}]
        assert eventually(lambda door=door: door.count("http_requests_in_flight") == 0)
        told = door.client.get("/me", headers=bob).json()["tokens"][0]
        assert told["remaining"] == 5000 - sum(one["total_tokens"] for one in usages)
        after = totals(used_of(doors, key_of("carol")))
        assert after[0] - before[0] == 3
        assert after[2] - before[2] == sum(one["completion_tokens"] for one in usages)


def say(socket, message: dict) -> list[dict]:
    """What is answered to it, to the end."""
    socket.send(json.dumps(message))
    found = [json.loads(socket.recv(60))]
    while found[-1].get("type") is None:
        found.append(json.loads(socket.recv(60)))
    return found
