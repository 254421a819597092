"""Several workers behind one port: they answer as one, count as one, and one that dies costs what it was
doing and nothing more."""

import json
import os
import signal
import socket
import subprocess
import sys

import httpx
import psutil
import pytest
from classroom.servers import ROOT, free_port, serve
from pairs import FULL, await_workers, workers
from prometheus_client.parser import text_string_to_metric_families
from waiting_model import SLOW, Hold
from wire import Connection, post, request_bytes, send

from tests.waiting import PATIENCE, until

COUNT = 2
SETOSA = b'{"features":[5.1,3.5,1.4,0.2]}'
pytestmark = pytest.mark.parametrize("name", FULL)
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


@pytest.fixture(scope="module")
def env(iris_root) -> dict[str, str]:
    model = {"MODEL_PATH": str(iris_root / "models" / "iris"), "LOG_FORMAT": "json", "METRICS_PORT": "0"}
    return model | {"WORKERS": str(COUNT)}


def metrics(port: int) -> dict[tuple, float]:
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20, trust_env=False).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counted(port: int) -> float:
    return metrics(port).get(("http_requests_total", "POST", "/predict", "200"), 0)


def test_what_they_count_is_one_sum_that_never_falls(name, env, tmp_path):
    port = free_port()
    temporary = {variable: str(tmp_path) for variable in ("TMPDIR", "TEMP", "TMP")}
    with serve(name, env=env | temporary | {"METRICS_PORT": str(port)}) as server:
        (folder,) = tmp_path.glob("servelab-metrics-*")
        (folder / "counter_1.db").touch()  # of a worker that was killed as it made its file
        await_workers(server, COUNT)
        assert {post(server.url, SETOSA).status for _ in range(40)} == {200}
        until(lambda: counted(port) == 40)
        for worker in workers(server):
            worker.kill()
            until(lambda gone=worker: gone not in workers(server) and len(workers(server)) == COUNT)
            assert counted(port) == 40
        assert {post(server.url, SETOSA).status for _ in range(40)} == {200}
        until(lambda: counted(port) == 80)
        found = metrics(port)
        assert found["http_requests_in_flight",] == 0 and found["app_info", f"{name}_app"] == 1
        assert [value for key, value in found.items() if key[0] == "model_loaded"] == [1]
        assert not [key for key in found if "pid" in key[0]]
    if os.name == "posix":  # elsewhere its end may have to be forced
        assert not [*tmp_path.glob("servelab-metrics-*")]


def test_while_one_is_killed_and_started_again_the_others_answer(name, env):
    with serve(name, env=env) as server:
        await_workers(server, COUNT)
        first = workers(server)
        first[0].kill()
        statuses = []
        while server.log.read_bytes().count(b'"event":"model loaded"') < COUNT + 1:
            statuses.append(post(server.url, SETOSA).status)
        statuses += [post(server.url, SETOSA).status for _ in range(20)]
        assert set(statuses) == {200}
        assert len(workers(server)) == COUNT and first[1] in workers(server)
        told = [json.loads(line) for line in server.log.read_text().splitlines() if "takes its place" in line]
        assert [line["exit_code"] for line in told] == [-signal.SIGKILL if os.name == "posix" else 15]


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_all_finish_what_they_have_and_end(name, number, waiting_env, holding):
    port = free_port()
    env = os.environ | waiting_env | {"WORKERS": str(COUNT), "METRICS_PORT": "0", "LOG_LEVEL": "warning"}
    env |= {"PORT": str(port), "GRACE_SECONDS": "60", "PREDICT_TIMEOUT_SECONDS": "60"}
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", f"apps.{name}_app"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=-1, stderr=subprocess.STDOUT, process_group=0
    ) as process:
        until(lambda: answers(url))
        with Hold(holding) as hold, Connection(url) as connection:
            body = json.dumps({"features": SLOW}).encode()
            connection.send(request_bytes("POST", "/predict", {"Content-Type": "application/json"}, body))
            hold.await_begin()
            # SIGINT as from a terminal: to every process of the group
            (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
            until(lambda: not answers(url))
            assert process.poll() is None
            hold.release()
            assert json.loads(connection.receive().body)["prediction"] == [3.0]
        output, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (0, b"")


def answers(url: str) -> bool:
    try:
        return bool(send(url, request_bytes("GET", "/health/live", {})).status)
    except OSError:
        return False


@posix
def test_a_second_signal_ends_all_at_once(name, waiting_env, holding):
    env = waiting_env | {"WORKERS": str(COUNT), "METRICS_PORT": "0"}
    env |= {"GRACE_SECONDS": "600", "PREDICT_TIMEOUT_SECONDS": "600"}
    with serve(name, env=env) as server, Connection(server.url) as connection, Hold(holding) as hold:
        body = json.dumps({"features": SLOW}).encode()
        connection.send(request_bytes("POST", "/predict", {"Content-Type": "application/json"}, body))
        hold.await_begin()
        theirs = workers(server)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: not answers(server.url))
        assert server.alive
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
        assert not [worker for worker in theirs if worker.is_running()]


