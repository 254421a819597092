"""Jobs with real workers: the embedded default, and RabbitMQ with results in Redis, each killed.

The names in brackets are those of the cases in the group `jobs-celery-rabbitmq`."""

import json
import os
import pickle
import signal
import socket
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import redis_server
from classroom.servers import Server
from rabbitmq_server import missing, rabbitmq
from site_of_jobs import ANYBODY, Site, rows_of, site
from sqlalchemy import update
from waiting_model import QUICK, SLOW, Hold

from apps.service.jobs.queue import DEAD, NAME, TASK
from apps.service.jobs.records import ChunkRecord, Unavailable
from apps.service.problems import Problem
from model_training import datasets
from model_training.export import export
from model_training.train import train
from tests.waiting import PATIENCE, until

BACKS = ("embedded", "rabbitmq")
SLOW_JOB = [QUICK] * 10 + [SLOW] * 10 + [QUICK] * 10  # of three chunks; the one in the middle can be held up


@pytest.fixture(params=BACKS)
def back(request) -> dict[str, str]:
    """The settings of one of the two."""
    if request.param == "embedded":
        return {}
    return {"BROKER_URL": request.getfixturevalue("broker").url}


@pytest.fixture
def with_results(request, back) -> dict[str, str]:
    """The same; RabbitMQ with Redis for the results."""
    if not back or redis_server.missing.args[0]:
        return back
    return {**back, "RESULTS_URL": request.getfixturevalue("redis").url}


@pytest.fixture
def hold(waiting) -> Hold:
    return Hold(Path(waiting["WAITING_MODEL"]))


def slow_site(tmp_path: Path, waiting: dict[str, str], **more: str):
    return site(tmp_path, Path(waiting["MODEL_PATH"]), **{**waiting, **more})


def lines(worker: Server) -> list[dict]:
    return [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]


def chunks(worker: Server, state: str = "done") -> list[dict]:
    return [line for line in lines(worker) if line["event"] == "chunk" and line["state"] == state]


def awaited(worker: Server, count: int) -> list[dict]:
    """The lines of as many chunks: one is written after the state of its job."""
    end = time.monotonic() + PATIENCE
    while worker.alive and len(chunks(worker)) < count and time.monotonic() < end:
        time.sleep(0.05)
    return chunks(worker)


def ended(worker: Server) -> int:
    return worker.process.wait(PATIENCE)


def assert_right(found: Site, id: str) -> None:
    """Every row answered, once."""
    np.testing.assert_array_equal(found.predictions(id), np.sum(SLOW_JOB, axis=1))


def test_a_job_is_done_and_its_worker_tells_of_it(tmp_path, iris, with_results):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with site(tmp_path, iris, **with_results) as found:
        worker = found.worker()
        job = found.submit(rows_of(45), request_id="the-request", trace=trace)
        job = found.await_state(job.id, "succeeded")
        assert job.rows_done == 45
        np.testing.assert_array_equal(found.predictions(job.id), found.model.predict(rows_of(45))[0])
        told = awaited(worker, 5)
        assert sorted(line["chunk"] for line in told) == [0, 1, 2, 3, 4]
        assert {line["request_id"] for line in told} == {"the-request"}
        assert {line["trace_id"] for line in told} == {trace.split("-")[1]}
        assert httpx.get(f"{worker.url}/health/live").json() == {"status": "live"}
        assert httpx.get(f"{worker.url}/health/ready").json()["app"] == "worker"
        metrics = httpx.get(f"{worker.url}/metrics").text
        assert 'job_chunks_total{state="done"} 5.0' in metrics and "job_rows_total 45.0" in metrics
        assert httpx.get(f"{worker.url}/metrics", headers={"Host": "evil.example"}).status_code == 400
        if "RESULTS_URL" in with_results:
            lost(found, job.id)


def lost(found: Site, id: str) -> None:
    """Redis has forgotten the results: the job is done once more."""
    found.jobs.results._client.flushall()
    with pytest.raises(Problem, match="not ended"):
        found.jobs.result(ANYBODY, id)
    assert found.await_state(id, "succeeded").rows_done == 45
    np.testing.assert_array_equal(found.predictions(id), found.model.predict(rows_of(45))[0])


