"""The queue as a SQLite file, which several processes open at once."""

import multiprocessing
import sys
from queue import Empty
from types import ModuleType

from kombu import Connection

from apps.service.jobs.file_transport import SCHEME

PROCESSES, FILES, QUEUES = 3, 2, 10


def open_all(folder: str, barrier, failed) -> None:
    """New files, and in each of them new queues, all at the same moments as others."""
    for file in range(FILES):
        with Connection(f"{SCHEME}+sqlite:///{folder}/{file}.db") as connection:
            for queue in range(QUEUES):
                barrier.wait(60)
                try:
                    connection.default_channel._new_queue(f"queue-{queue}")
                    connection.default_channel._put(f"queue-{queue}", {"body": "text"})
                except Exception as error:
                    failed.put(type(error).__name__)


def test_processes_that_create_a_queue_at_once_all_have_it(tmp_path, monkeypatch):
    """A worker that starts as its first job comes would else end, or a server send no message any more."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # which Streamlit's tests replace
    context = multiprocessing.get_context("spawn")
    barrier, failed = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=open_all, args=(tmp_path.as_posix(), barrier, failed))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    found = []
    while True:
        try:
            found.append(failed.get(timeout=0.5))
        except Empty:
            break
    assert found == []
    with Connection(f"{SCHEME}+sqlite:///{tmp_path.as_posix()}/0.db") as connection:
        sizes = [connection.default_channel._size(f"queue-{queue}") for queue in range(QUEUES)]
    assert sizes == [PROCESSES] * QUEUES
