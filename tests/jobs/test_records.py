"""Jobs in a real database, SQLite and PostgreSQL, without a worker: what must be true whoever dies."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from site_of_jobs import ANYBODY, LEASE, Site, rows_of, site
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError

from apps.service.databases import GONE_SECONDS
from apps.service.jobs import Owner
from apps.service.jobs.arrays import Answers
from apps.service.jobs.chunks import Claim
from apps.service.jobs.queue import NAME
from apps.service.jobs.records import (
    ChunkRecord,
    InputRecord,
    JobRecord,
    ModelRecord,
    OutputRecord,
    Unavailable,
)
from apps.service.problems import Problem
from tests.waiting import PATIENCE

ALICE, BOB = Owner("alice", "default"), Owner("bob", "default")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path, iris):
    url = {} if request.param == "sqlite" else {"DATABASE_URL": request.getfixturevalue("database_url")}
    with site(tmp_path, iris, **url) as found:
        yield found


def do(store: Site, claim: Claim) -> bool:
    return store.chunks.complete(claim, Answers(*store.model.predict(store.chunks.rows(claim))))


def patiently(ask):
    """As a worker asks, but not for ever: a lock may be in the way for longer than one statement waits."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def let_leases_run_out(store: Site) -> None:
    with store.jobs.database.session() as session:
        session.execute(update(ChunkRecord).values(lease_until=0.0))


def slug(call) -> str:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.kind.slug


def counts(store: Site) -> dict[str, int]:
    with store.jobs.database.session() as session:
        kinds = (JobRecord, ChunkRecord, InputRecord, OutputRecord, ModelRecord)
        return {kind.__name__: session.scalar(select(func.count()).select_from(kind)) for kind in kinds}


def messages(store: Site) -> int:
    with store.jobs.calls.celery.connection() as connection:
        return connection.default_channel._size(NAME)


def test_a_job_is_done_chunk_by_chunk_and_has_its_result_in_the_order_of_its_rows(store):
    rows = rows_of(25)
    receiving = store.receive()
    for start in range(0, 25, 7):  # pieces that are no chunks
        receiving.add(rows[start : start + 7])
    job = receiving.accept("d")
    assert (job.state, job.rows, job.rows_done, job.progress, job.expected_at) == ("queued", 25, 0, 0, None)
    claims = [store.chunks.claim(job.id, number) for number in (2, 0, 1)]
    assert [claim.rows for claim in claims] == [5, 10, 10]
    assert do(store, claims[0])
    job = store.jobs.get(ANYBODY, job.id)
    assert (job.state, job.rows_done, job.progress) == (
        "running",
        5,
        0.2,
    ) and job.expected_at > job.started_at
    assert slug(lambda: store.jobs.result(ANYBODY, job.id)) == "job-not-done"
    assert do(store, claims[1]) and do(store, claims[2])
    job = store.jobs.get(ANYBODY, job.id)
    assert (job.state, job.rows_done, job.progress) == ("succeeded", 25, 1) and job.finished_at
    expected = store.model.predict(rows)
    found = [*store.jobs.result(ANYBODY, job.id)]
    assert [len(one.predictions) for one in found] == [10, 10, 5]
    np.testing.assert_array_equal(np.concatenate([one.predictions for one in found]), expected[0])
    np.testing.assert_array_equal(np.concatenate([one.probabilities for one in found]), expected[1])


def test_what_is_still_coming_is_no_job_yet_and_what_is_abandoned_leaves_nothing(store):
    receiving = store.receive()
    receiving.add(rows_of(20))
    id = receiving._record.id
    assert slug(lambda: store.jobs.get(ANYBODY, id)) == "unknown-job"
    assert store.jobs.listed(ANYBODY) == [] and store.chunks.claim(id, 0) is None
    receiving.abandon()
    assert counts(store) | {"ModelRecord": 0} == dict.fromkeys(counts(store), 0)
    assert slug(lambda: store.receive().accept("nothing came")) == "invalid-input"


def test_of_many_that_claim_a_chunk_at_once_one_has_it(store):
    job = store.submit(rows_of(10))
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: store.chunks.claim(job.id, 0), range(8))]
    assert len([claim for claim in found if claim]) == 1


