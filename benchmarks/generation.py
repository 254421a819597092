"""A language model through either server, beside llama.cpp's own: tokens a second, the time to the first
token, eight users at a time, and what 200 open streams do to /predict.

    python -m benchmarks.generation                        --only one, eight or idle for a part

The same weights, threads and slots for all, which take turns; figures are medians of the rounds. llama.cpp's
own is the library in a process for one user, and its own HTTP server for eight."""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "notebooks"))

from classroom.servers import free_port, serve  # noqa: E402

from apps.service.generation.llama import weights  # noqa: E402

DOORS = ("fastapi", "flask")
CHAT, MODEL = "/v1/chat/completions", "smollm2"
CONTEXT, TOKENS, USERS, STREAMS = 512, 128, 8, 200
ROW = '{"features": [5.1, 3.5, 1.4, 0.2]}'


class Told(NamedTuple):
    """Of one answer: seconds to its first text, tokens, and seconds from the first to the last."""

    first: float
    tokens: int
    rest: float

    @property
    def rate(self) -> float:
        return (self.tokens - 1) / self.rest


def body(number: int) -> dict:
    """A question that nobody has asked before, of the same length each time, with a long answer."""
    text = f"Story {number:04d}: tell me a very long story about the sea, with many ships and storms."
    asked = {"messages": [{"role": "user", "content": text}], "max_tokens": TOKENS, "temperature": 0.8}
    return asked | {"seed": number, "stream": True, "stream_options": {"include_usage": True}}


