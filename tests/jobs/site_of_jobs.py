"""A site of a test's own: a database of jobs, a queue, and as many workers as the test starts."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from classroom.servers import Server

from apps.service.jobs import Job, Jobs, Owner
from apps.service.jobs.chunks import Chunks
from apps.service.jobs.sweeper import Sweeper
from apps.service.logs import configure
from apps.service.metrics import Metrics
from apps.service.model import Serving
from apps.service.settings import Settings
from model_training.artifact import load_path
from tests.waiting import PATIENCE

LEASE = 2.0
ANYBODY = Owner()


class Site:
    """What servers have of jobs, in the test's process. `settings`: by their names in the environment."""

    def __init__(self, folder: Path, model: Path, **settings: str) -> None:
        basic = {"JOBS_FOLDER": str(folder / "jobs"), "JOBS_LEASE_SECONDS": str(LEASE), "LOG_FORMAT": "json"}
        self.env = {**basic, "JOBS_CHUNK_ROWS": "10", "MODEL_PATH": str(model), **settings}
        known = {name: text for name, text in self.env.items() if name.lower() in Settings.model_fields}
        own = {name.lower(): text for name, text in known.items()}
        self.settings = Settings(**own)
        self.log = configure(self.settings)
        self.model = load_path(model)
        self.serving = Serving(self.model, model)
        self.jobs = Jobs(self.settings, self.log, Metrics("test"))
        self.chunks = Chunks(self.jobs.database, self.jobs.results, self.settings.jobs_lease_seconds)
        self.sweeper = Sweeper(self.settings, self.log, self.jobs.database, self.jobs.calls)
        self._started: list[Server] = []

    def worker(self, **more: str) -> Server:
        """One more, which can be killed."""
        server = Server("worker", env={**self.env, **more})
        self._started.append(server)
        server.wait()
        return server

    def receive(self, owner: Owner = ANYBODY, key: str = "", request_id: str = "a-request", trace: str = ""):
        return self.jobs.receive(
            owner, self.serving, idempotency_key=key, request_id=request_id, traceparent=trace
        )

    def submit(self, rows: np.ndarray, digest: str = "digest", **options) -> Job:
        receiving = self.receive(**options)
        receiving.add(np.asarray(rows, np.float64))
        return receiving.accept(digest)

    def await_state(self, id: str, state: str, patience: float = PATIENCE, **less) -> Job:
        end = time.monotonic() + patience
        while (job := self.jobs.get(ANYBODY, id)).state != state:
            assert time.monotonic() < end, job
            assert not job.ended, job
            time.sleep(0.05)
        return job

    def predictions(self, id: str) -> np.ndarray:
        return np.concatenate([answers.predictions for answers in self.jobs.result(ANYBODY, id)])

    def stop(self) -> None:
        for server in self._started:
            server.stop()
        self.jobs.close()


@contextmanager
def site(folder: Path, model: Path, **settings: str) -> Iterator[Site]:
    found = Site(folder, model, **settings)
    found.jobs.start()
    try:
        yield found
    finally:
        found.stop()


def rows_of(count: int, features: int = 4) -> np.ndarray:
    """Different ones, all within what Iris takes."""
    return 1 + np.arange(count * features).reshape(count, features) % 17 / 8
