"""How much a caller may ask for, on both servers alike: counted here, and in a real Redis that may go away.

The names in brackets are those of the cases in the group `api-key-and-rate-limit`."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from classroom.servers import Server
from credentials import PASSWORD, ROW, bearer, eventually, guarded_pair
from pairs import ONE, pair
from redis_server import PASSWORD as OF_REDIS
from redis_server import missing, mute
from waiting_model import QUICK, SLOW, Hold
from wire import request_bytes

PROXY = {"TRUSTED_PROXIES": "127.0.0.0/8"}  # the test is one, and names whichever client it likes
TRIES = 10
SETOSA = b'{"features":[5.1,3.5,1.4,0.2]}'


@pytest.fixture
def model(iris_root) -> dict[str, str]:
    return {"MODEL_PATH": str(iris_root / "models" / "iris")}


@pytest.fixture(scope="module", autouse=True)
def sender() -> Iterator[httpx.Client]:
    """One for all requests: to make one takes longer than a request. Each has a connection of its own."""
    global _sender
    most = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(limits=most, timeout=60, trust_env=False, verify=False) as _sender:
        yield _sender


def predict(server: Server, headers: Mapping[str, str] | None = None, row=ROW) -> httpx.Response:
    return _sender.post(f"{server.url}/predict", json=row, headers=headers)


def client(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


def statuses(servers: Iterable[Server], count: int, headers: Mapping[str, str] | None = None) -> list[int]:
    """Of so many predictions, one after the other, which the servers get in turn."""
    servers = list(servers)
    return [predict(servers[n % len(servers)], headers).status_code for n in range(count)]


async def at_once(servers: list[Server], count: int, request: bytes) -> list[int]:
    """The statuses of so many answers to it, all asked for at the same time, on a connection each."""
    connections = [
        await asyncio.open_connection("127.0.0.1", servers[n % len(servers)].port) for n in range(count)
    ]
    for _, writer in connections:
        writer.write(request)
    answers = await asyncio.gather(*[reader.read() for reader, _ in connections])
    for _, writer in connections:
        writer.close()
    return [int(answer.split(maxsplit=2)[1]) for answer in answers]


def many(servers: Iterable[Server], count: int, headers=None, body: bytes = SETOSA) -> list[int]:
    request = request_bytes("POST", "/predict", {"Content-Type": "application/json", **(headers or {})}, body)
    return asyncio.run(at_once(list(servers), count, request))


def test_each_client_has_so_many_and_each_answer_says_what_is_left(model):
    with pair(model | ONE | PROXY | {"RATE_LIMITS": "predict=3/hour,admin=1/hour"}) as servers:
        for server in servers.values():
            told = [predict(server, client("192.0.2.1")) for _ in range(5)]
            assert [answer.status_code for answer in told] == [200] * 3 + [429] * 2
            assert [answer.headers["RateLimit-Policy"] for answer in told] == ['"predict";q=3;w=3600'] * 5
            left = [answer.headers["RateLimit"].partition(";t=") for answer in told]
            assert [before for before, _, _ in left] == [f'"predict";r={n}' for n in (2, 1, 0, 0, 0)]
            assert all(1 <= int(seconds) <= 3600 for _, _, seconds in left)
            refused = told[-1]
            assert refused.json()["type"] == "/problems/too-many-requests"
            assert refused.headers["Retry-After"] == left[-1][2]
            assert {server.get("/health").status_code for _ in range(10)} == {200}
            assert "RateLimit" not in server.get("/health").headers

            def of(address: str) -> int:
                return predict(server, client(address)).status_code  # noqa: B023

            assert of("192.0.2.2") == 200
            assert of("198.51.100.7, 192.0.2.1") == 429  # on the left a client may write what it likes
            # [rate-ipv6] whoever has a network has 2^64 addresses
            assert [of(f"2001:db8:1:2::{n}") for n in range(1, 6)] == [200] * 3 + [429] * 2
            assert of("2001:db8:1:2:ffff:ffff:ffff:ffff") == 429
            assert of("2001:db8:1:3::1") == 200
            garbage = ("unknown", "a" * 500, "192.0.2.1;", ",,,", "192.0.2.300")
            assert [of(text) for text in garbage] == [200] * 3 + [429] * 2  # all of them are the proxy's


def test_who_waits_as_told_is_served_and_the_turn_of_a_window_is_no_way_round_it(model):
    """[rate-window-edge]"""
    limit = 3
    with pair(model | ONE | {"RATE_LIMITS": f"{limit}/second"}) as servers:
        for server in servers.values():
            answers = [predict(server) for _ in range(6 * limit)]
            refused = [answer for answer in answers if answer.status_code == 429]
            assert refused and {answer.headers["Retry-After"] for answer in refused} == {"1"}
            time.sleep(1)
            assert predict(server).status_code == 200
            for _ in range(TRIES):  # until the machine was quick enough
                time.sleep(1 + (0.9 - time.time()) % 1)  # nothing counts any more, and the turn is near
                begun = time.monotonic()
                found = statuses([server], limit)
                time.sleep(1 - time.time() % 1)
                found += statuses([server], limit)
                if time.monotonic() - begun < 1:
                    assert found == [200] * limit + [429] * limit
                    break
            else:
                pytest.fail("this machine is too slow to send six requests within a second")


def test_keys_and_tenants_have_counts_of_their_own(tmp_path, iris_root):
    """[tenant-quota-isolation]"""
    env = {"RATE_LIMITS": "predict=3/hour", "DAILY_QUOTA": "8", **ONE}
    with guarded_pair(tmp_path, iris_root / "models" / "iris", env) as guarded:
        guarded.accounts.add("bob", ["predict"], tenant="b", password=PASSWORD)
        keys = [guarded.accounts.add_key("alice", f"key {n}", ["predict"])[0] for n in range(2)]
        for server in guarded.servers.values():
            first, second = ({"X-API-Key": key} for key in keys)
            assert statuses([server], 5, first) == [200] * 3 + [429] * 2  # known, and counted all the same
            assert statuses([server], 1, second) == [200]
            me = _sender.get(f"{server.url}/me", headers=first).json()
            [shown] = me["limits"]
            assert 1 <= shown.pop("reset_seconds") <= 3600
            assert shown == {"class": "predict", "limit": 3, "window_seconds": 3600, "remaining": 0}
            assert me["quota"]["limit"] == 8 and me["quota"]["remaining"] == 3
            alice = bearer(guarded.token(server)["access_token"])
            assert statuses([server], 3, alice) == [200] * 3
            refused = predict(server, second)
            assert refused.status_code == 429 and "of one tenant a day" in refused.json()["detail"]
            assert 1 <= int(refused.headers["Retry-After"]) <= 86400
            assert '"day";r=0;t=' in refused.headers["RateLimit"]
            bob = bearer(guarded.token(server, "bob")["access_token"])
            assert statuses([server], 4, bob) == [200] * 3 + [429]  # who has a limit of his own too


@missing
def test_two_workers_each_of_both_servers_let_exactly_so_many_through(model, redis):
    """[rate-concurrent]"""
    env = {
        "RATE_LIMITS": "100/day",  # of an hour, one comes back every 36 s
        "REDIS_URL": redis.url,
        "WORKERS": "2",
        "MAX_IN_FLIGHT": "200",
        "REDIS_TIMEOUT_SECONDS": "5",
    }
    with pair(model | PROXY | env) as servers:
        for n in range(3):
            found = many(servers.values(), 200, client(f"192.0.2.{n}"))
            assert (found.count(200), found.count(429)) == (100, 100)
        for server in servers.values():
            assert "does not answer" not in server.log.read_text(encoding="utf-8")


@missing
def test_who_asks_one_after_the_other_has_no_more_than_one_at_a_time(model, redis):
    """A slot in Redis is given back after its answer: whoever asks again at once, of another server too, may
    not find it taken."""
    env = {"MAX_PARALLEL": "1", "REDIS_URL": redis.url, "REDIS_TIMEOUT_SECONDS": "5"}
    with pair(model | ONE | env) as servers, httpx.Client(trust_env=False, timeout=60) as kept:
        for n in range(300):
            server = [*servers.values()][n // 2 % 2]  # twice at each
            answer = kept.post(f"{server.url}/predict", json=ROW)
            assert answer.status_code == 200, (n, answer.text)


@missing
def test_redis_goes_away_and_comes_back(waiting_env, holding, redis):
    """[rate-storage-down]"""
    env = {"RATE_LIMITS": "4/hour", "MAX_PARALLEL": "2", "REDIS_URL": redis.url, "REDIS_TIMEOUT_SECONDS": "1"}
    with pair(waiting_env | ONE | PROXY | env) as servers:
        both = list(servers.values())
        assert statuses_of(both, 6, "192.0.2.1") == [200] * 4 + [429] * 2
        with Hold(holding) as hold, ThreadPoolExecutor(2) as pool:
            held = [pool.submit(answer_of, server, "192.0.2.2", SLOW) for server in both]
            assert eventually(lambda: redis.client.zcard("servelab:slot:parallel:0:address:192.0.2.2") == 2)
            assert 0 < redis.client.pttl("servelab:slot:parallel:0:address:192.0.2.2") <= 30_000
            for server in both:
                refused = answer_of(server, "192.0.2.2", QUICK)
                assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
                assert '"parallel";r=0' in refused.headers["RateLimit"]
                other = _sender.get(f"{server.url}/model", headers=client("192.0.2.3"))
                assert other.status_code == 200 and '"parallel";r=1' in other.headers["RateLimit"]
            hold.release()
            assert [answer.result().status_code for answer in held] == [200, 200]
        assert eventually(lambda: not redis.client.keys("servelab:slot:*"))

        for n, (leave, back) in enumerate([(redis.kill, redis.start), (redis.silence, redis.wake)], 4):
            leave()
            for server in both:  # each for itself
                assert statuses_of([server], 6, f"192.0.2.{n}") == [200] * 4 + [429] * 2
            back()
            assert all(eventually(lambda s=server, n=n: said(s, "counted there") == n - 2) for server in both)
            assert statuses_of(both, 6, f"198.51.100.{n}") == [200] * 4 + [429] * 2  # together again
            assert all(said(server, "Redis does not answer") == n - 3 for server in both)
        assert not any(said(server, OF_REDIS) for server in both)


def answer_of(server: Server, address: str, row: list[float]) -> httpx.Response:
    return predict(server, client(address), {"features": row})


def statuses_of(servers: list[Server], count: int, address: str) -> list[int]:
    return [answer_of(servers[n % len(servers)], address, QUICK).status_code for n in range(count)]


def said(server: Server, words: str) -> int:
    return server.log.read_text(encoding="utf-8").count(words)


def test_a_redis_that_was_never_there_costs_nobody_an_answer_and_slots_come_back(model):
    with mute() as redis:
        env = {"RATE_LIMITS": "60/hour", "MAX_PARALLEL": "2", "REDIS_URL": redis.url}
        with pair(model | ONE | env) as servers:
            for server in servers.values():
                assert set(many([server], 20)) <= {200, 429}
                assert set(many([server], 20, body=b"[")) <= {400, 429}
                assert predict(server).status_code == 200
                found = [predict(server, client(f"192.0.2.{n}")).status_code for n in range(70)]
                let_in = found.index(429)
                assert found == [200] * let_in + [429] * (70 - let_in)
                assert said(server, "Redis does not answer: limits are counted here") == 1
                assert said(server, OF_REDIS) == 0
        assert redis.callers < 60  # it is looked for every three seconds, and not by 222 requests


@missing
def test_guesses_are_counted_together(redis, tmp_path, iris_root):
    env = {"REDIS_URL": redis.url, "REDIS_TIMEOUT_SECONDS": "5", **ONE, **PROXY}
    with guarded_pair(tmp_path, iris_root / "models" / "iris", env) as guarded:
        urls = [server.url for server in guarded.servers.values()]

        def tried(count: int, address: str, name: str, password: str = "wrong") -> list[int]:
            form = {"username": name, "password": password}
            told = client(address)
            return [
                _sender.post(f"{urls[n % 2]}/token", data=form, headers=told).status_code
                for n in range(count)
            ]

        assert tried(2, "192.0.2.1", "alice", PASSWORD) == [200] * 2  # right ones do not count
        assert tried(12, "192.0.2.1", "alice") == [401] * 10 + [429] * 2
        assert tried(2, "192.0.2.2", "alice", PASSWORD) == [429] * 2
        assert tried(2, "192.0.2.1", "only-jobs", PASSWORD) == [200] * 2
        keys = redis.client.keys()
        assert keys and all(redis.client.pttl(key) > 0 and b"alice" not in key for key in keys)
