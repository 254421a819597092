"""The FastAPI server on Ray Serve, in Ray's own environment: two replicas on this machine."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import joblib
import numpy as np
import psutil
import pytest
from classroom.processes import end
from classroom.servers import free_port
from waiting_model import QUICK, SLOW, Hold, WaitingSum, environment

from benchmarks.environments import OURS, ROOT, python_of
from model_training.adopt import adopt
from tests.waiting import until

PATIENCE = 300  # seconds, however busy the machine: Ray starts six processes, and each imports it
APP = ["-m", "deploy.ray.app"]

needs_ray = pytest.mark.skipif(
    not python_of("ray_app").exists() or os.name == "nt",
    reason="needs benchmarks/.environments/ray_app (sudo .venv/bin/python -m benchmarks.ray_serve)",
)


@pytest.fixture
def hold(tmp_path) -> Hold:
    (tmp_path / "holding").mkdir()
    return Hold(tmp_path / "holding")


@pytest.fixture
def replicas(tmp_path, hold) -> Iterator[tuple[psutil.Popen, str, list[str]]]:
    """The process that started them, where they answer, and where each shows its metrics."""
    rows = np.array([[0.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    joblib.dump(WaitingSum().fit(rows, rows.sum(axis=1)), tmp_path / "waiting.pkl")
    adopt(tmp_path / "waiting.pkl", "waiting", None, tmp_path)
    port, metrics = free_port(), free_port(20000)
    settings = {"PORT": str(port), "METRICS_PORT": str(metrics), "WORKERS": "2", "GRACE_SECONDS": "60"}
    settings |= environment(tmp_path / "models" / "waiting", hold.folder)
    rays = Path(tempfile.mkdtemp(prefix="ray-"))  # its sockets' paths may have 107 bytes
    settings |= {"HOME": str(tmp_path), "RAY_TMPDIR": str(rays)}
    command = [str(python_of("ray_app")), *APP]
    with (tmp_path / "log").open("wb") as log:
        process = psutil.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=log, stderr=log)
    url, shown = f"http://127.0.0.1:{port}", [f"http://127.0.0.1:{metrics + number}" for number in (0, 1)]
    try:
        until(
            lambda: process.poll() is not None or (answers(url, QUICK) and all(map(counted, shown))),
            seconds=PATIENCE,
        )
        assert process.poll() is None
        yield process, url, shown
    finally:
        end(process, PATIENCE)
        print((tmp_path / "log").read_text())  # which pytest shows where a test fails
        shutil.rmtree(rays, ignore_errors=True)


def answers(url: str, row: list[float]) -> bool:
    try:
        return httpx.post(f"{url}/predict", json={"features": row}, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def counted(metrics: str) -> str:
    """What a replica shows, "" where there is none yet."""
    try:
        return httpx.get(f"{metrics}/metrics", timeout=5).text
    except httpx.TransportError:
        return ""


def predictions(metrics: str) -> int:
    """How many a replica has counted, of those that it answered."""
    line = r'^http_requests_total\{.*route="/predict",status="200"\} (\S+)$'
    found = re.search(line, counted(metrics), re.M)
    return int(float(found[1])) if found else 0


@needs_ray
def test_replicas_answer_as_the_server_does_count_and_finish_what_they_began(replicas, hold):
    process, url, metrics = replicas
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        told = client.post("/predict", json={"features": QUICK})
        assert told.json()["prediction"] == [2.0] and told.headers["X-Request-ID"]
        refused = client.post("/predict", json={"features": ["a", 2]})
        assert refused.status_code == 400
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert client.get("/health/ready").json() == {"status": "ready"}
        until(lambda: sum(map(predictions, metrics)) > 0)
        before = sum(map(predictions, metrics))
        with ThreadPoolExecutor(8) as clients:
            assert all(clients.map(lambda _: answers(url, QUICK), range(40)))
        until(lambda: sum(map(predictions, metrics)) == before + 40)
        assert all(map(predictions, metrics))  # each has had some
    with ThreadPoolExecutor(1) as clients, hold:
        slow = clients.submit(httpx.post, f"{url}/predict", json={"features": SLOW}, timeout=PATIENCE)
        hold.await_begin()
        process.send_signal(signal.SIGTERM)
        time.sleep(1)  # it would have ended by now
        assert process.poll() is None
        hold.release()
        assert slow.result().json()["prediction"] == [3.0]
    assert process.wait(PATIENCE) == 0


@needs_ray
def test_a_setting_that_cannot_be_is_named_before_ray_starts():
    env = os.environ | {"WORKERS": "many"}
    found = subprocess.run(
        [str(python_of("ray_app")), *APP], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert found.returncode == 1 and found.stderr.startswith("deploy.ray.app: WORKERS: expected")


def test_its_requirements_pin_ray_and_take_the_rest_from_the_projects_lock():
    lines = OURS["ray_app"].read_text(encoding="utf-8").splitlines()
    assert "-c ../../requirements.txt" in lines
    assert [line for line in lines if "==" in line and "sys_platform" not in line] == ["ray[serve]==2.60.0"]
    locked = Path(ROOT, "requirements.txt").read_text(encoding="utf-8")
    for line in lines:
        if re.match("[a-z]", line) and not line.startswith("ray"):
            assert f"\n{line.split(' ')[0]}==" in f"\n{locked}", line
