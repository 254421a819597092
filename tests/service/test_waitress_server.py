"""What hands requests to waitress's threads: each is served once, and who waits stops nobody else. And the
head of an answer, which is written without waitress where it can be."""

import threading
from collections import Counter
from itertools import product
from types import SimpleNamespace

from waitress.task import WSGITask

from apps.servers.waitress_channel import strict
from apps.servers.waitress_server import Dispatcher
from apps.service import build
from tests.waiting import PATIENCE


class Channel:
    """What waitress hands over: something with a `service`."""

    def __init__(self, service) -> None:
        self.service = service


def test_a_burst_of_tasks_that_wait_for_each_other_wakes_a_thread_for_each():
    dispatcher, together = Dispatcher(8), threading.Barrier(9)
    for _ in range(8):
        dispatcher.add_task(Channel(lambda: together.wait(PATIENCE)))
    together.wait(PATIENCE)


def test_tasks_that_wait_leave_the_other_threads_to_others():
    dispatcher, go, served = Dispatcher(8), threading.Event(), threading.Semaphore(0)
    for _ in range(7):
        dispatcher.add_task(Channel(lambda: go.wait(PATIENCE)))
    for _ in range(1000):
        dispatcher.add_task(Channel(served.release))
        assert served.acquire(timeout=PATIENCE)
    go.set()


def test_more_tasks_than_threads_wait_for_their_turn_and_are_served_in_it():
    dispatcher, go, served = Dispatcher(1), threading.Event(), []
    dispatcher.add_task(Channel(lambda: go.wait(PATIENCE)))
    for number in range(50):
        dispatcher.add_task(Channel(lambda number=number: served.append(number)))
    done = threading.Event()
    dispatcher.add_task(Channel(done.set))
    assert not served
    go.set()
    assert done.wait(PATIENCE) and served == [*range(50)]


def test_tasks_from_many_threads_are_served_once_each():
    """A channel whose client sends ahead adds its next task from the thread that serves it."""
    dispatcher, served, left = Dispatcher(8), Counter(), threading.Semaphore(0)

    def serve(name: int, more: int) -> None:
        served[name, more] += 1
        if more:
            dispatcher.add_task(Channel(lambda: serve(name, more - 1)))
        else:
            left.release()

    for name in range(200):
        dispatcher.add_task(Channel(lambda name=name: serve(name, 20)))
    assert all([left.acquire(timeout=PATIENCE) for _ in range(200)])
    assert len(served) == 200 * 21 and set(served.values()) == {1}


def test_a_task_that_fails_costs_no_thread(caplog):
    dispatcher, served = Dispatcher(1), threading.Event()

    def end() -> None:
        raise SystemExit

    for fault in (end, lambda: 1 / 0):
        dispatcher.add_task(Channel(fault))
    dispatcher.add_task(Channel(served.set))
    assert served.wait(PATIENCE)
    assert [record.getMessage() for record in caplog.records] == ["a thread failed at a request"] * 2


def test_the_head_of_an_answer_has_what_waitress_would_write():
    task_class = strict(build("flask_app", port=5000).requests).task_class
    statuses = ("200 OK", "204 No Content", "304 Not Modified", "404 Not Found")
    asked = ({}, {"CONNECTION": "close"}, {"CONNECTION": "keep-alive"}, {"CONNECTION": "Upgrade"})
    fields = (
        [],
        [("content-length", "2")],
        [("Content-Length", "2"), ("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("x-request-ID", "1")],
        [("Content-Length", "2"), ("DATE", "Thu, 01 Jan 1970 00:00:00 GMT")],
        [("Content-Length", "2"), ("server", "mine")],
    )
    ways = set()
    for case in product(statuses, asked, fields, ("1.0", "1.1")):
        (ours, keeps), (theirs, kept) = head(task_class, *case), head(WSGITask, *case)
        assert (ours[0], sorted(ours[1:]), keeps) == (theirs[0], sorted(theirs[1:]), kept), case
        ways.add(ours == theirs)
    assert ways == {True, False}  # in waitress's order, which is by name, only where waitress wrote it


def head(task_class, status: str, asked: dict, fields: list, version: str) -> tuple[list[str], bool]:
    """The lines, the names of fields in lower case, and whether the connection is kept."""
    server = SimpleNamespace(adj=SimpleNamespace(ident=None), draining=False)
    request = SimpleNamespace(version=version, headers=asked, command="GET")
    task = task_class(SimpleNamespace(server=server), request)
    task.status, task.response_headers, task.start_time = status, [*fields], 0
    task.content_length = 2 if fields else None
    lines = task.build_response_header().decode().removesuffix("\r\n\r\n").split("\r\n")
    split = [line.partition(":") for line in lines]
    return ["".join([name.lower(), *rest]) for name, *rest in split], not task.close_on_finish
