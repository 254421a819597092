"""A registry that is not there yet, opened by several at once: the agents of servers, and a terminal. And by
one that is killed meanwhile."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

OPEN = """
from model_training.registry.registry import Registry
from model_training.registry.tracking_server import quiet
quiet()
print(Registry().versions("iris"))
"""


PATIENCE = 120


def opening(folder: Path) -> subprocess.Popen:
    env = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').as_posix()}"}
    env["REGISTRY_FOLDER"] = str(folder)
    options = {"stdout": -1, "stderr": -1, "text": True, "encoding": "utf-8"}
    return subprocess.Popen([sys.executable, "-c", OPEN], env=env, **options)


def assert_opened(process: subprocess.Popen) -> None:
    said, errors = process.communicate(timeout=PATIENCE)
    assert (said, process.returncode) == ("[]\n", 0), errors


def size_of(folder: Path) -> int:
    """Of the largest file there, bytes."""
    sizes = [0]
    for path in folder.glob("mlflow.db*"):
        with suppress(FileNotFoundError):  # a journal, which comes and goes
            sizes.append(path.stat().st_size)
    return max(sizes)


def test_several_processes_make_it_once(tmp_path):
    for process in [opening(tmp_path) for _ in range(3)]:
        assert_opened(process)


def test_one_that_is_killed_in_the_middle_leaves_nothing_that_cannot_be_opened(tmp_path):
    process = opening(tmp_path)
    end = time.monotonic() + PATIENCE
    while size_of(tmp_path) < 100_000:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert_opened(opening(tmp_path))
