"""Jobs while everything is killed: how many were accepted, completed, lost, or delivered twice.

    python -m benchmarks.jobs                              the embedded default: workers are killed
    python -m benchmarks.jobs --full                       RabbitMQ, Redis, PostgreSQL and workers are killed

Each job's rows are of that job alone, so that a row of another one, or one that is there twice, is seen."""

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("notebooks", "tests", "tests/jobs", "tests/contract")]

from classroom.servers import Server  # noqa: E402
from postgres import postgres  # noqa: E402
from rabbitmq_server import RabbitMQ  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from site_of_jobs import ANYBODY, Site  # noqa: E402

from apps.service.problems import Problem  # noqa: E402
from model_training import datasets  # noqa: E402
from model_training.export import export  # noqa: E402
from model_training.train import train  # noqa: E402

ROWS, CHUNK_ROWS, WORKERS, LEASE = 400, 100, 2, "2"
PATIENCE = 600  # seconds for all jobs, once nothing is killed any more


def rows_of(job: int) -> np.ndarray:
    """As many as a job has; no other job has the same."""
    return np.random.default_rng(job).uniform(0.5, 7, (ROWS, 4))


class Killer(threading.Thread):
    """Kills one of the workers or of `parts` hard, at random moments, and starts it again."""

    def __init__(self, site: Site, parts: dict[str, object], seed: int) -> None:
        super().__init__(daemon=True)
        self._site, self._parts, self._random = site, parts, random.Random(seed)
        self.workers = [start(site) for _ in range(WORKERS)]
        self.kills = dict.fromkeys(("worker", *parts), 0)
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(self._random.uniform(0.05, 1.5)):
            name = self._random.choice(("worker", *self._parts))
            self.kills[name] += 1
            if name == "worker":
                place = self._random.randrange(WORKERS)
                self.workers[place].process.kill()
                self.workers[place].stop()
                self.workers[place] = start(self._site)
            else:
                part = self._parts[name]
                getattr(part, "kill", part.stop)()
                self.ended.wait(self._random.uniform(0.1, 2))
                part.start()


def start(site: Site) -> Server:
    return Server("worker", env={**site.env, "LOG_LEVEL": "warning"})


def killed(full: bool, jobs: int, seed: int) -> dict[str, int]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        export(train(datasets.load("iris")), folder / "iris")
        parts, settings = {}, {"JOBS_CHUNK_ROWS": str(CHUNK_ROWS), "JOBS_LEASE_SECONDS": LEASE}
        if full:
            (folder / "rabbitmq").mkdir()
            broker, redis = RabbitMQ(folder / "rabbitmq"), RedisServer(folder)
            stack.callback(broker.stop)
            stack.callback(redis.stop)
            database = stack.enter_context(postgres())
            parts = {"broker": broker, "redis": redis, "database": database}
            urls = {"BROKER_URL": broker.url, "RESULTS_URL": redis.url, "DATABASE_URL": database.url}
            settings |= urls
        site = Site(folder, folder / "iris", **settings)
        site.jobs.start()
        stack.callback(site.stop)
        killer = Killer(site, parts, seed)
        stack.callback(lambda: [worker.stop() for worker in killer.workers])
        killer.start()
        accepted = [submit(site, number) for number in range(jobs)]
        killer.ended.set()
        killer.join()
        found = {"accepted": len(set(accepted)), "completed": 0, "lost": 0, "doubled": 0}
        end = time.monotonic() + PATIENCE
        for number, id in enumerate(accepted):
            answers = fetch(site, id, end)
            expected = site.model.predict(rows_of(number))
            if answers is None:
                found["lost"] += 1
            elif len(answers[0]) > ROWS:
                found["doubled"] += 1
            elif all(np.array_equal(*pair) for pair in zip(answers, expected, strict=True)):
                found["completed"] += 1
            else:
                found["lost"] += 1
        listed = {job.id for job in site.jobs.listed(ANYBODY)}
        found["doubled"] += len(listed - set(accepted))
        return found | {f"{name} killed": count for name, count in killer.kills.items()}


def submit(site: Site, number: int) -> str:
    """Until it is accepted, with the same key each time, as a client should."""
    while True:
        try:
            id = site.submit(rows_of(number), str(number), key=f"job-{number}").id
            time.sleep(0.1)
            return id
        except Problem as problem:
            assert problem.status == 503, problem
            time.sleep(0.2)


def fetch(site: Site, id: str, end: float) -> tuple[np.ndarray, np.ndarray] | None:
    while time.monotonic() < end:
        try:
            chunks = [*site.jobs.result(ANYBODY, id)]
            return tuple(np.concatenate(part) for part in zip(*chunks, strict=True))
        except Problem as problem:
            if problem.kind.slug == "job-not-done" and not problem.headers:  # it has failed
                print(id, problem.detail)
                return None
            time.sleep(0.1)
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument("--full", action="store_true", help="with RabbitMQ, Redis and PostgreSQL")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    os.chdir(ROOT)
    found = killed(options.full, options.jobs, options.seed)
    for name, value in found.items():
        print(f"{name:<24}{value:>14,.{0 if isinstance(value, int) or value > 100 else 2}f}")
    return 1 if found.get("lost") or found.get("doubled") else 0


if __name__ == "__main__":
    sys.exit(main())
