"""classroom.serve and start: ready means ours, and nothing outlives the Python that started it."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
from classroom import processes, servers
from classroom.servers import Kind, ServerError, free_port, serve, start
from jupyter_client import KernelManager

from tests.late_threads import together  # noqa: F401 - the fixture

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
# A server of a few lines: who it says it is, and since when, is for the test to choose.
FAKE = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(os.environ.get("STATUS", 200)))
        self.end_headers()
        self.wfile.write(os.environ["HEALTH"].encode())
    def log_message(self, *arguments): pass
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def fake(monkeypatch):
    """Makes "fake" a kind of server: the code to run, and how long it may take."""

    def make(code: str = FAKE, deadline: float = 30, grace: float = 5) -> str:
        kind = Kind(("-c", code, "{port}"), 9000, "/health", "fake", deadline=deadline, grace=grace)
        monkeypatch.setitem(servers.KINDS, "fake", kind)
        return "fake"

    return make


def health(app: str = "fake", uptime: float = 0.0) -> dict[str, str]:
    return {"HEALTH": json.dumps({"app": app, "uptime_seconds": uptime})}


def gone(pid: int, seconds: float = 20) -> bool:
    """Whether the process ends within a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_threads_that_ask_one_server_all_have_their_answers(together):  # noqa: F811
    with serve("flask") as server:
        assert {answer.status_code for answer in together(lambda: server.post("/predict", json=ROW))} == {200}


# --- ready means ours


@pytest.mark.parametrize("name", ["fastapi", "flask", "minimal_fastapi", "minimal_flask"])
def test_a_served_model_predicts_and_is_gone_after_the_block(name, iris_root):
    with serve(name, env={"MODEL_PATH": str(iris_root / "model.pkl"), "METRICS_PORT": "0"}) as server:
        answer = server.post("/predict", json=ROW)
        assert (answer.status_code, answer.json()["prediction"]) == (200, [0])
        assert server.get("/health").json()["app"] == servers.KINDS[name].app
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert "predict" in server.tail(2)
        assert server.log.parent.name == "logs"
        pid, record = server.process.pid, processes.RECORDS / f"{name}-{server.process.pid}.json"
        assert json.loads(record.read_text(encoding="utf-8"))["port"] == server.port
    assert gone(pid) and not record.exists()
    with pytest.raises(ServerError, match="was stopped: start it again"):
        server.get("/health")
    server.stop()


def test_the_page_is_served():
    with serve("ui") as page:
        assert page.get("/").status_code == 200


def test_a_server_without_a_model_is_there_to_be_asked():
    with serve("fastapi", env={"MODEL_PATH": "nowhere.pkl"}) as server:
        assert server.get("/health").status_code == 503


def test_a_server_that_ends_at_once_shows_its_log(fake):
    name = fake("print('the reason'); raise SystemExit(3)")
    with pytest.raises(ServerError, match=r"(?s)ended with exit code 3 .*the reason"), serve(name):
        pass


def test_a_server_that_never_listens_is_given_up_and_stopped(fake):
    name = fake("import time; print('asleep', flush=True); time.sleep(600)", deadline=2)
    with pytest.raises(ServerError, match=r"(?s)not ready after 2 s.*asleep"):
        start(name)
    assert not [server for server in servers._running if server.name == name]


@pytest.mark.parametrize(
    ("env", "says"),
    [
        (health(app="another"), "another server answers"),
        (health(uptime=3600.0), "another server answers"),
        ({"HEALTH": "AirPlay", "STATUS": "403"}, "gave 403 and not our JSON: AirPlay"),
    ],
)
def test_whoever_else_answers_is_not_taken_for_ours(fake, env, says):
    with pytest.raises(ServerError, match=says), serve(fake(deadline=3), env=env):
        pass


def test_another_process_on_the_port_is_not_taken_for_ours(fake):
    """Ours waits before it listens; a stranger that gives all the right answers has its port."""
    name = fake("import time; time.sleep(600)", deadline=2)
    port = free_port()
    stranger = subprocess.Popen(
        [sys.executable, "-c", FAKE, str(port)], env=os.environ | health(), stdout=subprocess.PIPE
    )
    try:
        stranger.stdout.readline()
        server = servers.Server(name, port=port)
        for until in ("port", "health"):
            with pytest.raises(ServerError, match="not ready after 2 s"):
                server.wait(until)
        server.stop()
    finally:
        stranger.kill()
        stranger.communicate()


