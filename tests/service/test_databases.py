"""A database that several use in the same moment: a SQLite file that is new, one that goes away."""

import multiprocessing
import sqlite3
import sys
import threading
import time
from contextlib import closing, suppress
from types import ModuleType, SimpleNamespace

from sqlalchemy import text

from apps.service.databases import Database, prepare_sqlite

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


def test_a_database_that_goes_away_has_one_line_in_the_log_however_many_ask(tmp_path):
    lines, together = [], threading.Barrier(8)

    def error(line: str, **_) -> None:
        time.sleep(0.01)  # as long as others may need to come here
        lines.append(line)

    log = SimpleNamespace(error=error, warning=lines.append)
    database = Database(None, tmp_path / "db", "tests", RuntimeError, log)

    def ask() -> None:
        with suppress(RuntimeError), database.session() as session:
            together.wait()
            session.execute(text("SELECT no_such_column"))

    threads = [threading.Thread(target=ask) for _ in range(together.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lines == ["the database of tests does not answer"]
    database.close()
