"""A SQLite file that is new, and that several processes open in the same moment."""

import multiprocessing
import sqlite3
import sys
from contextlib import closing
from types import ModuleType

from apps.service.databases import prepare_sqlite

PROCESSES, FILES = 8, 40


def open_all(folder: str, barrier, failed) -> None:
    for file in range(FILES):
        barrier.wait(60)
        try:
            with closing(sqlite3.connect(f"{folder}/{file}.db")) as connection:
                prepare_sqlite(connection, None)
                connection.execute("CREATE TABLE IF NOT EXISTS seen (process)")
                connection.execute("INSERT INTO seen VALUES (1)")
                connection.commit()
        except sqlite3.OperationalError as error:
            failed.put(str(error))


def test_all_of_them_can_use_it(tmp_path, monkeypatch):
    """SQLite makes none of them wait while one turns the file to WAL: some would find it locked."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # which Streamlit's tests replace
    context = multiprocessing.get_context("spawn")
    barrier, failed = context.Barrier(PROCESSES), context.SimpleQueue()
    processes = [
        context.Process(target=open_all, args=(str(tmp_path), barrier, failed)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert failed.empty(), failed.get()
    for file in range(FILES):
        with closing(sqlite3.connect(tmp_path / f"{file}.db")) as connection:
            assert connection.execute("SELECT count(*) FROM seen").fetchone() == (PROCESSES,)
