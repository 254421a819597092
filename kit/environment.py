"""The project's environment: `.venv` with what requirements.txt locks, made, mended and checked.

Standard library only: this runs before anything is installed.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

UV = "uv==0.13.9"  # installs the lock, in seconds where pip takes minutes; requirements.txt suits both
ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.txt"
GENERATION = ROOT / "apps" / "service" / "generation" / "requirements.txt"  # has no build for every machine
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STATE = VENV / "servelab.json"  # written last, so an environment without it, or half made, is known as such
SCRATCH = ROOT / ".kit"
LOG = SCRATCH / "logs" / "setup.log"

# What a failed step says, and what that means to the person who waits: first match wins.
DISK_FULL = f"the disk is full: {ROOT} needs about 2 GB. Free some space, then run the same command again"
READ_ONLY = f"writing is not allowed in {ROOT}, or in the package cache: use a folder of your own"
NO_BUILD = "a package has no build for this Python (see the log): use Python 3.11 to 3.14"
OFFLINE = "no connection to the package index. Connect (or set HTTPS_PROXY), then run the same command again"
MEANINGS = {
    DISK_FULL: ("no space left on device", "os error 28", "os error 112", "not enough space on the disk"),
    READ_ONLY: ("read-only file system", "permission denied", "access is denied"),
    "this Python cannot make environments. On Debian or Ubuntu: sudo apt install python3-venv": (
        "no module named ensurepip",
        "no module named venv",
    ),
    OFFLINE: (
        *("error sending request", "dns error", "failed to fetch", "failed to download", "tunnel"),
        *("name resolution", "connection refused", "connection error", "unreachable", "timed out", "timeout"),
        *("could not connect", "newconnectionerror", "maxretryerror", "could not find a version"),
    ),
    NO_BUILD: ("no solution found", "no wheels", "failed to build", "requires-python"),
}


class SetupError(Exception):
    """The environment could not be made; the message is one line that says what to do."""


def state() -> dict:
    """What STATE says, or {} where there is none that can be read."""
    try:
        return json.loads(STATE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def wanted(python: str) -> dict:
    """What STATE says of a finished environment, "generation" apart: whether a language model was installed.
    An environment does not survive being moved."""
    packages = b"".join(file.read_bytes() for file in (LOCK, GENERATION) if file.exists())
    lock = hashlib.sha256(packages).hexdigest()
    return {"state": "complete", "python": python, "folder": str(ROOT), "lock": lock, "uv": UV}


def python_version() -> str | None:
    """The version of the environment's Python, such as "3.11"; None where it does not run or has no pip."""
    probe = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
    try:
        asked = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() if asked.returncode == 0 else None


def is_finished() -> bool:
    version = python_version()
    return version is not None and wanted(version).items() <= state().items()


def prepare() -> None:
    """Make sure that `.venv` holds exactly what the lock asks for; at once where it does.

    Whatever was interrupted, moved or broken is made anew; packages come out of uv's cache where they can.
    Raises SetupError.
    """
    if is_finished():
        return
    with one_at_a_time():
        if is_finished():  # by another kit.py, while we waited
            return
        version, noted = python_version(), state()
        moved = noted.get("folder", str(ROOT)) != str(ROOT)
        if VENV.exists() and (version is None or moved or noted.get("state") == "installing"):
            why = "was moved" if moved else "was not finished" if version else "does not run any more"
            print(f".venv {why}: making it anew", flush=True)
            remove()
            version = None
        if version and tuple(map(int, version.split("."))) < (3, 11):
            raise SetupError(f".venv has Python {version}, which is too old: delete the folder {VENV}")
        print("Setting up (once; about 2 GB, a minute or so):", flush=True)
        VENV.mkdir(exist_ok=True)
        STATE.write_text(json.dumps({"state": "installing"}), encoding="utf-8")
        try:
            if version is None:
                base = sys.executable if sys.prefix == sys.base_prefix else sys._base_executable
                step("environment", [base, "-m", "venv", "--without-pip", str(VENV)])
                step("pip", [str(PYTHON), "-m", "ensurepip"])  # as a step of its own it says why it fails
            pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2"]
            step("installer", [*pip, "--no-input", "--progress-bar", "off", UV])
            uv = [str(PYTHON), "-m", "uv", "pip", "install", "--python", str(PYTHON)]
            step("packages", [*uv, "--requirements", str(LOCK)])
            generation = install_generation(uv)
        except SetupError as error:
            if OFFLINE in str(error) and noted.get("state") == "complete":
                STATE.write_text(json.dumps(noted), encoding="utf-8")  # nothing was changed: still whole
            raise
        finished = {**wanted(python_version()), "generation": generation}
        STATE.write_text(json.dumps(finished), encoding="utf-8")


