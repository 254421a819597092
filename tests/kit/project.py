"""A project in a temporary folder, in which kit.py runs for real."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAIN = 'import sys\nprint("trained", *sys.argv[1:])\n'  # stands for a command that needs the environment


class Project:
    """A folder with kit.py in it."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env}
        self.env.pop("MODEL_PATH", None)
        self.venv = folder / ".venv"
        self.python = self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "kit.py", folder)
        shutil.copytree(ROOT / "kit", folder / "kit", ignore=shutil.ignore_patterns("__pycache__"))

    def start(self, *arguments: str, python: str = sys._base_executable, **env: str) -> subprocess.Popen:
        """kit.py as a person starts it, with the system's Python; `communicate()[0]` is all that it says."""
        return subprocess.Popen(
            [python, "kit.py", *arguments],
            cwd=self.folder,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def run(self, *arguments: str, **options: str) -> tuple[int, str]:
        """The exit code and the output. What does not end is ended, and says where it was."""
        process = self.start(*arguments, **options)
        try:
            output = process.communicate(timeout=100)[0]
        except subprocess.TimeoutExpired:
            running = psutil.Process(process.pid)
            for one in [*reversed(running.children(recursive=True)), running]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.send_signal(signal.SIGABRT)  # pytest prints the stacks of its threads then
            pytest.fail(f"It did not end in 100 s, and printed:\n{process.communicate()[0]}")
        return process.returncode, output


def write_wheel(path: Path, files: dict[str, bytes]) -> None:
    record = next(name for name in files if name.endswith("METADATA")).replace("METADATA", "RECORD")
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o100755 << 16  # what pip goes by to make a script executable
            wheel.writestr(entry, content)
        wheel.writestr(record, "".join(f"{name},,\n" for name in [*files, record]))