def test_waiting_for_the_port_asks_nothing(fake):
    with serve(fake(), env={"HEALTH": "not even JSON"}, wait="port") as server:
        assert server.get("/").text == "not even JSON"


def test_a_server_that_died_says_so_when_it_is_asked(fake):
    with serve(fake(), env=health()) as server:
        server.process.kill()
        server.process.wait()
        with pytest.raises(ServerError, match="ended by itself"):
            server.get("/health")


def test_names_that_do_not_exist_are_answered_with_those_that_do():
    before = list(servers._running)
    with (
        pytest.raises(ValueError, match="fastapi, flask, worker, minimal_fastapi, minimal_flask, ui, lab"),
        serve("django"),
    ):
        pass
    with pytest.raises(ValueError, match="'health' or 'port'"), serve("flask", wait="long"):
        pass
    assert servers._running == before


def test_a_taken_port_is_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("", 0)) as everywhere:
        for port in (taken.getsockname()[1], everywhere.getsockname()[1]):
            assert port < free_port(port) < port + 50


@pytest.mark.parametrize("name", ["fastapi", "minimal_fastapi", "minimal_flask", "worker", "ui"])
def test_a_server_whose_free_port_was_taken_before_it_was_there_takes_another(name, iris_root, monkeypatch):
    env = {"MODEL_PATH": str(iris_root / "model.pkl"), "METRICS_PORT": "0"}
    if name == "worker":
        env |= {"JOBS": "on", "JOBS_FOLDER": str(iris_root / "jobs")}
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken, free = stranger.getsockname()[1], free_port()
        ports = iter([taken, free])
        monkeypatch.setattr(servers, "free_port", lambda: next(ports))
        with serve(name, env=env) as server:
            assert server.port == free and server.alive
            assert str(free) in str(server.get(server.kind.health).url)
            assert servers._running.count(server) == 1


