"""The processes behind live servers: start one, end it with all that it started, find a lost one again."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".kit" / "logs"
RECORDS = ROOT / ".kit" / "servers"
LOGS_KEPT = 7 * 24 * 3600  # seconds since anything was written


def spawn(command: list[str], log: Path, *, env: Mapping[str, str], own_group: bool = False) -> psutil.Popen:
    """Start a process that a Ctrl-C, or Jupyter's "interrupt", does not reach: only we stop it.

    On POSIX both are a SIGINT to the whole process group. The child stays in our group, because a Jupyter
    kernel that ends takes only its own group with it, and is started with SIGINT blocked. Not so JupyterLab:
    its kernels would inherit that and could not be interrupted; it gets a group of its own instead.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    for old in log.parent.glob("*-*.log"):
        with contextlib.suppress(OSError):  # gone meanwhile, or still open on Windows
            if time.time() - old.stat().st_mtime > LOGS_KEPT:
                old.unlink()
    with log.open("wb") as output:
        options = {"cwd": ROOT, "env": {**os.environ, **env}, "stdin": subprocess.DEVNULL}
        options |= {"stdout": output, "stderr": subprocess.STDOUT}
        if os.name == "nt":
            return psutil.Popen(command, creationflags=subprocess.CREATE_NEW_PROCESS_GROUP, **options)
        if own_group:
            return psutil.Popen(command, process_group=0, **options)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return psutil.Popen(command, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def end(process: psutil.Process, grace: float) -> None:
    """Ask a process to end; after `grace` seconds at most, kill it and whatever it started."""
    try:
        family = process.children(recursive=True)
        process.send_signal(signal.CTRL_BREAK_EVENT) if os.name == "nt" else process.terminate()
    except psutil.NoSuchProcess:
        return
    except (OSError, SystemError, psutil.Error):  # Windows, where there is no console to send it through
        with contextlib.suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs([process], timeout=grace)
    for member in (process, *family):
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs([process, *family], timeout=grace)


def write_record(name: str, process: psutil.Popen, port: int, arguments: list[str]) -> Path:
    """Note a process that we own, so that `reclaim` can find it should we be killed."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    record, draft = RECORDS / f"{name}-{process.pid}.json", RECORDS / f"{name}-{process.pid}.draft"
    owner = psutil.Process()
    noted = {"name": name, "port": port, "pid": process.pid, "arguments": arguments, "created": 0.0}
    noted |= {"owner": owner.pid, "owner_created": owner.create_time()}
    with contextlib.suppress(psutil.NoSuchProcess):  # it has ended already
        noted["created"] = process.create_time()
    draft.write_text(json.dumps(noted), encoding="utf-8")
    return draft.replace(record)  # at once: another Python may be reading the records


def reclaim() -> list[str]:
    """Stop the servers whose Python was killed before it could; return their names.

    A process is ours only if its start time and its arguments are those in the record (one with workers has
    more), for process ids are used again. A server whose Python still runs is left alone.
    """
    reclaimed = []
    for record in RECORDS.glob("*.json"):
        try:
            noted = json.loads(record.read_text(encoding="utf-8"))
            if _running(noted["owner"], noted["owner_created"]):
                continue
            process = _running(noted["pid"], noted["created"])
            if process and set(noted["arguments"]) <= set(process.cmdline()[1:]):
                end(process, grace=5)
                reclaimed.append(noted["name"])
        except (OSError, ValueError, KeyError, TypeError, psutil.Error):
            pass  # unreadable, or its process went meanwhile: nothing that we could stop
        record.unlink(missing_ok=True)
    return reclaimed


def _running(pid: int, created: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < 1 and process.status() != psutil.STATUS_ZOMBIE
        return process if same else None
    except psutil.NoSuchProcess:
        return None
