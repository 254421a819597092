"""Results that are kept, by both full servers alike: in each process, and in a real Redis that does anything.

The names in brackets are those of the cases in the group `cache-redis`."""

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
import redis
from classroom.servers import Server, free_port
from counted_model import CountedSum
from credentials import eventually
from pairs import FULL, ONE
from redis_server import PASSWORD, RedisServer, missing
from waiting_model import Hold, environment
from wire import request_bytes

from model_training.adopt import adopt

MISS, STORED = "servelab; fwd=miss", "servelab; fwd=miss; stored"
JOINED = "servelab; fwd=miss; collapsed"
HIT = re.compile(r"servelab; hit; ttl=\d+").fullmatch
AWAY = re.compile(r"servelab; fwd=bypass; detail=redis-(away|slow)").fullmatch
PATIENT = {"REDIS_TIMEOUT_SECONDS": "1"}  # a busy machine takes more than the 0.05 of a server
NEW = itertools.count(2)  # for rows that nobody has asked for


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the model tells how often it was asked, and is told to wait or to fail."""
    return tmp_path_factory.mktemp("counted")


@pytest.fixture(scope="module")
def versions(tmp_path_factory) -> list[Path]:
    """Two versions of a model of the same name, the second of which answers 100 more."""
    return [made(tmp_path_factory.mktemp("model"), more) for more in (0.0, 100.0)]


def made(root: Path, more: float) -> Path:
    rows = np.array([[0.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    joblib.dump(CountedSum(more).fit(rows, rows.sum(axis=1)), root / "counted.pkl")
    adopt(root / "counted.pkl", "counted", None, root)
    return root / "models" / "counted"


@contextmanager
def caching(env: Mapping[str, str]) -> Iterator[dict[str, Server]]:
    """Both servers, with a port for metrics each: `metrics_of` knows it."""
    base = {"CACHE": "on", "LOG_FORMAT": "json", "MAX_IN_FLIGHT": "300", "PREDICT_TIMEOUT_SECONDS": "60"}
    servers = {}
    try:
        for name in FULL:
            metrics = free_port()
            servers[name] = Server(name, env=ONE | base | {"METRICS_PORT": str(metrics)} | env)
            _metrics[servers[name].url] = metrics
        for server in servers.values():
            server.wait()
        yield servers
    finally:
        for server in servers.values():
            server.stop()


_metrics: dict[str, int] = {}


@pytest.fixture(scope="module")
def here(versions, folder) -> Iterator[dict[str, Server]]:
    with caching(environment(versions[0], folder)) as servers:
        yield servers


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def shared(versions, folder, store) -> Iterator[dict[str, Server]]:
    """With Redis."""
    with caching(environment(versions[0], folder) | {"REDIS_URL": store.url} | PATIENT) as servers:
        yield servers


@pytest.fixture(params=["here", pytest.param("shared", marks=missing)])
def servers(request) -> list[Server]:
    """With either place for results; Redis answers."""
    found = list(request.getfixturevalue(request.param).values())
    if request.param == "shared":
        await_redis(found)
    return found


@pytest.fixture(params=FULL)
def server(request, shared) -> Server:
    """One after the other, with Redis, which answers."""
    await_redis([shared[request.param]])
    return shared[request.param]


def await_redis(servers: list[Server]) -> None:
    for server in servers:
        assert eventually(lambda s=server: status_of(ask(s, new())) == STORED)


def new() -> list[float]:
    return [float(next(NEW)), 0.5]


def ask(server: Server, row: list[float], request_id: str = "same") -> httpx.Response:
    return server.post("/predict", json={"features": row}, headers={"X-Request-ID": request_id})


def status_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.headers["Cache-Status"]


def rightly(answer: httpx.Response, row: list[float], more: float = 0.0) -> str:
    """Its Cache-Status, if it is the right answer."""
    assert answer.json()["prediction"] == [sum(row) + more]
    return status_of(answer)


def metrics_of(server: Server) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{_metrics[server.url]}/metrics", trust_env=False).text
    return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", text, re.MULTILINE)}


def counted(folder: Path) -> int:
    """The rows that were really predicted so far."""
    path = folder / "counted"
    return path.stat().st_size if path.exists() else 0


def predicted(metrics: Mapping[str, float]) -> float:
    return sum(value for name, value in metrics.items() if name.startswith("predictions_total"))


def test_the_second_answer_is_the_first_one_without_the_model(servers, folder):
    """[cache-hit-equal]"""
    for server in servers:
        row, before, was = new(), metrics_of(server), counted(folder)
        first, second = ask(server, row), ask(server, row)
        assert first.content == second.content and rightly(first, row) == STORED
        assert HIT(rightly(second, row)) and counted(folder) == was + 1
        after = metrics_of(server)
        assert predicted(after) == predicted(before) + 2
        for result in ("hit", "miss"):
            name = f'cache_requests_total{{result="{result}"}}'
            assert after[name] == before.get(name, 0) + 1


def test_every_route_that_predicts_profits_and_only_what_asked_the_cache_says_so(servers):
    for server in servers:
        rows = [new() for _ in range(3)]
        asked = {"name": "features", "shape": [3, 2], "datatype": "FP64", "data": rows}
        one = server.post("/predict/batch", json={"instances": rows})
        two = server.post("/v2/models/counted/infer", json={"inputs": [asked]})
        assert status_of(one) == STORED and HIT(status_of(two))
        assert one.json()["prediction"] == two.json()["outputs"][0]["data"] == [sum(row) for row in rows]
        assert status_of(ask(server, rows[0])) == STORED  # other rows than these three
        many = server.post("/predict/batch", json={"instances": [new() for _ in range(65)]})
        assert many.status_code == 200 and "Cache-Status" not in many.headers
        for answer in (server.get("/health"), server.post("/predict", json={"features": [1.0]})):
            assert "Cache-Status" not in answer.headers


def test_an_error_is_not_kept(servers, folder):
    """[cache-error-not-stored]"""
    for server in servers:
        row = new()
        assert server.post("/predict", json={"features": [*row, 1.0]}).status_code == 400
        assert server.post("/predict", json={"features": ["1.0", "2.0"]}).status_code == 400
        (folder / "fail").touch()
        try:
            for _ in range(2):
                failed = ask(server, row)
                assert failed.status_code == 400 and failed.headers["Cache-Status"] == MISS
        finally:
            (folder / "fail").unlink()
        assert rightly(ask(server, row), row) == STORED
        assert HIT(rightly(ask(server, row), row))


async def at_once(server: Server, row: list[float], count: int, meanwhile: Callable) -> list[tuple]:
    """Status, Cache-Status and body of so many answers, all of them asked for before `meanwhile`."""
    head = {"Content-Type": "application/json", "X-Request-ID": "same"}
    request = request_bytes("POST", "/predict", head, json.dumps({"features": row}).encode())
    connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)]
    for _, writer in connections:
        writer.write(request)
    try:
        await asyncio.to_thread(meanwhile)
        answers = await asyncio.gather(*[reader.read() for reader, _ in connections])
    finally:
        for _, writer in connections:
            writer.close()
    found = [answer.partition(b"\r\n\r\n") for answer in answers]
    told = [re.search(rb"cache-status: ([^\r]+)", head.lower())[1].decode() for head, _, _ in found]
    return [(int(head.split()[1]), said, body) for (head, _, body), said in zip(found, told, strict=True)]


def test_two_hundred_at_once_are_computed_once(servers, folder):
    """[cache-stampede]"""
    for server in servers:
        row, was = [1.0, float(next(NEW))], counted(folder)
        with Hold(folder) as hold:

            def meanwhile(server=server, hold=hold) -> None:
                assert eventually(lambda: metrics_of(server)["http_requests_in_flight"] == 200)
                hold.release()

            answers = asyncio.run(at_once(server, row, 200, meanwhile))
        assert {(status, body) for status, _, body in answers} == {(200, ask(server, row).content)}
        assert counted(folder) == was + 1
        told = [said for _, said, _ in answers]
        assert (told.count(STORED), told.count(JOINED)) == (1, 199)


@missing
def test_what_one_server_has_computed_the_other_one_knows(shared):
    fastapi, flask = shared.values()
    await_redis([fastapi, flask])
    for first, second in ((fastapi, flask), (flask, fastapi)):
        row = new()
        assert rightly(ask(first, row), row) == STORED
        assert HIT(rightly(ask(second, row), row))


@missing
def test_a_version_never_answers_with_what_another_one_has_computed(shared, versions, folder, store):
    """[cache-key-version]"""
    await_redis(list(shared.values()))
    with caching(environment(versions[1], folder) | {"REDIS_URL": store.url} | PATIENT) as successors:
        for name in FULL:
            old, new_one, row = shared[name], successors[name], [1.0, float(next(NEW))]
            with Hold(folder) as hold:

                def meanwhile(hold=hold, new_one=new_one, row=row) -> None:
                    hold.await_begin()
                    hold.release()
                    assert rightly(ask(new_one, row), row, more=100) == STORED

                [(status, _, body)] = asyncio.run(at_once(old, row, 1, meanwhile))
            assert status == 200 and json.loads(body)["prediction"] == [sum(row)]
            assert HIT(rightly(ask(new_one, row), row, more=100))
            assert HIT(rightly(ask(old, row), row))


@missing
def test_no_two_names_and_versions_have_a_key_in_common(iris_root, store, tmp_path):
    """[cache-key-delimiter]"""
    started = []
    try:
        for kind, (name, version) in zip(FULL, [("a:b", "c"), ("a", "b:c")], strict=True):
            model = tmp_path / kind
            model.mkdir()
            for file in (iris_root / "models" / "iris").iterdir():
                (model / file.name).write_bytes(file.read_bytes())
            card = json.loads((model / "card.json").read_text(encoding="utf-8"))
            card |= {"name": name, "version": version}
            (model / "card.json").write_text(json.dumps(card), encoding="utf-8")
            env = {"CACHE": "on", "REDIS_URL": store.url, "MODEL_PATH": str(model), "METRICS_PORT": "0"}
            started.append(Server(kind, env=env | PATIENT | ONE))
        for server in started:
            server.wait()
        for told in ([STORED] * 2, ["servelab; hit; ttl="] * 2):
            answers = [ask(server, [5.1, 3.5, 1.4, 0.2]) for server in started]
            assert [status_of(answer).rstrip("0123456789") for answer in answers] == told
            models = [answer.json()["model"] for answer in answers]
            assert [(one["name"], one["version"]) for one in models] == [("a:b", "c"), ("a", "b:c")]
    finally:
        for server in started:
            server.stop()


@missing
def test_every_key_has_an_end(shared, store):
    """[cache-ttl]"""
    await_redis(list(shared.values()))
    keys = store.client.keys("servelab:result:*")
    ends = [store.client.pttl(key) for key in store.client.scan_iter()]  # milliseconds; -2 where it has gone
    assert keys and max(ends) > 0 and all(0 < end <= 300_000 or end == -2 for end in ends), ends
    assert all(re.fullmatch(rb"servelab:result:[0-9a-f]{64}", key) for key in keys)


def poison(client: redis.Redis, key: bytes) -> Iterator[None]:
    """One thing after the other that no server of ours has written there."""
    for text in (b"", b"\xff\xfe", b"[[1.0],null", b"[[7,7],null]", b'[["7"],null]', b"[[true],null]"):
        client.set(key, text, px=60_000)
        yield
    for text in (
        b"[[NaN],null]",
        b"[[1e999],null]",
        b"[[7],[[0.5]]]",
        b"{}",
        b"[[7.0],null]" + b" " * (2 << 20),
    ):
        client.set(key, text, px=60_000)
        yield
    client.delete(key)
    client.lpush(key, "[[7.0],null]")
    yield
    client.set(key, "[[7.0],null]")  # without an end
    yield


@missing
def test_what_redis_says_is_not_believed_unseen(server, store):
    store.client.flushdb()
    row = new()
    ask(server, row)
    [key] = store.client.keys("servelab:result:*")
    for _ in poison(store.client, key):
        assert rightly(ask(server, row), row) == STORED
        assert HIT(rightly(ask(server, row), row))
        assert 0 < store.client.pttl(key) <= 300_000


@contextmanager
def silent(store: RedisServer) -> Iterator[None]:
    store.silence()
    yield
    store.wake()


@contextmanager
def killed(store: RedisServer) -> Iterator[None]:
    store.kill()
    yield
    store.start()


@contextmanager
def replica(store: RedisServer) -> Iterator[None]:
    store.client.replicaof("127.0.0.1", str(free_port()))
    yield
    store.client.replicaof("NO", "ONE")


@contextmanager
def another_password(store: RedisServer) -> Iterator[None]:
    store.client.config_set("requirepass", "another")
    store.client.client_kill_filter(_type="normal", skipme=True)
    yield
    with redis.Redis(port=store.port, password="another") as client:
        client.config_set("requirepass", PASSWORD)


@contextmanager
def full(store: RedisServer) -> Iterator[None]:
    store.client.config_set("maxmemory", 1)
    yield
    store.client.config_set("maxmemory", 0)


FAULTS = {  # by the case's name: what happens to Redis, and what the log then calls it
    "cache-down-silent": (silent, "TimeoutError"),
    "cache-restart": (killed, "ConnectionError"),
    "cache-readonly-replica": (replica, "ReadOnlyError"),
    "cache-auth-required": (another_password, "AuthenticationError"),
    "full": (full, "OutOfMemoryError"),
}


@missing
@pytest.mark.parametrize("case", FAULTS)
def test_a_redis_that_fails_fails_no_request_and_is_found_again(shared, store, case):
    servers, (fault, name) = list(shared.values()), FAULTS[case]
    await_redis(servers)
    lines = [server.log.read_text(encoding="utf-8").count("\n") for server in servers]
    pids = [server.process.pid for server in servers]
    with fault(store):
        for server in servers:
            rows = [new() for _ in range(10)]
            told = [rightly(ask(server, row), row) for row in rows + rows]
            assert told[0] == MISS or AWAY(told[0])  # what cannot be written could be looked for
            assert all(AWAY(said) for said in told[1:])
            assert metrics_of(server)["cache_shared"] == 0
    await_redis(servers)
    for server, before in zip(servers, lines, strict=True):
        row = new()
        assert rightly(ask(server, row), row) == STORED and HIT(rightly(ask(server, row), row))
        assert metrics_of(server)["cache_shared"] == 1
        text = server.log.read_text(encoding="utf-8")
        logged = [json.loads(line) for line in text.splitlines()[before:]]
        turns = [(line["event"], line.get("error")) for line in logged if "Redis" in line["event"]]
        assert turns == [
            ("Redis does not answer: results are computed anew", name),
            ("Redis answers: results are kept there", None),
        ]
        assert PASSWORD not in text
    assert [server.process.pid for server in servers] == pids and all(server.alive for server in servers)