def test_without_their_supervisor_they_end_too(name, env):
    with serve(name, env=env) as server:
        await_workers(server, COUNT)
        theirs = workers(server)
        server.process.kill()
        gone, left = psutil.wait_procs(theirs, PATIENCE)
        assert not left
        with pytest.raises(OSError):
            send(server.url, request_bytes("GET", "/health", {}))


def test_workers_that_cannot_start_are_given_up(name, env, tmp_path):
    """Python runs sitecustomize.py when it starts: this one ends every worker, and no supervisor."""
    text = "import os, sys\nif 'spawn_main' in str(sys.orig_argv): os._exit(3)"
    (tmp_path / "sitecustomize.py").write_text(text)
    port = str(free_port())
    done = subprocess.run(
        [sys.executable, "-m", f"apps.{name}_app"],
        cwd=ROOT, env=os.environ | env | {"PYTHONPATH": str(tmp_path), "PORT": port},
        capture_output=True, text=True, timeout=PATIENCE * 4,
    )  # fmt: skip
    assert done.returncode not in (0, None)
    assert done.stderr == f"{name}_app: its workers end as soon as they start (exit code 3)\n"


def test_a_start_that_fails_is_one_line(name, env):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = [{"PORT": str(taken.getsockname()[1])}, {"WORKERS": "0"}, {"WORKERS": "many"}]
        for settings, start in zip(wrong, ("cannot listen on ", "WORKERS: ", "WORKERS: "), strict=True):
            done = subprocess.run(
                [sys.executable, "-m", f"apps.{name}_app"],
                cwd=ROOT, env=os.environ | env | settings, capture_output=True, text=True, timeout=PATIENCE,
            )  # fmt: skip
            assert done.returncode not in (0, None)
            assert done.stderr.startswith(f"{name}_app: {start}") and done.stderr.count("\n") == 1


@posix
def test_what_a_killed_supervisor_leaves_the_next_one_clears(name, env, tmp_path):
    env = env | {"TMPDIR": str(tmp_path)}
    with serve(name, env=env) as server:
        await_workers(server, COUNT)
        left = [psutil.Process(server.process.pid), *workers(server)]
        assert [path.name for path in tmp_path.glob("servelab-metrics-*")]
        server.process.kill()
        psutil.wait_procs(left, timeout=PATIENCE)
    orphaned = {path.name for path in tmp_path.glob("servelab-metrics-*")}
    assert orphaned
    with serve(name, env=env) as server:
        await_workers(server, COUNT)
        found = {path.name for path in tmp_path.glob("servelab-metrics-*")}
        assert len(found) == 1 and not found & orphaned
    assert not [*tmp_path.glob("servelab-metrics-*")]
