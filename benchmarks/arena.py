"""Runs contenders in interleaved rounds: whatever else the machine does hits them all alike.

Every server is pinned to one core and the load generator to another, where the system can."""

import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks.contenders import Contender

ROOT = Path(__file__).resolve().parents[1]
WARM_UP_SECONDS = 1  # BentoML, for one, learns meanwhile how large its batches may be
START_SECONDS = 120  # Ray Serve on a busy core
LUA = """wrk.method = "POST"
{headers}
wrk.body = '{body}'
"""


class NoLoadGenerator(RuntimeError):
    """There is no wrk here."""


class DidNotStart(RuntimeError):
    """A server that never answered; the message ends with its log."""


@dataclass
class Result:
    """What one contender did at one number of connections, a figure for each round."""

    contender: Contender
    connections: int
    rates: list[float] = field(default_factory=list)  # answers in a second
    p50: list[float] = field(default_factory=list)  # milliseconds
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # microseconds of processor time for an answer
    errors: int = 0  # answers that were no 2xx, and connections that failed
    memory: int = 0  # bytes, of the process and its children, after the last round
    first: float = 0.0  # seconds from the start of the process to its first answer, in the last round

    @property
    def rate(self) -> float:
        return statistics.median(self.rates) if self.rates else 0.0

    @property
    def cost(self) -> float:
        """Microseconds of processor time: of all figures the one that other programs disturb least."""
        return statistics.median(self.cpu) if self.cpu else 0.0


def compete(
    contenders: list[Contender],
    connections: list[int],
    rounds: int,
    seconds: int,
    model: Path,
    progress: Callable[[str], None] = print,
) -> tuple[list[Result], dict[str, str]]:
    """The results, and for each contender that did not start, why. Raises NoLoadGenerator."""
    if not shutil.which("wrk"):
        raise NoLoadGenerator("expected the program wrk: apt install wrk, or brew install wrk")
    results = {
        (contender.name, count): Result(contender, count) for contender in contenders for count in connections
    }
    absent: dict[str, str] = {}
    for number in range(1, rounds + 1):
        for contender in contenders:
            if contender.name in absent:
                continue
            try:
                headers = headers_of(contender, model)
                with running(contender, model) as (url, process):
                    measure(contender, headers, url, max(connections), WARM_UP_SECONDS, Result(contender, 0))
                    for count in connections:
                        result = results[contender.name, count]
                        answers(process, contender, headers, url)  # after what the last load left
                        before = processor_seconds(process)
                        answered = measure(contender, headers, url, count, seconds, result)
                        spent = processor_seconds(process) - before
                        result.cpu.append(spent * 1e6 / max(answered, 1))
                        progress(
                            f"round {number}/{rounds}  {contender.name:28} {count:3} connections "
                            f"{result.rates[-1]:8.0f}/s"
                        )
                        result.memory = memory_of(process)
                        result.first = process.first_answer
            except DidNotStart as error:
                absent[contender.name] = str(error)
                progress(f"round {number}/{rounds}  {contender.name:28} did not start")
    return [result for result in results.values() if result.rates], absent


@contextmanager
def running(contender: Contender, model: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The contender's server, which answers its own request with a 2xx. Raises DidNotStart."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    settings = {"MODEL_PATH": str(model), **contender.env}
    known = {"{port}": port, "{models}": str(model.parent)}
    env = os.environ | {name: filled(value, known) for name, value in settings.items()}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [filled(part, known) for part in contender.command]
    url = f"http://127.0.0.1:{port}{contender.path}"
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=contender.root or ROOT, env=env, stdout=log, stderr=log)
        try:
            pin(process.pid, 0)
            if not answers(process, contender, headers_of(contender, model), url):
                log.seek(0)
                raise DidNotStart(log.read()[-2000:].decode(errors="replace"))
            process.first_answer = time.monotonic() - began
            yield url, process
        finally:
            end(process)


def filled(text: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(name, value)
    return text


def end(process: subprocess.Popen) -> None:
    """Ask it to end; after a while, kill it and whatever it started."""
    family = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        family += psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


def headers_of(contender: Contender, model: Path) -> dict[str, str]:
    """Those of its request."""
    headers = {} if contender.body is None else {"Content-Type": "application/json"}
    if contender.has_key:
        headers["X-API-Key"] = (model.parent / "access" / "key").read_text(encoding="utf-8")
    return headers


def answers(process: subprocess.Popen, contender: Contender, headers: dict[str, str], url: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    method = "GET" if contender.body is None else "POST"
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if client.request(method, url, content=contender.body, headers=headers).is_success:
                    return True
            time.sleep(0.05)
    return False


def measure(
    contender: Contender, headers: dict[str, str], url: str, connections: int, seconds: int, result: Result
) -> int:
    """One go of wrk, added to the result. Returns how many answers there were."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
        if contender.body is not None:
            script = Path(folder) / "post.lua"
            lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
            script.write_text(filled(LUA, {"{body}": contender.body, "{headers}": lines}), encoding="utf-8")
            command += ["-s", str(script)]
        process = subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True)
        pin(process.pid, 1)
        text = process.communicate()[0]
    result.rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]))
    result.p50.append(percentile(text, 50))
    result.p99.append(percentile(text, 99))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    result.errors += int(refused[1]) if refused else 0
    result.errors += sum(map(int, broken.groups())) if broken else 0
    return int(re.search(r"(\d+) requests in", text)[1])


def percentile(text: str, percent: int) -> float:
    """Milliseconds, from the line of its own that wrk gives it: the line above may end in "87.50%". NaN where
    wrk gives none, as it does when connections starve."""
    found = re.search(rf"^ +{percent}% +(\S+)$", text, re.MULTILINE)
    return milliseconds(found[1]) if found else float("nan")


def milliseconds(text: str) -> float:
    """ "1.20ms", "350.00us" or "1.05s" as a number of milliseconds."""
    found = re.fullmatch(r"(-?[\d.]+)(us|ms|s|m|h)", text)
    if not found:  # "-nan"
        return float("nan")
    number, unit = found.groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}[unit]


def pin(pid: int, core: int) -> None:
    process = psutil.Process(pid)
    if hasattr(process, "cpu_affinity") and len(process.cpu_affinity()) > core:
        process.cpu_affinity([process.cpu_affinity()[core]])


def processor_seconds(process: subprocess.Popen) -> float:
    """User and system time of the process and its children so far."""
    parent = psutil.Process(process.pid)
    times = [member.cpu_times() for member in [parent, *parent.children(recursive=True)]]
    return sum(time.user + time.system for time in times)


def memory_of(process: subprocess.Popen) -> int:
    parent = psutil.Process(process.pid)
    return sum(member.memory_info().rss for member in [parent, *parent.children(recursive=True)])