def test_a_worker_is_killed_amid_a_chunk_and_another_does_it(tmp_path, waiting, hold, back):
    """[worker-child-sigkill-reject, worker-parent-sigkill-acks-late] A worker here is one process. In the
    file a message is gone once it is read, as with an early acknowledgement."""
    with slow_site(tmp_path, waiting, **back) as found:
        worker = found.worker()
        with hold:
            job = found.submit(SLOW_JOB)
            hold.await_begin()
            worker.process.kill()
            assert ended(worker) == -signal.SIGKILL
        other = found.worker()
        assert found.await_state(job.id, "succeeded").rows_done == 30
        assert_right(found, job.id)
        attempts = until(lambda: [line["attempt"] for line in chunks(other) if line["chunk"] == 1])
        assert attempts == [2]


@pytest.mark.parametrize("back", BACKS[:1], indirect=True)
def test_a_chunk_whose_workers_are_all_killed_fails_its_job(tmp_path, waiting, hold, back):
    """[worker-child-sigkill-early-ack] No message is left, and the job does not wait for ever."""
    with slow_site(tmp_path, waiting, **back) as found:
        with hold:
            job = found.submit(SLOW_JOB)
            with found.jobs.database.session() as session:
                session.execute(update(ChunkRecord).values(last_attempt=2))  # five take longer
            for _ in range(2):
                (hold.folder / "predicting-began").unlink(missing_ok=True)
                worker = found.worker()
                hold.await_begin()
                worker.process.kill()
                assert ended(worker) == -signal.SIGKILL
        found.worker()
        job = found.await_state(job.id, "failed")
        assert job.error == "chunk 2 was tried 2 times; its worker ended each time"


def test_told_to_stop_a_worker_finishes_its_chunk(tmp_path, waiting, hold, back):
    with slow_site(tmp_path, waiting, **back) as found:
        worker = found.worker(GRACE_SECONDS="50")
        with hold:
            job = found.submit(SLOW_JOB)
            hold.await_begin()
            worker.process.terminate()
            end = time.monotonic() + PATIENCE
            while httpx.get(f"{worker.url}/health/ready").status_code != 503:
                assert time.monotonic() < end
            assert httpx.get(f"{worker.url}/health/live").status_code == 200
        assert ended(worker) == 0
        assert 1 in [line["chunk"] for line in chunks(worker)]
        found.worker()
        found.await_state(job.id, "succeeded")
        assert_right(found, job.id)


def test_what_it_cannot_finish_in_time_it_gives_back_and_told_twice_it_ends_at_once(
    tmp_path, waiting, hold, back
):
    with slow_site(tmp_path, waiting, JOBS_LEASE_SECONDS="30", **back) as found:
        worker = found.worker(GRACE_SECONDS="0.2")
        with hold:
            job = found.submit(SLOW_JOB)
            hold.await_begin()
            worker.process.terminate()
            assert ended(worker) == 0
            (hold.folder / "predicting-began").unlink()
            impatient = found.worker(GRACE_SECONDS="50")
            hold.await_begin()  # before the lease would have ended
            impatient.process.terminate()
            time.sleep(0.2)
            impatient.process.terminate()
            assert ended(impatient) == 1
        assert found.jobs.get(ANYBODY, job.id).state == "running"


def test_messages_that_are_no_calls_are_refused_and_the_worker_lives(tmp_path, iris, back, request):
    """[task-pickle, task-unknown-name]"""

    class Evil:
        def __reduce__(self):
            return os._exit, (66,)

    with site(tmp_path, iris, **back) as found:
        worker = found.worker()
        celery = found.jobs.calls.celery
        celery.send_task("servelab.unknown", ("a",))
        for arguments in ((), ("a",), (1, "a"), ({"a": 1}, 2), ("nothing", 0)):
            celery.send_task(TASK, arguments)
        with celery.producer_pool.acquire(block=True) as producer:
            headers = {"task": TASK, "id": "an-id", "lang": "py"}
            evil = pickle.dumps((("secret-text",), {}, {}))
            whole = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
            queue = celery.amqp.queues[NAME]
            to = {"exchange": queue.exchange, "routing_key": queue.routing_key}
            producer.publish(evil, headers=headers, **whole, **to)
            producer.publish(pickle.dumps(Evil()), headers=headers, **whole, **to)
            producer.publish(b"secret-text", content_type="application/json", headers=headers, **to)
            producer.publish(b"secret-text", content_type="text/plain", **to)
        job = found.submit(rows_of(10))
        found.await_state(job.id, "succeeded")
        assert len(awaited(worker, 1)) == 1 and worker.alive
        text = worker.log.read_text()
        assert "no call to a chunk was refused" in text and "secret-text" not in text
        if back:
            broker = request.getfixturevalue("broker")
            until(lambda: broker.count(DEAD) >= 9, lambda: broker.count(DEAD))
            assert broker.count(NAME) == 0
            with broker.connection() as connection, connection.channel() as channel:
                channel.queue_purge(DEAD)


