"""The processes that tests fork are those that `python -m` would start."""

import contextlib
import signal
import subprocess
import sys

import httpx
import psutil
import pytest
from classroom import processes
from classroom.servers import ROOT, free_port

from tests import forked
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def settings(**more: str) -> dict[str, str]:
    port = str(free_port())
    return {**forked.ALWAYS, "PORT": port, "WORKER_PORT": port, "MODEL_PATH": "/no/such/model", **more}


@pytest.mark.parametrize("module", forked.MODULES)
def test_one_that_cannot_start_says_the_same_and_has_the_same_exit_code(module, tmp_path):
    env = settings(PORT="five", WORKER_PORT="five")
    said = []
    for name, spawn in {"forked": forked.spawn, "real": processes.spawn}.items():
        process = spawn([sys.executable, "-m", module], tmp_path / name, env=env)
        said.append((process.wait(PATIENCE), (tmp_path / name).read_text().splitlines()))
    assert said[0] == said[1]
    code, lines = said[0]
    assert code == 1 and "PORT" in str(lines[-1])


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).status_code == 503  # there is no model
    return False


def started(tmp_path, **more: str):
    env = settings(**more)
    process = forked.spawn([sys.executable, "-m", "apps.flask_app"], tmp_path / "log", env=env)
    url = f"http://127.0.0.1:{env['PORT']}"
    until(lambda: answers(f"{url}/health"), said=(tmp_path / "log").read_text)
    return process


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_one_that_is_told_to_end_has_its_exit_code(sent, code, tmp_path):
    process = started(tmp_path)
    assert isinstance(process, forked.Process) and process.poll() is None
    with pytest.raises(psutil.TimeoutExpired):
        process.wait(0.01)
    process.send_signal(sent)
    assert process.wait(PATIENCE) == code == process.poll() == process.returncode


def test_what_an_import_reads_is_given_to_a_process_of_its_own(tmp_path):
    process = started(tmp_path, PYTHONWARNINGS="error::BytesWarning")
    assert isinstance(process, psutil.Popen)
    processes.end(process, PATIENCE)


def test_they_end_with_the_process_that_wanted_them(tmp_path):
    script = f"""
import sys, time
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "notebooks")!r}]
from pathlib import Path
from tests import forked
log = Path({str(tmp_path / "log")!r})
process = forked.spawn([sys.executable, "-m", "apps.flask_app"], log, env={settings()!r})
print(process.pid, flush=True)
time.sleep({PATIENCE})
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as wanting:
        process = psutil.Process(int(wanting.stdout.readline()))
        wanting.kill()
    psutil.wait_procs([process], timeout=PATIENCE)
    assert not process.is_running()
