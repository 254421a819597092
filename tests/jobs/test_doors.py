"""Jobs over HTTP, left at both servers, with RabbitMQ between them and the workers, and results in Redis.

The names in brackets are those of the cases in the group `jobs-celery-rabbitmq`."""

import time
from collections.abc import Iterator

import amqp
import httpx
import pytest
import redis_server
from classroom.servers import Server, serve
from job_uploads import ROW, ended, problem_of, submit
from pairs import pair
from redis_server import RedisServer

from apps.service.jobs.queue import MOST_MESSAGES, NAME
from model_training import datasets
from model_training.export import export
from model_training.train import train
from tests.waiting import PATIENCE, until

RESULTS = ("result_json", "result_csv")
pytestmark = redis_server.missing


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def env(tmp_path, iris, broker, store) -> dict[str, str]:
    """What servers and workers have in common."""
    jobs = {"JOBS": "on", "JOBS_FOLDER": str(tmp_path / "jobs"), "JOBS_LEASE_SECONDS": "2"}
    return {**jobs, "MODEL_PATH": str(iris), "BROKER_URL": broker.url, "RESULTS_URL": store.url}


def left(server: Server) -> dict:
    answer = submit(server, [ROW])
    assert answer.status_code == 202, answer.text
    return answer.json()


def results(server: Server, job: dict) -> list[httpx.Response]:
    return [server.get(job["links"][kind]) for kind in RESULTS]


def prediction(server: Server, job: dict) -> list:
    """Of a job that may have to be done once more first."""
    until(lambda: server.get(job["links"]["result_json"]).status_code == 200)
    return server.get(job["links"]["result_json"]).json()["prediction"]


def test_results_that_cannot_be_read_are_503_and_those_that_are_gone_or_damaged_are_made_again(env, store):
    """[result-backend-down] What is known of a job stays known."""
    with pair(env) as servers, serve("worker", env=env) as worker:
        for server in servers.values():
            job = ended(server, left(server))
            assert job["state"] == "succeeded"
            store.kill()
            try:
                for answer in results(server, job):
                    assert (answer.status_code, problem_of(answer)) == (503, "jobs-unavailable")
                    assert int(answer.headers["Retry-After"]) >= 1
                assert server.get(job["links"]["self"]).json() == job
                waiting = left(server)
            finally:
                store.start()  # empty
            refused = server.get(job["links"]["result_csv"])
            assert (refused.status_code, problem_of(refused)) == (409, "job-not-done")
            assert refused.headers["Retry-After"] == "1"
            assert prediction(server, job) == prediction(server, waiting) == [0]
            [key] = store.client.keys(f"servelab:job:{job['id']}:*")
            good = store.client.get(key)
            for damaged in (b"", b"no answers", good[:-30], good[:100] + bytes([good[100] ^ 1]) + good[101:]):
                for name in store.client.keys(f"servelab:job:{job['id']}:*"):
                    store.client.set(name, damaged)
                refused = server.get(job["links"]["result_json"])
                assert (refused.status_code, problem_of(refused)) == (409, "job-not-done")
                assert prediction(server, job) == [0]
            assert b'"event":"fault"' not in server.log.read_bytes()
        assert worker.alive


def test_a_job_is_done_with_the_version_that_was_served_when_it_was_left(env, tmp_path):
    """[job-model-version-pinned] Both servers serve another one before a worker begins."""
    folder = tmp_path / "model"
    export(train(datasets.load("iris")), folder)
    env["MODEL_PATH"] = str(folder)
    with pair(env) as servers:
        jobs = {name: left(server) for name, server in servers.items()}
    for path in folder.iterdir():
        path.unlink()
    export(train(datasets.load("breast_cancer")), folder)
    with pair(env) as servers, serve("worker", env=env):
        for name, job in jobs.items():
            server = servers[name]
            assert server.get("/model").json()["name"] != job["model"]["name"]
            assert ended(server, job)["state"] == "succeeded"
            result = server.get(job["links"]["result_json"]).json()
            assert (result["model"], result["prediction"]) == (job["model"], [0])


def fill(broker) -> None:
    """The queue, until the broker takes no more."""
    end = time.monotonic() + PATIENCE
    while (wanting := MOST_MESSAGES - broker.count(NAME)) > 0:
        assert time.monotonic() < end, f"{wanting} messages are wanting"
        with broker.connection() as connection:
            channel = connection.channel()
            for _ in range(wanting):
                channel.basic_publish(amqp.Message(b""), NAME, NAME)


def test_a_full_queue_is_503_at_both_servers_and_nothing_is_half_accepted(env, broker):
    """[job-queue-full]"""
    with pair(env) as servers:
        jobs = [left(server) for server in servers.values()]  # from now on the queue is there
        until(lambda: broker.count(NAME) >= len(jobs))
        fill(broker)
        try:
            for server in servers.values():
                until(lambda server=server: is_refused(server, jobs))
                known = server.get("/jobs").json()
                refused = submit(server, [ROW])
                assert (refused.status_code, problem_of(refused)) == (503, "job-queue-full")
                assert int(refused.headers["Retry-After"]) >= 1
                assert server.get("/jobs").json() == known
                assert {job["id"] for job in known["jobs"]} == {job["id"] for job in jobs}
        finally:
            with broker.connection() as connection:
                connection.channel().queue_purge(NAME)
        for server in servers.values():
            until(lambda server=server: not is_refused(server, jobs))
        with serve("worker", env=env):
            for job in jobs:  # also those whose messages went with the others
                assert ended(servers["flask"], job)["state"] == "succeeded"


def is_refused(server: Server, jobs: list[dict]) -> bool:
    """One more job; what is accepted is noted."""
    answer = submit(server, [ROW])
    if answer.status_code == 202:
        jobs.append(answer.json())
    return answer.status_code == 503
