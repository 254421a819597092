"""The load generator against real small servers with known delays; counts are compared, never times."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.load import __main__ as command
from benchmarks.load.connection import NotHTTP, answer_in
from benchmarks.load.figures import histogram, percentiles
from benchmarks.load.plan import ANY_HOST, Plan, checked

ROOT = Path(__file__).resolve().parents[2]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.contextmanager
def served(answer: Callable) -> Iterator[str]:
    """The URL of a server in a thread of its own; `await answer(number, writer)` for each request."""
    count, connections = iter(range(10**9)), {}

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[asyncio.create_task(serve(reader, writer))] = writer

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"Content-Length: " in head:
                    await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split()[0]))
                await answer(next(count), writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def until_stopped() -> None:
        server = await asyncio.start_server(accept, sock=listening)
        await stopped.wait()
        server.close()
        await asyncio.sleep(0)  # those that have just been accepted are among them then
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for writer in connections.values():  # of a task that was cancelled before it began, too
            writer.close()

    def in_thread() -> None:
        with asyncio.Runner() as runner:
            loops.append(runner.get_loop())
            runner.run(until_stopped())

    listening, stopped, loops = socket.create_server(("127.0.0.1", 0)), asyncio.Event(), []
    thread = threading.Thread(target=in_thread)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        loops[0].call_soon_threadsafe(stopped.set)
        thread.join()


async def at_once(number, writer):
    writer.write(OK)


def run(*arguments: str, env: dict[str, str] | None = None) -> tuple[list[dict], int]:
    """The JSON lines of `python -m benchmarks.load … --json`, and its exit code."""
    command = [sys.executable, "-m", "benchmarks.load", *arguments, "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | (env or {}), capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def result_of(*arguments: str) -> dict:
    lines, code = run(*arguments)
    assert code == 0 and lines[-1]["event"] == "result"
    return lines[-1]


def slower_than(ms: float, result: dict) -> int:
    return sum(count for upper, count in result["histogram"] if upper > ms)


def test_every_request_is_sent_answered_and_told_of():
    with served(at_once) as url:
        lines, code = run(url, "--rate", "100", "--seconds", "1.5", "--body", '{"features": [1]}')
    *progress, result = lines
    assert code == 0 and len(progress) >= 3
    assert all(line["event"] == "progress" for line in progress)
    assert [line["sent"] for line in progress] == sorted(line["sent"] for line in progress)
    expected = {"event", "elapsed", "sent", "answered", "failed", "late", "rate", "p50", "p95", "p99"}
    assert set(progress[0]) == expected
    assert result["statuses"] == {"200": 150} and result["errors"] == {} and result["failed"] == 0
    assert sum(count for _, count in result["histogram"]) == 150 == result["answered"]
    assert result["p50"] <= result["p90"] <= result["p95"] <= result["p99"] <= result["p999"] <= result["max"]
    assert result["generator_lag_p99"] is not None


def test_a_stall_is_in_the_latency_of_all_who_came_meanwhile_where_a_closed_loop_sees_one():
    async def stalls_once(number, writer):
        if number == 50:
            time.sleep(0.3)  # the whole server, as a garbage collection would
        writer.write(OK)

    with served(stalls_once) as url:
        opened = result_of(url, "--rate", "200", "--seconds", "1")
    with served(stalls_once) as url, socket.create_connection(("127.0.0.1", int(url[17:-1]))) as asking:
        closed = []
        for _ in range(200):
            started = time.perf_counter()
            asking.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert asking.recv(4096) == OK
            closed.append(time.perf_counter() - started)
    waited = slower_than(100, opened)  # for 200 ms at 200/s: about 40
    assert waited >= 30
    assert waited >= 5 * sum(seconds > 0.1 for seconds in closed)


def test_requests_beyond_the_connections_wait_and_their_wait_counts():
    async def takes_a_while(number, writer):
        await asyncio.sleep(0.05)
        writer.write(OK)

    with served(takes_a_while) as url:
        one = result_of(url, "--rate", "40", "--seconds", "1", "--connections", "1")
        many = result_of(url, "--rate", "40", "--seconds", "1", "--connections", "40")
    assert one["answered"] == many["answered"] == 40
    assert one["late"] >= 30 and one["max"] > 800  # the last is due at 1 s and served after 2 s
    assert many["late"] == 0 or many["late"] < one["late"]
    assert slower_than(500, many) < slower_than(500, one)


def test_who_waits_too_long_has_failed_sent_or_not():
    async def never(number, writer):
        await asyncio.sleep(60)

    with served(never) as url:
        result = result_of(url, "--rate", "20", "--seconds", "1", "--connections", "2", "--timeout", "0.5")
    assert result["answered"] == 0 and result["failed"] == 20 and result["p50"] is None
    assert set(result["errors"]) == {"timeout", "timeout before it was sent"}
    assert result["histogram"] == []


def test_an_answer_that_is_late_is_not_taken_for_the_next_ones():
    async def slow_then_quick(number, writer):
        await asyncio.sleep(0.9 if number == 0 else 0)
        writer.write(OK if number else OK.replace(b"200", b"500"))

    with served(slow_then_quick) as url:
        result = result_of(url, "--rate", "10", "--seconds", "1", "--timeout", "0.3")
    assert result["statuses"] == {"200": 9} and result["errors"] == {"timeout": 1}


@pytest.mark.parametrize(
    "sent, kind",
    [
        (b"", "closed without a whole answer"),
        (OK[:-1], "closed without a whole answer"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 fine\r\n\r\n", "not HTTP"),
    ],
)
def test_broken_answers_are_counted_by_kind(sent, kind):
    async def broken(number, writer):
        writer.write(sent)
        writer.close()

    with served(broken) as url:
        assert result_of(url, "--rate", "20", "--seconds", "0.5")["errors"] == {kind: 10}


def test_a_server_that_goes_away_is_counted_as_refusing():
    with served(at_once) as url:
        command_line = [
            sys.executable,
            "-m",
            "benchmarks.load",
            url,
            "--rate",
            "20",
            "--seconds",
            "1.5",
            "--json",
        ]
        running = subprocess.Popen(command_line, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        first = json.loads(running.stdout.readline())
    result = json.loads(running.communicate()[0].splitlines()[-1])
    assert first["event"] == "progress" and result["answered"] + result["failed"] == 30
    assert result["answered"] >= 1 and result["errors"]["connection refused"] >= 1


def test_statuses_are_counted_and_retry_after_is_not_obeyed():
    async def busy(number, writer):
        head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
        writer.write(head if number % 2 else OK)

    with served(busy) as url:
        result = result_of(url, "--rate", "40", "--seconds", "0.5")
    assert result["statuses"] == {"200": 10, "503": 10} and result["failed"] == 0


def test_headers_from_standard_input_go_with_every_request_and_are_never_told(capsys, monkeypatch):
    secret = "sk_1a2b3c4d_not-in-arguments"
    plan_of = ["http://127.0.0.1:1/", "--rate", "1", "--seconds", "1", "--json", "--headers-stdin"]
    monkeypatch.setattr(sys, "stdin", [f"X-API-Key: {secret}\n", "\n", "X-More: yes\n"])
    plan, _ = command.plan_from(plan_of)
    head = plan.request().partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert [f"X-API-Key: {secret}".encode(), b"X-More: yes"] == head[-2:]
    assert secret not in repr(plan)
    for bad in (f"X-API-Key {secret}", f"X-Käy: {secret}", f"X-Key: {secret}\rX: y", f"X-Key: {secret}\0"):
        monkeypatch.setattr(sys, "stdin", [bad])
        assert command.main(plan_of) == 1
        told = capsys.readouterr().out
        assert "expected headers on standard input" in told and secret not in told


def test_both_full_servers(full):
    for server in full.values():
        body = '{"features": [5.1, 3.5, 1.4, 0.2]}'
        result = result_of(f"{server.url}/predict", "--rate", "50", "--seconds", "1", "--body", body)
        assert result["statuses"] == {"200": 50} and result["failed"] == 0
        wrong = result_of(f"{server.url}/predict", "--rate", "50", "--seconds", "0.2", "--body", "{}")
        assert wrong["statuses"] == {"400": 10}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["http://127.0.0.1:1/", "--rate", "1", "--seconds", "1"], "nobody listens at 127.0.0.1:1"),
        (["http://127.0.0.1:1/", "--rate", "0", "--seconds", "1"], "invalid positive value: '0'"),
        (["http://127.0.0.1:1/", "--rate", "nan", "--seconds", "1"], "invalid positive value: 'nan'"),
        (["http://127.0.0.1:1/", "--rate", "1", "--seconds", "inf"], "invalid positive value: 'inf'"),
        (["http://127.0.0.1:1/", "--rate", "1"], "--seconds"),
        (["http://127.0.0.1:1/", "--rate", "1", "--seconds", "1", "--body", "{features:"], "expected JSON"),
        (["http://127.0.0.1:1/", "--rate", "1", "--seconds", "1", "--connections", "501"], "1 to 500"),
        (["https://127.0.0.1/", "--rate", "1", "--seconds", "1"], "expected a URL like"),
        (["http://127.0.0.1:99999/", "--rate", "1", "--seconds", "1"], "expected a URL like"),
        (["127.0.0.1:8000", "--rate", "1", "--seconds", "1"], "expected a URL like"),
        (["http://example.com/", "--rate", "1", "--seconds", "1"], "a host on this machine"),
        (["http://127.0.0.1.example.com/", "--rate", "1", "--seconds", "1"], "a host on this machine"),
        (["http://0.0.0.0:80/", "--rate", "1", "--seconds", "1"], "a host on this machine"),
    ],
)
def test_bad_arguments_are_one_line_of_json(arguments, message, capsys, monkeypatch):
    monkeypatch.delenv(ANY_HOST, raising=False)
    assert command.main([*arguments, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["event"] == "error" and message in told["message"]


def test_another_host_only_for_who_says_so(monkeypatch):
    monkeypatch.setenv(ANY_HOST, "1")
    assert checked("http://example.com/").hostname == "example.com"


def test_loopback_by_any_name():
    for host in ("127.0.0.1", "127.1.2.3", "[::1]", "localhost"):
        assert checked(f"http://{host}:8000/predict").port == 8000


def test_for_people_it_prints_a_result_to_read(capsys):
    with served(at_once) as url:
        assert command.main([url, "--rate", "50", "--seconds", "0.4"]) == 0
    told = capsys.readouterr().out
    assert "50/s offered" in told and "answered: 20 (status 200: 20)" in told and "p99" in told


def test_poisson_arrivals_keep_the_rate_and_are_the_same_each_time():
    plan = Plan(checked("http://127.0.0.1/"), 1000, 10, arrivals="poisson")
    times = list(plan.due())
    assert times == list(plan.due()) and times == sorted(times)
    assert 9_600 < len(times) < 10_400
    gaps = sorted(later - sooner for sooner, later in zip(times, times[1:-1], strict=False))
    assert gaps[len(gaps) // 2] == pytest.approx(0.693e-3, rel=0.1)  # the median of an exponential: ln 2


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "data, closed, expected",
    [
        (OK, False, (200, True)),
        (OK[:10], False, None),
        (OK[:-1], False, None),
        (OK + b"more", False, (200, False)),
        (OK.replace(b"1.1", b"1.0"), False, (200, False)),
        (
            OK.replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nConnection: Keep-Alive\r\n\r\n"),
            False,
            (200, True),
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, (204, True)),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, False, (200, True)),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", False, None),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", True, (200, False)),
        (CHUNKED + b"2;x=y\r\nok\r\n0\r\n\r\n", False, (200, True)),
        (CHUNKED + b"2\r\nok\r\n0\r\nTrailer: x\r\n\r\n", False, (200, True)),
        (CHUNKED + b"2\r\nok\r\n", False, None),
        (CHUNKED + b"2\r\nok\r\n0\r\n", False, None),
    ],
)
def test_an_answer_ends_where_http_says(data, closed, expected):
    assert answer_in(data, closed=closed) == expected


def test_what_is_no_http_is_not_waited_for():
    with pytest.raises(NotHTTP):
        answer_in(b"\x16\x03\x01", closed=False)


def test_percentiles_are_nearest_rank_and_the_histogram_loses_nobody():
    seconds = [number / 1000 for number in range(1, 101)]
    assert percentiles(seconds, p50=0.5, p99=0.99, max=1) == {"p50": 50, "p99": 99, "max": 100}
    assert percentiles([], p50=0.5) == {"p50": None}
    buckets = histogram(seconds)
    assert sum(count for _, count in buckets) == 100
    assert [upper for upper, _ in buckets] == sorted(upper for upper, _ in buckets)
    assert sum(count for upper, count in buckets if upper <= 10) == 10
