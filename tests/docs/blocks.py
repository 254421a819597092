"""The blocks of code in the README and the book, and what runs them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from classroom.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]
BLOCKS = sorted(  # each once, on however many pages it stands
    {
        found
        for page in PAGES
        for found in re.findall(
            r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        )
    }
)
BASH = shutil.which("bash")


def block(language: str, holding: str) -> str:
    """The one block of this language that has `holding` in it, or is it."""
    found = [text for name, text in BLOCKS if name == language and holding in text]
    found = [text for text in found if text.strip() == holding] or found
    assert len(found) == 1, f"{len(found)} {language} blocks with {holding}"
    return found[0]


def run(command: list[str], cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, encoding="utf-8", timeout=1200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(project: Path, port: int) -> dict[str, str]:
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": tools, "PORT": str(port), "UVICORN_PORT": str(port), "PYTHONUNBUFFERED": "1"}


@contextmanager
def started(command: str, cwd: Path, env: dict[str, str]) -> Iterator[subprocess.Popen]:
    """A command of bash's; nothing of it outlives the block, however that ends."""
    process = subprocess.Popen([BASH, "-ec", command], cwd=cwd, env=env, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # as it should be
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until_it_predicts(client: httpx.Client, process: subprocess.Popen) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server ended"
        try:
            answer = client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})
            if answer.status_code != 503:  # which it is while the model is loaded
                break
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    assert answer.json()["prediction"] == [0]


def answers_when_started(command: str, cwd: Path) -> None:
    """The command starts a server that predicts; it is stopped again."""
    port = free_port()
    with started(command, cwd, os.environ | environment(cwd, port)) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            until_it_predicts(client, process)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
