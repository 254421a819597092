"""A real MLflow server of a test's own, started as `kit.py registry` does: in a folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from classroom.servers import free_port

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 120  # seconds that it takes to start, however busy the machine


class MlflowServer:
    """SQLite and files in its folder, which clients never see: they ask it for both. It can be killed,
    silenced, and started again at the same port with what it had."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        env = os.environ | {"MLFLOW_TRACKING_URI": "", "REGISTRY_FOLDER": str(self.folder)}
        command = [sys.executable, "-m", "model_training.registry.releases", "serve", str(self.port)]
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                command, env=env, cwd=ROOT, stdout=out, stderr=out, start_new_session=True
            )
        end = time.monotonic() + PATIENCE
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", trust_env=False, timeout=5).status_code == 200:
                    return
            told = (self.folder / "out").read_text(encoding="utf-8")[-500:]
            assert time.monotonic() < end and self._process.poll() is None, told
            time.sleep(0.1)

    def kill(self) -> None:
        """As with kill -9, all that it has started with it."""
        if os.name == "posix":
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(self._process.pid)], capture_output=True)
        self._process.wait()

    def silence(self) -> None:
        """Connections are taken, and nobody answers."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)


@contextmanager
def mlflow_server(folder: Path) -> Iterator[MlflowServer]:
    server = MlflowServer(folder)
    try:
        yield server
    finally:
        server.kill()
