"""Flask on granian: how it begins and ends. What it promises else is in the contract, with SERVER=granian."""

import json
import os
import signal
import time

import pytest
from classroom.servers import serve
from promises import family

from tests.waiting import PATIENCE


@pytest.fixture
def env(iris_root) -> dict[str, str]:
    folder = str(iris_root / "models" / "iris")
    return {"MODEL_PATH": folder, "LOG_FORMAT": "json", "METRICS_PORT": "0", "SERVER": "granian"}


def events(server) -> list[dict]:
    return [json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines()]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_told_to_stop_it_says_so_answers_still_and_ends(env, workers):
    with serve("flask", env=env | {"DRAIN_SECONDS": "2", "WORKERS": workers}) as server:
        assert server.get("/health/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        while (answer := server.get("/health/ready")).status_code == 200:
            time.sleep(0.02)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/draining")
        assert server.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).status_code == 200
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_its_worker_ends_with_a_supervisor_that_is_killed(env):
    with serve("flask", env=env) as server:
        worker = family(server)[1:]
        server.process.kill()
        deadline = time.monotonic() + PATIENCE
        while any(one.is_running() for one in worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert worker and not any(one.is_running() for one in worker)


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_it_warns_where_others_can_reach_it(env, host, warned):
    with serve("flask", env=env | {"HOST": host, "ACCESS": "off"}) as server:
        warnings = [event for event in events(server) if event["level"] == "warning"]
        assert bool(warnings) == warned
        assert not warned or "SERVER=waitress" in warnings[0]["event"]