def test_a_port_that_was_asked_for_is_kept_and_one_is_given_up_when_every_port_is_taken(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        asked = servers.Server("fastapi", env={"METRICS_PORT": "0"}, port=taken)
        with pytest.raises(ServerError, match=f"(?s)ended with exit code 1.*cannot listen on .*{taken}"):
            asked.wait()
        asked.stop()
        monkeypatch.setattr(servers, "free_port", lambda: taken)
        monkeypatch.setattr(servers, "PORTS_TRIED", 2)
        with (
            pytest.raises(ServerError, match="cannot listen on "),
            serve("fastapi", env={"METRICS_PORT": "0"}),
        ):
            pass


# --- nothing outlives the Python that started it


def test_starting_again_stops_the_one_before_of_its_label_and_serving_does_not(fake):
    name = fake()
    first = start(name, env=health())
    with serve(name, env=health()) as beside:
        second = start(name, env=health())
        assert not first.alive and beside.alive and second.alive
    other = start(name, env=health(), label="other")
    assert second.alive and other.alive
    second.stop()
    other.stop()


def test_one_that_ignores_the_request_to_end_is_killed_with_its_children(fake):
    child = "import time; time.sleep(600)"
    stubborn = f"""
import signal, subprocess, sys
for name in ("SIGTERM", "SIGBREAK"):
    if hasattr(signal, name): signal.signal(getattr(signal, name), signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", {child!r}]).pid, flush=True)
{FAKE}"""
    with serve(fake(stubborn, grace=0.5), env=health()) as server:
        child_pid = int(server.log.read_text(encoding="utf-8").split()[0])
        assert psutil.pid_exists(child_pid)
    assert gone(server.process.pid) and gone(child_pid)


SCRIPT = """
import sys
sys.path.insert(0, {notebooks!r})
from classroom import servers
servers.KINDS["fake"] = servers.Kind(("-c", {fake!r}, "{{port}}"), 9000, "/health", "fake")
server = servers.start("fake", env={env!r})
print(server.process.pid, flush=True)
"""


def script(then: str) -> str:
    notebooks = str(servers.ROOT / "notebooks")
    return SCRIPT.format(notebooks=notebooks, fake=FAKE, env=health()) + textwrap.dedent(then)


def test_a_server_that_was_not_stopped_ends_with_its_python():
    ended = subprocess.run([sys.executable, "-c", script("")], capture_output=True, text=True, check=True)
    assert gone(int(ended.stdout))


def test_a_killed_python_leaves_a_server_that_the_next_start_reclaims(fake):
    lost = subprocess.Popen([sys.executable, "-c", script("input()")], stdin=-1, stdout=-1, text=True)
    pid = int(lost.stdout.readline())
    with serve(fake(), env=health()):
        assert psutil.pid_exists(pid), "its Python still runs: it is not ours to stop"
    lost.kill()
    lost.communicate()
    assert psutil.pid_exists(pid)
    with serve(fake(), env=health()):
        assert gone(pid)


def test_a_process_that_only_has_the_number_of_a_lost_server_is_left_alone(fake):
    """The record has the number of a process of ours, with a wrong start, then with wrong arguments."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    created = psutil.Process(sleeper.pid).create_time()
    try:
        for wrong in ({"created": created - 100}, {"arguments": ["-m", "something"]}):
            noted = {"name": "fake", "pid": sleeper.pid, "created": created, "owner": 1, "owner_created": 0.0}
            noted |= {"arguments": psutil.Process(sleeper.pid).cmdline()[1:], "port": 1} | wrong
            record = processes.RECORDS / "fake-of-a-test.json"
            record.parent.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps(noted), encoding="utf-8")
            assert "fake" not in processes.reclaim()
            assert sleeper.poll() is None and not record.exists()
    finally:
        sleeper.kill()
        sleeper.wait()


# --- in a Jupyter kernel


@pytest.fixture
def kernel(iris_root):
    """A kernel in notebooks/, and a function that runs code in it and returns what it printed."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(servers.ROOT / "notebooks"))
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)

    def run(code: str, then=None) -> str:
        printed = []

        def hear(message) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
                if then:
                    then()
            elif message["msg_type"] == "error":
                printed.append(content["ename"])

        client.execute_interactive(code, timeout=90, output_hook=hear)
        return "".join(printed).strip()

    run.manager, run.client = manager, client
    run(f"from classroom import serve, start; env = {{'MODEL_PATH': {str(iris_root / 'model.pkl')!r}}}")
    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.context.destroy()


def test_a_restarted_kernel_takes_its_server_with_it(kernel):
    pid = int(kernel("server = start('flask', env=env); print(server.process.pid)"))
    assert not gone(pid, seconds=0.2)
    kernel.manager.restart_kernel()
    assert gone(pid)


def test_a_cell_that_is_run_again_leaves_one_server(kernel):
    cell = "server = start('flask', env=env); print(server.process.pid)"
    first, second = int(kernel(cell)), int(kernel(cell))
    assert gone(first) and not gone(second, seconds=0.2)
    assert kernel("server.stop()") == ""
    assert gone(second)


def test_an_interrupted_block_stops_its_server_and_one_from_another_cell_goes_on(kernel):
    other = int(kernel("other = start('flask', env=env); print(other.process.pid)"))
    said = kernel(
        """
        import time
        with serve("fastapi", env=env) as server:
            print(server.process.pid)
            time.sleep(600)
        """,
        then=kernel.manager.interrupt_kernel,
    )
    pid, error = said.split()
    assert error == "KeyboardInterrupt"
    assert gone(int(pid))
    assert kernel("print(other.get('/health').status_code)") == "200"
    assert not gone(other, seconds=0.2)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_kernels_server_is_reclaimed_by_the_next_start(kernel, fake):
    pid = int(kernel("server = start('flask', env=env); print(server.process.pid)"))
    os.kill(kernel.manager.provisioner.pid, signal.SIGKILL)
    assert gone(kernel.manager.provisioner.pid)
    with serve(fake(), env=health()):
        assert gone(pid)