def test_a_worker_that_was_taken_for_dead_changes_nothing_any_more(store):
    job = store.submit(rows_of(10))
    first = store.chunks.claim(job.id, 0)
    assert store.chunks.claim(job.id, 0) is None  # as long as its lease lasts
    let_leases_run_out(store)
    second = store.chunks.claim(job.id, 0)
    assert (first.attempt, second.attempt) == (1, 2)
    wrong = Answers(np.full(10, 99), np.zeros((10, 3)))
    assert not store.chunks.renew(first) and not store.chunks.complete(first, wrong)
    assert not store.chunks.fail(first, "no") and not store.chunks.give_back(first)
    assert store.chunks.renew(second) and do(store, second)
    assert not do(store, second)  # a message that comes again
    assert store.jobs.get(ANYBODY, job.id).rows_done == 10
    np.testing.assert_array_equal(store.predictions(job.id), store.model.predict(rows_of(10))[0])


def test_a_chunk_whose_workers_die_is_done_again_five_times_and_then_the_job_fails(store):
    job = store.submit(rows_of(20))
    for attempt in range(1, 6):
        assert store.chunks.claim(job.id, 1).attempt == attempt
        let_leases_run_out(store)
        store.sweeper.sweep()
    assert store.chunks.claim(job.id, 1) is None
    job = store.jobs.get(ANYBODY, job.id)
    assert (job.state, job.error) == ("failed", "chunk 2 was tried 5 times; its worker ended each time")
    assert slug(lambda: store.jobs.result(ANYBODY, job.id)) == "job-not-done"


def test_a_chunk_that_is_given_back_was_not_tried(store):
    job = store.submit(rows_of(10))
    for _ in range(9):
        assert store.chunks.give_back(store.chunks.claim(job.id, 0))
    assert do(store, store.chunks.claim(job.id, 0))


def test_the_sweeper_calls_for_chunks_whose_messages_were_lost_and_ever_more_rarely(store):
    store.jobs.calls.soon = lambda call: None  # the server died before it could send
    job = store.submit(rows_of(30))
    store.sweeper.sweep()
    assert messages(store) == 0  # not yet due
    with store.jobs.database.session() as session:
        session.execute(update(ChunkRecord).values(call_at=0.0))
    store.sweeper.sweep()
    store.sweeper.sweep()
    assert messages(store) == 3
    with store.jobs.database.session() as session:
        due = session.scalars(select(ChunkRecord.call_at).where(ChunkRecord.job_id == job.id))
        assert all(at > time.time() + LEASE for at in due)


def test_the_same_key_gives_the_same_job_or_409(store):
    first = store.submit(rows_of(10), "one", key="k")
    assert store.submit(rows_of(10), "one", key="k").id == first.id
    assert slug(lambda: store.submit(rows_of(11), "two", key="k")) == "idempotency-conflict"
    assert store.submit(rows_of(10), "one", key="k", owner=BOB).id != first.id
    assert store.submit(rows_of(10), "one").id != store.submit(rows_of(10), "one").id
    with ThreadPoolExecutor(4) as pool:
        same = [*pool.map(lambda _: store.submit(rows_of(10), "one", key="k2").id, range(4))]
    assert len(set(same)) == 1
    assert counts(store)["JobRecord"] == 5


def test_jobs_are_their_owners(store):
    job = store.submit(rows_of(10), owner=ALICE)
    for stranger in (BOB, ANYBODY, Owner("alice", "another")):
        for ask in (store.jobs.get, store.jobs.cancel, store.jobs.result):
            assert slug(lambda ask=ask, stranger=stranger: ask(stranger, job.id)) == "unknown-job"
        assert store.jobs.listed(stranger) == []
    for id in ("", "..%2f", job.id.upper(), "00000000-0000-0000-0000-000000000000", "x" * 10_000):
        assert slug(lambda id=id: store.jobs.get(ALICE, id)) == "unknown-job"
    assert [one.id for one in store.jobs.listed(ALICE)] == [job.id]


