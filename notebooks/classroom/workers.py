"""Workers at a moment that a lesson chooses."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from .servers import Server

RUNNING = "SELECT 1 FROM job_chunks WHERE state = 'running'"


def hold_amid_a_chunk(worker: Server, folder: Path) -> None:
    """Stop the worker's process while it has a chunk of a job in `folder` (JOBS_FOLDER). It must be the only
    one that works there. `worker.process.resume()` lets it go on.

    It is held again and again until it has a chunk and no file is locked: one that is held while it writes
    would keep all others from writing."""
    databases = folder / "jobs.db", folder / "queue.db"
    while True:
        worker.process.suspend()
        if not any(map(_locked, databases)) and _has_a_chunk(databases[0]):
            return
        worker.process.resume()
        time.sleep(0.005)


def _locked(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


def _has_a_chunk(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=30)) as database:
        return database.execute(RUNNING).fetchone() is not None