def test_a_job_has_the_model_that_it_was_submitted_to(tmp_path, iris_root):
    """Another one lies at MODEL_PATH before a worker begins."""
    folder = tmp_path / "model"
    iris = train(datasets.load("iris"))
    export(iris, folder)
    with site(tmp_path, folder) as found:
        job = found.submit(rows_of(10))
        expected = found.model.predict(rows_of(10))[0]
        for path in folder.iterdir():
            path.unlink()
        (folder / "card.json").write_text("{}")
        worker = found.worker()
        found.await_state(job.id, "succeeded")
        np.testing.assert_array_equal(found.predictions(job.id), expected)
        told = [line["model"] for line in lines(worker) if line["event"] == "model loaded"]
        assert told == [f"{found.serving.name} {found.serving.version}"]
        job = found.submit(rows_of(10))  # of a version that is known by now
        found.await_state(job.id, "succeeded")


def test_the_embedded_default_keeps_its_jobs_over_a_restart_of_everything(tmp_path, iris):
    with site(tmp_path, iris) as found:
        worker = found.worker()
        done = found.submit(rows_of(20))
        found.await_state(done.id, "succeeded")
        worker.process.kill()
        ended(worker)
        waiting = found.submit(rows_of(20))
    with site(tmp_path, iris) as again:
        assert again.jobs.get(ANYBODY, waiting.id).state == "queued"
        again.worker()
        again.await_state(waiting.id, "succeeded")
        for job in (done, waiting):
            np.testing.assert_array_equal(again.predictions(job.id), again.model.predict(rows_of(20))[0])


@redis_server.missing
def test_results_that_cannot_be_kept_are_kept_once_redis_is_back(tmp_path, waiting, hold, redis, broker):
    with slow_site(tmp_path, waiting, BROKER_URL=broker.url, RESULTS_URL=redis.url) as found:
        worker = found.worker()
        with hold:
            job = found.submit(SLOW_JOB)
            hold.await_begin()
            redis.kill()
        end = time.monotonic() + PATIENCE
        while httpx.get(f"{worker.url}/health/ready").status_code != 503:
            assert time.monotonic() < end
        time.sleep(1)  # the worker tries, in vain
        assert found.jobs.get(ANYBODY, job.id).state == "running"
        redis.start()
        found.await_state(job.id, "succeeded")
        redis.kill()
        with pytest.raises(Unavailable):
            found.jobs.result(ANYBODY, job.id)
        redis.start()  # empty: what was done before is done again
        with pytest.raises(Problem, match="not ended"):
            found.jobs.result(ANYBODY, job.id)
        found.await_state(job.id, "succeeded")
        assert_right(found, job.id)


def test_a_broker_is_killed_amid_a_chunk_and_the_job_is_done_once(tmp_path, waiting, hold, broker):
    """[broker-kill9-mid-task]"""
    with slow_site(tmp_path, waiting, BROKER_URL=broker.url) as found:
        worker = found.worker()
        with hold:
            job = found.submit(SLOW_JOB)
            hold.await_begin()
            broker.kill()
            later = found.submit(SLOW_JOB)  # accepted, though nobody can be called
        until(lambda: httpx.get(f"{worker.url}/health/ready").status_code == 503)
        broker.start()
        for one in (job, later):
            found.await_state(one.id, "succeeded", patience=2 * PATIENCE)
            assert_right(found, one.id)
        done = [(line["job"], line["chunk"]) for line in awaited(worker, 6)]
        assert len(done) == len(set(done)) == 6


