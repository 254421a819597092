"""Workers on hosts of their own, which are cut off: `python -m benchmarks.hosts`, a small one."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis_server
from rabbitmq_server import missing

from benchmarks import network
from benchmarks.network import NAMESPACES, Network, NetworkError

ROOT = Path(__file__).resolve().parents[2]
LEFT = """
import os, signal
from benchmarks.network import Network
with Network(1) as network:
    print(network.hub, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def needs_hosts() -> None:
    try:
        with Network(1):
            pass
    except NetworkError as error:
        pytest.skip(f"needs hosts on one machine: {error}")


@pytest.mark.usefixtures("needs_hosts")
@missing
@redis_server.missing
def test_a_host_is_cut_off_amid_jobs_and_none_is_lost():
    if not (shutil.which("initdb") or [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]):
        pytest.skip("missing: PostgreSQL (initdb)")
    command = [sys.executable, "-m", "benchmarks.hosts", "--parts", "cuts", "--jobs", "6", "--cuts", "2"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        told = process.communicate(timeout=280)[0]
    counts = {name: int(count) for name, count in (line.split() for line in told.splitlines())}
    assert counts == {"accepted": 6, "done": 6, "lost": 0, "doubled": 0, "cuts": 2}
    assert process.returncode == 0
    assert not [*NAMESPACES.glob(f"servelab-{process.pid}-*")]


@pytest.mark.usefixtures("needs_hosts")
def test_hosts_that_a_killed_process_left_are_removed_by_the_next_one():
    found = subprocess.run([sys.executable, "-c", LEFT], cwd=ROOT, capture_output=True, text=True)
    hub = NAMESPACES / found.stdout.strip()
    assert found.returncode == -signal.SIGKILL and hub.exists()
    with Network(1) as ours:
        assert not hub.exists() and (NAMESPACES / ours.hub).exists()
    assert not (NAMESPACES / ours.hub).exists()


def test_without_what_it_needs_it_says_what_that_is(monkeypatch):
    monkeypatch.setattr(network.sys, "platform", "darwin")
    with pytest.raises(NetworkError, match="expected Linux"):
        Network(1)
    monkeypatch.setattr(network.sys, "platform", "linux")
    monkeypatch.setattr(network.shutil, "which", lambda name: None)
    with pytest.raises(NetworkError, match="apt install iproute2"):
        Network(1)
    monkeypatch.setattr(network.shutil, "which", lambda name: name)
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    with pytest.raises(NetworkError, match="expected root"):
        Network(1)