def over_http(url: str, number: int) -> Told:
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname, address.port, timeout=300)
    began, first, last, tokens = time.perf_counter(), 0.0, 0.0, 0
    connection.request("POST", CHAT, json.dumps(body(number)), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{url}: {answer.status} {answer.read()[:200]}")
    for line in answer:
        if line.startswith(b"data: {"):
            chunk = json.loads(line[6:])
            if any(choice["delta"].get("content") for choice in chunk["choices"]):
                last = time.perf_counter()
                first = first or last
            tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    connection.close()
    return Told(first - began, tokens, last - first)


def llama_server(slots: int, port: int | None = None):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(weights()), CONTEXT * slots, slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    if port is not None:
        params.port = port
    return xllamacpp.Server(params)


def in_process(server, number: int) -> Told:
    began, times, tokens = time.perf_counter(), [], 0

    def read(chunk: dict) -> bool:
        nonlocal tokens
        if any(choice["delta"].get("content") for choice in chunk["choices"]):
            times.append(time.perf_counter())
        tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
        return False

    server.handle_chat_completions(body(number), read)
    return Told(times[0] - began, tokens, times[-1] - times[0])


@contextmanager
def llama_over_http(slots: int) -> Iterator[str]:
    """llama.cpp's own HTTP server, in a process of its own."""
    port = free_port()
    code = f"from benchmarks.generation import *; server = llama_server({slots}, {port}); time.sleep(1e6)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        while True:
            connection = HTTPConnection("127.0.0.1", port)
            try:
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def settings(folder: str, slots: int, **more: str) -> dict[str, str]:
    own = {"GENERATION_SLOTS": str(slots), "GENERATION_CONTEXT": str(CONTEXT), "GENERATION_MODEL": MODEL}
    return {"GENERATION": "on", "GENERATION_FOLDER": folder, "METRICS_PORT": "0", **own, **more}


def one(rounds: int, each: int) -> None:
    """One user at a time."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        own = llama_server(1)
        ask: dict[str, Callable[[int], Told]] = {"llama.cpp": lambda number: in_process(own, number)}
        for rules in ("on", "off"):
            for door in DOORS:
                env = settings(folder, 1, GENERATION_MODERATION=rules)
                server = stack.enter_context(serve(door, env=env))
                name = door if rules == "on" else f"{door}, no rules"
                ask[name] = lambda number, url=server.url: over_http(url, number)
        found: dict[str, list[Told]] = {name: [] for name in ask}
        number = 0
        for name in ask:
            ask[name](9999)  # warm
        for _ in range(rounds):
            for name, told in found.items():
                for _ in range(each):
                    number += 1
                    told.append(ask[name](number % 9000))
        own_rate = statistics.median(told.rate for told in found["llama.cpp"])
        own_first = statistics.median(told.first for told in found["llama.cpp"])
        print(
            "| one user | tokens/s | of llama.cpp's | first token, ms | later by |\n|---|---:|---:|---:|---:|"
        )
        for name, told in found.items():
            rate = statistics.median(one.rate for one in told)
            first = statistics.median(one.first for one in told)
            later = (first - own_first) * 1e3
            print(f"| {name} | {rate:.1f} | {rate / own_rate:.0%} | {first * 1e3:.0f} | {later:+.0f} |")


def eight(rounds: int) -> None:
    """So many users at a time, each with two questions after one another."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        urls = {"llama.cpp's server": stack.enter_context(llama_over_http(USERS))}
        for door in DOORS:
            urls[door] = stack.enter_context(serve(door, env=settings(folder, USERS))).url
        pool = stack.enter_context(ThreadPoolExecutor(USERS))
        found: dict[str, list[float]] = {name: [] for name in urls}
        number = 0
        for _ in range(rounds):
            for name, url in urls.items():
                began = time.perf_counter()
                numbers = range(number, number + 2 * USERS)
                tokens = sum(told.tokens for told in pool.map(lambda n, url=url: over_http(url, n), numbers))
                found[name].append(tokens / (time.perf_counter() - began))
                number += 2 * USERS
        own = statistics.median(found["llama.cpp's server"])
        print(f"\n| {USERS} users | tokens/s in all | of llama.cpp's |\n|---|---:|---:|")
        for name, rates in found.items():
            rate = statistics.median(rates)
            print(f"| {name} | {rate:.1f} | {rate / own:.0%} |")


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server with OpenAI's API that has one model and tells a word a second, for ever."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            told = b'{"data": [{"id": "slow"}]}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
        elif b"/tokenize" in head:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            while not writer.is_closing():
                writer.write(b'data: {"choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n')
                await writer.drain()
                await asyncio.sleep(1)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


@contextmanager
def trickling() -> Iterator[str]:
    port, ready = free_port(), threading.Event()

    async def run() -> None:
        server = await asyncio.start_server(trickle, "127.0.0.1", port, backlog=1024)
        ready.set()
        async with server:
            await server.serve_forever()

    threading.Thread(target=asyncio.run, args=(run(),), daemon=True).start()
    ready.wait()
    yield f"http://127.0.0.1:{port}/v1"


def percentile(url: str, rate: int, seconds: int) -> dict:
    """Of /predict, by the open-loop load generator, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load", f"{url}/predict", "--body", ROW, "--json"]
    command += ["--rate", str(rate), "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    return json.loads(done.stdout.splitlines()[-1])


def idle(rounds: int, rate: int, seconds: int) -> None:
    """Open streams that get a word a second, from a model that is elsewhere."""
    print(f"\n| {STREAMS} open streams, {rate} predictions/s | p50 ms | p99 ms |\n|---|---:|---:|")
    for door in DOORS:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            further = {"GENERATION_URL": stack.enter_context(trickling()), "GENERATION_SECONDS": "3600"}
            env = settings(folder, STREAMS, **further)
            server = stack.enter_context(serve(door, env=env))
            found: dict[str, list[dict]] = {"quiet": [], "with streams": []}
            for _ in range(rounds):
                found["quiet"].append(percentile(server.url, rate, seconds))
                with ExitStack() as streams:
                    for number in range(STREAMS):
                        streams.enter_context(opened(server.url, number))
                    found["with streams"].append(percentile(server.url, rate, seconds))
                time.sleep(2)
            for name, told in found.items():
                p50, p99 = (statistics.median(one[p] for one in told) for p in ("p50", "p99"))
                failed = sum(one["failed"] for one in told)
                print(f"| {door}, {name} | {p50:.2f} | {p99:.2f} |" + (f" {failed} failed" if failed else ""))


@contextmanager
def opened(url: str, number: int) -> Iterator[None]:
    """A stream that has begun, and that nobody reads on: 10 KB in a minute, which the system keeps."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request("POST", CHAT, json.dumps(body(number)), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.readline()
    try:
        yield
    finally:
        answer.close()
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", type=int, default=3, help="questions of a round, for one user")
    parser.add_argument("--only", choices=("one", "eight", "idle"))
    parser.add_argument("--rate", type=int, default=500, help="predictions a second beside the streams")
    parser.add_argument("--seconds", type=int, default=10)
    asked = parser.parse_args()
    if asked.only in (None, "one"):
        one(asked.rounds, asked.each)
    if asked.only in (None, "eight"):
        eight(asked.rounds)
    if asked.only in (None, "idle"):
        idle(asked.rounds, asked.rate, asked.seconds)


if __name__ == "__main__":
    main()