@missing
def test_a_broker_that_takes_a_busy_worker_for_dead_has_the_job_done_once(tmp_path, waiting, hold):
    """[consumer-timeout] The broker closes the worker's channel, and gives the message to the next one."""
    (tmp_path / "rabbitmq").mkdir()
    with (
        rabbitmq(tmp_path / "rabbitmq", consumer_timeout=3000) as broker,
        slow_site(tmp_path, waiting, BROKER_URL=broker.url) as found,
    ):
        worker = found.worker()
        with hold:
            job = found.submit(SLOW_JOB)
            hold.await_begin()
            end = time.monotonic() + PATIENCE
            while broker.count(NAME) < 2:  # the one that waits, and the one that was taken back
                assert time.monotonic() < end
                time.sleep(0.1)
        found.await_state(job.id, "succeeded")
        assert_right(found, job.id)
        later = found.submit(SLOW_JOB)
        found.await_state(later.id, "succeeded")
        assert worker.alive
        done = [(line["job"], line["chunk"]) for line in awaited(worker, 6)]
        assert len(done) == len(set(done)) == 6


def test_a_database_is_killed_amid_a_chunk_and_the_job_is_done(
    tmp_path, waiting, hold, running_postgres, database_url
):
    with slow_site(tmp_path, waiting, DATABASE_URL=database_url) as found:
        found.worker()
        with hold:
            job = found.submit(SLOW_JOB)
            hold.await_begin()
            running_postgres.stop()
        try:
            with pytest.raises(Unavailable):
                found.jobs.get(ANYBODY, job.id)
        finally:
            running_postgres.start()
        found.await_state(job.id, "succeeded")
        assert_right(found, job.id)


def test_who_waits_for_rabbitmq_asks_every_few_seconds_whether_it_is_there(tmp_path, iris, broker):
    """Where one of them was cut off, nobody tells the other."""
    with (
        site(tmp_path, iris, BROKER_URL=broker.url) as found,
        found.jobs.calls.celery.connection_for_read() as connection,
    ):
        asked = connection.connection.transport.sock
        assert asked.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert asked.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10


def test_rabbitmq_keeps_messages_in_a_quorum_queue_that_refuses_when_it_is_full(tmp_path, iris, broker):
    """RabbitMQ takes a second declaration only if it is the same as the first."""
    with site(tmp_path, iris, BROKER_URL=broker.url) as found:
        found.worker()
        declared = {
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "servelab.jobs.dead",
            "x-delivery-limit": 20,
            "x-max-length": 100_000,
            "x-overflow": "reject-publish",
        }
        with broker.connection() as connection:
            connection.channel().queue_declare(NAME, durable=True, auto_delete=False, arguments=declared)
        assert found.jobs.calls.celery.connection().transport_options["confirm_publish"]


def test_a_silent_broker_keeps_nobody_from_being_accepted(tmp_path, iris, broker):
    with site(tmp_path, iris, BROKER_URL=broker.url) as found:
        broker.silence()
        try:
            job = found.submit(rows_of(10))
            assert found.jobs.get(ANYBODY, job.id).state == "queued"
        finally:
            broker.wake()
        found.worker()
        found.await_state(job.id, "succeeded")


def test_a_chunk_that_takes_too_long_ends_its_worker_and_is_tried_again(tmp_path, waiting, hold):
    with slow_site(tmp_path, waiting, JOBS_LEASE_SECONDS="0.6") as found:
        with hold:
            job = found.submit(SLOW_JOB)
            assert ended(found.worker(JOBS_CHUNK_SECONDS="0.5")) == 1
        found.worker()
        found.await_state(job.id, "succeeded")
        assert_right(found, job.id)


def test_a_model_that_fails_fails_its_job_and_tells_nothing_of_the_features(tmp_path, iris):
    with site(tmp_path, iris) as found:
        worker = found.worker()
        job = found.submit(np.full((10, 3), 123.4567891))  # which no server lets pass: this model takes four
        found.await_state(job.id, "failed")
        assert found.jobs.get(ANYBODY, job.id).error == "the model failed on chunk 1 of 1"
        assert "123.4567891" not in worker.log.read_text() and worker.alive