def test_a_cancelled_job_stays_so_and_its_chunks_are_dropped(store):
    job = store.submit(rows_of(20))
    claim = store.chunks.claim(job.id, 0)
    assert store.jobs.cancel(ANYBODY, job.id).state == "cancelled"
    assert not store.chunks.renew(claim) and store.chunks.rows(claim) is None
    assert not store.chunks.complete(claim, Answers(np.zeros(10), None))
    assert store.chunks.claim(job.id, 1) is None
    assert store.jobs.cancel(ANYBODY, job.id).state == "cancelled"
    assert slug(lambda: store.jobs.result(ANYBODY, job.id)) == "job-not-done"
    assert counts(store)["InputRecord"] == 0
    done = store.submit(rows_of(10))
    assert do(store, store.chunks.claim(done.id, 0))
    assert store.jobs.cancel(ANYBODY, done.id).state == "succeeded"


@pytest.mark.parametrize("settings", [{"JOBS_MAX_WAITING": "2", "JOBS_MAX_ROWS": "25"}])
def test_what_is_too_much_is_refused(tmp_path, iris, settings):
    with site(tmp_path, iris, **settings) as store:
        receiving = store.receive()
        receiving.add(rows_of(25))
        assert slug(lambda: receiving.add(rows_of(1))) == "too-many-rows"
        receiving.abandon()
        jobs = [store.submit(rows_of(10)) for _ in range(2)]
        with pytest.raises(Problem) as full:
            store.submit(rows_of(10))
        assert full.value.kind.slug == "job-queue-full" and ("Retry-After", "10") in full.value.headers
        store.jobs.cancel(ANYBODY, jobs[0].id)
        store.submit(rows_of(10))


def test_what_is_old_is_cleared_away_and_what_has_not_ended_is_kept(store):
    ended, waiting, cut_off = store.submit(rows_of(10)), store.submit(rows_of(10)), store.receive()
    cut_off.add(rows_of(10))
    assert do(store, store.chunks.claim(ended.id, 0))
    long_ago = time.time() - store.settings.jobs_keep_seconds - 1
    with store.jobs.database.session() as session:
        session.execute(update(JobRecord).values(created_at=long_ago, touched_at=long_ago))
        session.execute(update(JobRecord).where(JobRecord.id == ended.id).values(finished_at=long_ago))
        session.execute(update(ModelRecord).values(used_at=long_ago))
    store.sweeper.sweep()
    assert [job.id for job in store.jobs.listed(ANYBODY)] == [waiting.id]
    assert counts(store) == {
        **dict.fromkeys(("JobRecord", "ChunkRecord", "InputRecord", "ModelRecord"), 1),
        "OutputRecord": 0,
    }
    # It was cleared away, and may be sent again.
    assert slug(lambda: cut_off.accept("d")) == "jobs-unavailable"
    store.jobs.cancel(ANYBODY, waiting.id)
    with store.jobs.database.session() as session:
        session.execute(update(JobRecord).values(finished_at=long_ago))
    store.sweeper.sweep()
    assert set(counts(store).values()) == {0}


def test_a_database_that_is_away_is_a_problem_and_nothing_is_lost(
    tmp_path, iris, running_postgres, database_url
):
    with site(tmp_path, iris, DATABASE_URL=database_url) as store:
        job = store.submit(rows_of(10))
        running_postgres.stop()
        try:
            assert slug(lambda: store.jobs.get(ANYBODY, job.id)) == "jobs-unavailable"
            assert slug(store.receive) == "jobs-unavailable"
        finally:
            running_postgres.start()
        assert store.jobs.get(ANYBODY, job.id).state == "queued"


def test_who_is_cut_off_amid_a_transaction_holds_up_the_others_for_seconds(tmp_path, iris, database_url):
    """PostgreSQL sees a client that says nothing more, and would keep its locks for hours."""
    with site(tmp_path, iris, DATABASE_URL=database_url) as store:
        job = store.submit(rows_of(10))
        with store.jobs.database._engine.connect() as cut_off:
            assert cut_off.scalar(text("SHOW idle_in_transaction_session_timeout")) == f"{GONE_SECONDS}s"
            cut_off.execute(text("SET idle_in_transaction_session_timeout = '1s'"))
            cut_off.execute(select(JobRecord.id).where(JobRecord.id == job.id).with_for_update())
            claim = patiently(lambda: store.chunks.claim(job.id, 0))
            assert do(store, claim)
            with pytest.raises(DBAPIError):
                cut_off.execute(select(1))
        assert store.jobs.get(ANYBODY, job.id).state == "succeeded"