def install_generation(uv: list[str]) -> bool:
    """Whether what runs a language model is installed; where it has no build, that is no failure. Raises
    SetupError."""
    if not GENERATION.exists():
        return False
    try:
        step("language model", [*uv, "--no-deps", "--no-build", "--requirements", str(GENERATION)])
    except SetupError as error:
        if str(error) != NO_BUILD:
            raise
        print("  llama.cpp has no build for this machine: the kit's tiny model takes its place", flush=True)
        return False
    return True


def step(what: str, command: list[str]) -> None:
    """Run one step, showing that it goes on; its output goes to LOG. Raises SetupError with its meaning."""
    terminal, started, lines = sys.stdout.isatty(), time.monotonic(), [""]
    if not terminal:
        print(f"  {what} ...", flush=True)
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    options |= {"text": True, "encoding": "utf-8", "errors": "replace", "cwd": ROOT}
    # Not closing file descriptors hands the setup's lock on: were we killed, it is held until this step ends.
    process = subprocess.Popen(command, env={**os.environ, "NO_COLOR": "1"}, close_fds=False, **options)
    reader = threading.Thread(target=lambda: read_into(lines, process.stdout), daemon=True)
    reader.start()
    try:
        while reader.is_alive():
            reader.join(0.2)
            if terminal:
                progress = f"  {what}  {time.monotonic() - started:.0f} s  {lines[-1].strip()}"
                width = shutil.get_terminal_size().columns - 1
                print("\r" + progress[:width].ljust(width), end="", flush=True)
    except BaseException:
        process.kill()
        raise
    finally:
        code = process.wait()
        process.stdout.close()
        with contextlib.suppress(OSError), LOG.open("a", encoding="utf-8") as log:
            log.write(f"--- {what}, exit code {code}\n{''.join(lines)}\n")
    took = f"  {what}: {time.monotonic() - started:.1f} s"
    print("\r" + took.ljust(shutil.get_terminal_size().columns - 1) if terminal else took, flush=True)
    if code:
        raise SetupError(meaning("".join(lines)))


def read_into(lines: list[str], output: TextIO) -> None:
    for line in output:
        lines.append(line)


def meaning(output: str) -> str:
    """One line that tells what a failed step's output means and what to do."""
    for line, signs in MEANINGS.items():
        if any(sign in output.lower() for sign in signs):
            return line
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no message")
    return f"the setup failed ({last[:200]}). Run the same command again; the log is {LOG}"


def remove() -> None:
    try:
        shutil.rmtree(VENV) if VENV.is_dir() and not VENV.is_symlink() else VENV.unlink()
    except OSError as error:
        remedy = "close the programs that use it, or delete it yourself, then run the same command again"
        raise SetupError(f"could not remove {VENV} ({error.strerror}): {remedy}") from None


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the setup's lock, which the system takes back from a process that dies."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with (SCRATCH / "setup.lock").open("a+b") as lock:
        os.set_inheritable(lock.fileno(), True)
        if not _try_lock(lock):
            print("Another kit.py is setting up: waiting for it", flush=True)
            while not _try_lock(lock):
                time.sleep(0.2)
        yield


def _try_lock(file) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
