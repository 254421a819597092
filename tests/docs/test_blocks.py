"""Every block of code in the README and the book runs, where the machine has what it needs."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from classroom.servers import free_port, serve

from model_training.train import main as train

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
NOT_RUN = {  # what stands in the block: why it is not run here
    "python -m jupyterlab": "tests/kit/test_up.py starts it, as kit.py up does",
    "python kit.py test --quick": "these are its tests",
    "python -m pytest tests/contract/test_openapi.py": "the two files are run by themselves",
    "store_outputs.py 01 04": "writes the lessons anew; their gates run them as they are",
    "prometheus --config.file": "tests/deploy starts Prometheus with this configuration",
    "promtool test rules": "tests/deploy does both",
    "export TRUSTED_PROXIES": "tests/deploy/test_proxy.py starts both servers with these settings",
    "nginx -p .kit/proxy": "tests/deploy/test_proxy.py takes this block, and starts nginx with it",
    "curl --cacert": "tests/deploy/test_proxy.py asks both sites with curl",
    "docker compose --profile proxy": "tests/deploy/test_docker.py looks at the classroom",
    "MaxRetentionSec": "a setting of the system's journal",
    "JOBS=on python -m apps.fastapi_app": "tests/contract/test_jobs.py starts servers and a worker so",
    "WORKER_PORT=8003": "tests/jobs starts several workers of one folder",
    "BROKER_URL=amqp": "tests/jobs/test_worker.py starts workers with these settings",
    "grafana server": "Grafana is no package of any index; tests/deploy checks its dashboard",
}
BASH = shutil.which("bash")
FASTAPI = "http://127.0.0.1:8000"


def block(language: str, holding: str) -> str:
    """The one block of this language that has `holding` in it, or is it."""
    found = [text for name, text in BLOCKS if name == language and holding in text]
    found = [text for text in found if text.strip() == holding] or found
    assert len(found) == 1, f"{len(found)} {language} blocks with {holding}"
    return found[0]


def test_every_block_has_a_test_here():
    tests = Path(__file__).read_text(encoding="utf-8")
    held = re.findall(r"""block\("(\w+)", (?:"([^"]+)"|'([^']+)')\)""", tests)
    held = [(name, one or other) for name, one, other in held]
    for language, text in BLOCKS:
        reasons = [reason for holding, reason in NOT_RUN.items() if holding in text]
        assert reasons or any(language == name and holding in text for name, holding in held), text


def test_every_reason_not_to_run_a_block_is_of_a_block():
    for holding in NOT_RUN:
        assert len([text for _, text in BLOCKS if holding in text]) == 1, holding


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of what the README's commands need, with a trained model."""
    copy = tmp_path_factory.mktemp("project")
    for room in ("apps", "model_training"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", copy)
    assert train(["iris", "--root", str(copy)]) == 0
    return copy


@pytest.fixture(scope="module")
def live(project):
    """Both servers; `live(text)` is the text with the addresses that they have here."""
    env = {"MODEL_PATH": str(project / "model.pkl")}
    with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
        yield lambda text: text.replace("http://127.0.0.1:8000", fastapi.url).replace(
            "http://127.0.0.1:5000", flask.url
        )


def run(command: list[str], cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, encoding="utf-8", timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not (BASH and shutil.which("curl")), reason="needs bash and curl")
def test_the_curl_example(live, project):
    said = run([BASH, "-ec", live(block("bash", "curl -X POST"))], project)
    assert said.startswith('{"prediction":[0],"label":"setosa"') and '}{"status":"ok"' in said


@pytest.mark.skipif(not shutil.which("pwsh"), reason="needs PowerShell (pwsh)")
def test_the_powershell_example(live, project):
    said = run(["pwsh", "-NoProfile", "-Command", live(block("powershell", "Method Post -Uri"))], project)
    assert "prediction" in said and "ok" in said


def test_the_python_example(live, project):
    said = run([sys.executable, "-c", live(block("python", "for address in"))], project)
    assert said.count("200 {'prediction': [0], 'label': 'setosa', ") == 2


@pytest.mark.parametrize("holding", ['"prediction": [0], "label"', '"detail": "expected 4 features'])
def test_the_answers_shown_are_those_that_come(full, holding):
    shown = json.loads(
        {
            '"prediction": [0], "label"': block("json", '"prediction": [0], "label"'),
            '"detail": "expected 4 features': block("json", '"detail": "expected 4 features'),
        }[holding]
    )
    features = [5.1, 3.5, 1.4, 0.2] if "prediction" in shown else [5.1, 3.5, 1.4]
    answer = full["flask"].post("/predict", json={"features": features}).json()
    same = ("prediction", "label", "type", "title", "status", "detail")
    assert list(answer) == list(shown)
    assert {name: answer[name] for name in same if name in shown} == {
        name: shown[name] for name in same if name in shown
    }


def test_training_and_adopting(project, tmp_path):
    run(
        [BASH or "bash", "-ec", block("bash", "python -m model_training.train iris")],
        project,
        **environment(project, 0),
    )
    assert block("bash", "kit.py adopt") == "python kit.py adopt path/to/model.pkl\n"
    shutil.copy(project / "models" / "iris" / "model.joblib", tmp_path / "mine.pkl")
    command = [
        sys.executable,
        "-m",
        "model_training.adopt",
        str(tmp_path / "mine.pkl"),
        "--root",
        str(tmp_path),
    ]
    assert "kit.py up serves it" in run(command, project)
    assert list(tmp_path.glob("models/mine/card.json"))


def test_the_test_clients_of_both_frameworks(project):
    env = {"METRICS_PORT": "0", "MODEL_PATH": str(project / "model.pkl")}
    said = run([sys.executable, "-c", block("python", "TestClient")], project, **env)
    assert said.split() == ["setosa", "setosa"]


@pytest.mark.skipif(os.name == "nt" or not BASH, reason="needs bash")
def test_the_page_starts_as_the_book_says():
    port = free_port()
    settings = {"STREAMLIT_SERVER_PORT": port, "STREAMLIT_SERVER_HEADLESS": "true"}
    env = os.environ | environment(ROOT, port) | {name: str(value) for name, value in settings.items()}
    with started(block("bash", "streamlit run"), ROOT, env):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"))


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False).status_code == 200
    return False


@pytest.mark.parametrize("holding", ["CORSMiddleware", "def with_cors"])
def test_a_page_of_one_origin_is_let_in_and_no_other(project, tmp_path, holding):
    blocks = {"CORSMiddleware": block("python", "CORSMiddleware")}
    blocks["def with_cors"] = block("python", "def with_cors")
    ask = """
if hasattr(app, "test_client"):
    client = app.test_client()
    def ask(method, path, headers): return client.open(path, method=method, headers=headers, base_url="http://localhost")
else:
    from fastapi.testclient import TestClient
    client = TestClient(app, base_url="http://localhost")
    def ask(method, path, headers): return client.request(method, path, headers=headers)
page = {"Origin": "https://app.example.org"}
asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Authorization"}
before = ask("OPTIONS", "/predict", page | asks)
assert before.status_code in (200, 204), before.status_code
assert "Authorization" in before.headers["Access-Control-Allow-Headers"]
for answer in (before, ask("GET", "/health", page), ask("GET", "/model", page)):
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "Origin" in answer.headers["Vary"]
assert answer.status_code == 401
evil = ask("GET", "/health", {"Origin": "https://evil.example"})
assert evil.headers.get("Access-Control-Allow-Origin") in (None, "https://app.example.org")
print("one origin")
"""
    env = {"ACCESS": "on", "ACCESS_PATH": str(tmp_path), "METRICS_PORT": "0"}
    env |= {"MODEL_PATH": str(project / "model.pkl")}
    assert run([sys.executable, "-c", blocks[holding] + ask], project, **env) == "one origin\n"


@pytest.mark.skipif(not shutil.which("logrotate"), reason="needs logrotate")
def test_logrotate_takes_the_example(tmp_path):
    (tmp_path / "servelab").write_text(block("text", "copytruncate"), encoding="utf-8")
    run(["logrotate", "--debug", "--state", str(tmp_path / "state"), str(tmp_path / "servelab")], tmp_path)


@pytest.mark.parametrize("name", ["fastapi", "flask"])
def test_a_route_added_as_the_book_says(project, tmp_path, name):
    own = shutil.copytree(project, tmp_path / "own")
    service = own / "apps" / "service" / "health.py"
    text = service.read_text(encoding="utf-8")
    text = text.replace("class Lifecycle:", block("python", "class About(Answer)") + "\n\nclass Lifecycle:")
    service.write_text(text + "\n" + block("python", "def about(self)"), encoding="utf-8")
    views = own / "apps" / f"{name}_app" / "health.py"
    view = {"fastapi": block("python", "async def about"), "flask": block("python", "@typed()")}[name]
    text = views.read_text(encoding="utf-8").replace("import HealthReport", "import About, HealthReport")
    views.write_text(f"{text}\n\n{view}", encoding="utf-8")
    port = free_port()
    command = f"{sys.executable} -m apps.{name}_app"
    with (
        started(command, own, os.environ | environment(own, port)) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client,
    ):
        until_it_predicts(client, process)
        assert client.get("/about").json().keys() == {"app", "uptime_seconds"}
        told = client.get("/openapi.json").json()["paths"]["/about"]
        assert told["get"]["summary"] == "Who answers here?" and "head" in told
        assert client.post("/about").headers["allow"] == "GET, HEAD"


@pytest.fixture
def access(project, tmp_path) -> dict[str, str]:
    """What a server, a user and a terminal share."""
    return {"ACCESS": "on", "ACCESS_PATH": str(tmp_path), "MODEL_PATH": str(project / "model.pkl")}


@pytest.mark.skipif(not (BASH and shutil.which("curl")), reason="needs bash and curl")
def test_a_user_signs_in_as_the_book_says(access):
    add, start = block("bash", "users add alice --scopes predict\n").splitlines()
    assert start == "ACCESS=on python -m apps.fastapi_app"
    python = shlex.quote(sys.executable)
    password = run([BASH, "-ec", add.replace("python", python)], ROOT, **access).split()[-1]
    with serve("fastapi", env=access) as server:
        here = access | {"PASSWORD": password}
        sign_in, ask = (
            block("bash", "username=alice").replace("http://127.0.0.1:8000", server.url).splitlines()
        )
        here["TOKEN"] = json.loads(run([BASH, "-ec", sign_in], ROOT, **here))["access_token"]
        assert json.loads(run([BASH, "-ec", ask], ROOT, **here))["name"] == "iris"
        add, ask, show = (
            block("bash", "keys add alice").replace("http://127.0.0.1:8000", server.url).splitlines()
        )
        here["KEY"] = run([BASH, "-ec", add.replace("python", python)], ROOT, **here).split()[-1]
        assert json.loads(run([BASH, "-ec", ask], ROOT, **here))["name"] == "iris"
        assert "nightly batch" in run([BASH, "-ec", show.replace("python", python)], ROOT, **here)


@pytest.mark.skipif(not shutil.which("pwsh"), reason="needs PowerShell (pwsh)")
def test_a_user_signs_in_with_powershell_as_the_book_says(access):
    assert (
        block("powershell", "users add alice").splitlines()[0]
        == "python kit.py users add alice --scopes predict"
    )
    add = [sys.executable, "kit.py", "users", "add", "alice", "--scopes", "predict"]
    password = run(add, ROOT, **access).split()[-1]
    with serve("fastapi", env=access) as server:
        text = block("powershell", "$form").replace(FASTAPI, server.url)
        assert "iris" in run(["pwsh", "-NoProfile", "-Command", text], ROOT, PASSWORD=password)


@pytest.fixture(scope="module")
def jobs(project, tmp_path_factory):
    """A server that takes jobs, and a worker."""
    folder = tmp_path_factory.mktemp("jobs")
    env = {"JOBS": "on", "JOBS_FOLDER": str(folder / "jobs"), "MODEL_PATH": str(project / "model.pkl")}
    with serve("fastapi", env=env) as server, serve("worker", env=env):
        yield server, folder


@pytest.mark.skipif(not (BASH and shutil.which("curl")), reason="needs bash and curl")
def test_a_job_goes_its_way_as_the_book_says(jobs):
    server, folder = jobs
    said = run([BASH, "-ec", block("bash", "cat > flowers.csv").replace(FASTAPI, server.url)], folder)
    head, _, body = said.replace("\r\n", "\n").partition("\n\n")
    job = json.loads(body)
    assert head.startswith("HTTP/1.1 202") and f"location: /jobs/{job['id']}" in head.lower()
    while job["state"] in ("queued", "running"):
        time.sleep(0.1)
        job = server.get(f"/jobs/{job['id']}").json()
    look, as_csv, as_json, cancel, listed = (
        run([BASH, "-ec", line.replace(FASTAPI, server.url)], folder, JOB=job["id"])
        for line in block("bash", "jobs/$JOB/result.csv").splitlines()
    )
    assert json.loads(look) == json.loads(cancel) == job and job["state"] == "succeeded"
    assert [line.split(",")[:3] for line in as_csv.splitlines()[1:]] == [
        ["1", "0", "setosa"],
        ["2", "2", "virginica"],
    ]
    assert json.loads(as_json)["label"] == ["setosa", "virginica"]
    assert json.loads(listed)["jobs"] == [job]
    said = run(
        [sys.executable, "-c", block("python", "flowers-of-today").replace(FASTAPI, server.url)], folder
    )
    assert said == "succeeded 2\n"
    assert (folder / "answers.csv").read_text().splitlines() == as_csv.splitlines()


@pytest.mark.skipif(not (BASH and shutil.which("curl")), reason="needs bash and curl")
def test_the_mistakes_of_a_file_are_told_as_the_book_says(jobs):
    server, folder = jobs
    said = json.loads(run([BASH, "-ec", block("bash", "faulty.csv").replace(FASTAPI, server.url)], folder))
    shown = json.loads(block("json", '"line": 3'))
    assert [*said] == [*shown]
    changing = {"instance", "request_id"}
    assert {name: said[name] for name in shown if name not in changing} == {
        name: shown[name] for name in shown if name not in changing
    }


def test_limits_are_told_as_the_book_says(project):
    start = block("bash", "RATE_LIMITS=").strip().removesuffix(" python -m apps.fastapi_app")
    settings = dict(part.split("=", 1) for part in start.split(" "))
    with serve("fastapi", env=settings | {"MODEL_PATH": str(project / "model.pkl")}) as server:
        told = server.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).headers
    shown = dict(line.split(": ", 1) for line in block("text", "RateLimit-Policy").strip().splitlines())
    assert {name: told[name] for name in shown} == shown


def test_the_cache_says_what_it_did_as_the_book_says(project):
    start = block("bash", "CACHE=on").strip().removesuffix(" python -m apps.fastapi_app")
    env = dict([start.split("=", 1)]) | {"MODEL_PATH": str(project / "model.pkl")}
    with serve("fastapi", env=env) as server:
        row = {"features": [5.1, 3.5, 1.4, 0.2]}
        told = [server.post("/predict", json=row).headers["Cache-Status"] for _ in range(2)]
    shown = [block("text", "fwd=miss; stored"), block("text", "hit; ttl=299")]
    assert f"Cache-Status: {told[0]}\n" == shown[0]
    assert re.sub(r"\d+", "299", f"Cache-Status: {told[1]}\n") == shown[1]


def test_a_client_waits_as_told_and_is_served(project):
    known: dict = {}
    exec(block("python", "Retry-After"), known)
    env = {"RATE_LIMITS": "2/second", "MODEL_PATH": str(project / "model.pkl")}
    with serve("fastapi", env=env) as server, httpx.Client(base_url=server.url) as client:
        answers = [known["predict"](client, [5.1, 3.5, 1.4, 0.2]) for _ in range(5)]
    assert {answer["label"] for answer in answers} == {"setosa"}


def test_loading_a_model_folder(project):
    said = run([sys.executable, "-c", block("python", "artifact import load")], project)
    assert "['setosa', 'versicolor', 'virginica']" in said


def environment(project: Path, port: int) -> dict[str, str]:
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": tools, "PORT": str(port), "UVICORN_PORT": str(port), "PYTHONUNBUFFERED": "1"}


@pytest.mark.skipif(os.name == "nt" or not BASH, reason="needs bash")
@pytest.mark.parametrize(
    "command",
    [
        block("bash", "python -m apps.fastapi_app"),
        block("bash", "python -m apps.flask_app"),
        block("bash", "uvicorn apps.fastapi_app"),
        block("bash", "python -m apps.minimal.flask_api_example"),
        block("bash", "OTEL_EXPORTER_OTLP_ENDPOINT"),  # nobody collects, which costs a request nothing
        block("bash", "WORKERS=2 python -m apps.fastapi_app"),
        block("bash", "WORKERS=2 python -m apps.flask_app"),
        block("bash", "--server granian"),
    ],
    ids=[
        "fastapi",
        "flask",
        "reload",
        "minimal flask",
        "tracing",
        "workers fastapi",
        "workers flask",
        "granian",
    ],
)
def test_a_server_started_as_the_readme_says_answers(project, command):
    answers_when_started(command, project)


@pytest.mark.skipif(os.name == "nt" or not BASH, reason="needs bash")
def test_the_minimal_server_starts_as_the_readme_says(project):
    answers_when_started(block("bash", "pip install -r").splitlines()[-1], project)


@pytest.mark.skipif(
    not (os.environ.get("CI") and BASH and os.name != "nt"), reason="downloads everything: only on CI"
)
@pytest.mark.timeout(900)
def test_an_environment_of_ones_own_with_pip_alone(tmp_path, project):
    own = shutil.copytree(
        project, tmp_path / "own", ignore=shutil.ignore_patterns("models", "model.pkl", "card.json")
    )
    lines = block("bash", "pip install -r").splitlines()
    lines[0] = lines[0].replace("python", sys.executable, 1)
    run([BASH, "-ec", "\n".join(lines[:-1])], own, PIP_NO_COMPILE="1")  # most of it is not imported here
    answers_when_started(f". .venv/bin/activate\n{lines[-1]}", own)


def test_the_windows_commands_are_the_same(project):
    bash, powershell = block("bash", "pip install -r"), block("powershell", "pip install -r")
    assert bash.replace(". .venv/bin/activate", r".\.venv\Scripts\Activate.ps1") == powershell


def answers_when_started(command: str, cwd: Path) -> None:
    """The command starts a server that predicts; it is stopped again."""
    port = free_port()
    with started(command, cwd, os.environ | environment(cwd, port)) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
            until_it_predicts(client, process)
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


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


@pytest.mark.skipif(os.name == "nt" or not BASH, reason="needs bash, and gunicorn needs POSIX")
@pytest.mark.parametrize(
    "command",
    [
        block("bash", "uvicorn --factory apps.fastapi_app:create_app --workers 2"),
        block("bash", "gunicorn -k asgi"),
        block("bash", "granian --interface asgi"),
        block("bash", "gunicorn -k gthread"),
        block("bash", "granian --interface wsgi"),
    ],
    ids=["uvicorn", "gunicorn asgi", "granian asgi", "gunicorn wsgi", "granian wsgi"],
)
def test_a_process_manager_serves_with_two_workers_that_count_as_one(command, project, tmp_path):
    port, exporter = free_port(), free_port()
    env = os.environ | environment(project, port) | {"METRICS_PORT": str(exporter), "LOG_LEVEL": "warning"}
    env |= {"TMPDIR": str(tmp_path), "GUNICORN_CMD_ARGS": "--no-control-socket"}
    command = re.sub(r"\b[58]000\b", str(port), command).strip()
    with started(command, project, env) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            until_it_predicts(client, process)
        wait_for(lambda: workers_with_a_model(tmp_path) == 2)
        for number in range(30):  # each on a connection of its own, so that both get some
            body = {"features": [5.1, 3.5, 1.4, 0.2] if number % 3 else [5.1]}
            answer = httpx.post(f"http://127.0.0.1:{port}/predict", json=body, trust_env=False)
            assert answer.status_code == (200 if number % 3 else 400), answer.text
            assert number % 3 or answer.headers["content-type"] == "application/problem+json"
        wait_for(lambda: predicted(exporter) == 1 + 20)
        process.terminate()
        assert process.wait(40) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)


def workers_with_a_model(folder: Path) -> int:
    """How many have put into their metrics, which are in a folder of this one, that their model is loaded."""
    return sum(b'"model_loaded"' in path.read_bytes() for path in folder.glob("*/gauge_livemin_*.db"))


def predicted(exporter: int) -> float:
    """The count of rows at this port for metrics."""
    text = httpx.get(f"http://127.0.0.1:{exporter}/metrics", trust_env=False).text
    return sum(float(count) for count in re.findall(r"^predictions_total\{.*\} (\S+)$", text, re.MULTILINE))


def wait_for(true) -> None:
    deadline = time.monotonic() + 40
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("command", ["up", "test", "docs"])
def test_the_commands_exist(command):
    blocks = {"up": block("bash", "kit.py up"), "docs": block("bash", "kit.py docs")}
    text = (blocks | {"test": block("bash", "python kit.py test")})[command]
    assert text == f"python kit.py {command}\n"
    assert command in run([sys.executable, "kit.py", command, "--help"], ROOT)


@pytest.mark.skipif(
    sys.platform != "linux" or not BASH or Path(sys.prefix).resolve() != ROOT / ".venv",
    reason="needs the kit's own .venv, and a system on which no browser opens when there is no screen",
)
def test_the_first_command_brings_everything_up():
    env = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    env |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])}
    command = [BASH, "-ec", block("bash", "kit.py up")]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=-1, text=True, start_new_session=True
    ) as process:
        said = ""
        try:
            for line in process.stdout:
                said += line
                if "Ready after" in said and line.strip().startswith("Flask server"):
                    break
        finally:
            os.killpg(process.pid, signal.SIGTERM)
        rest = process.stdout.read()
    for name in ("JupyterLab", "Streamlit page", "FastAPI server", "Flask server"):
        assert re.search(rf"{name} +http://127\.0\.0\.1:\d+", said), said
    assert "All stopped" in rest


def docker_engine() -> bool:
    return (
        bool(shutil.which("docker"))
        and not subprocess.run(["docker", "info"], capture_output=True).returncode
    )


@pytest.mark.timeout(900)
def test_the_image_is_built_and_answers():
    if not docker_engine():
        pytest.skip("needs a Docker engine")
    build, start = block("bash", "docker build -t").splitlines()
    run([BASH, "-ec", build], ROOT)
    name = "servelab-readme-test"
    run(
        [
            BASH,
            "-ec",
            start.replace("--rm", f"--rm -d --name {name}").replace("127.0.0.1:8000:8000", "127.0.0.1::8000"),
        ],
        ROOT,
    )
    try:
        address = run(["docker", "port", name, "8000"], ROOT).strip()
        ask = f"for i in $(seq 60); do curl -sf http://{address}/health && exit 0; sleep 0.5; done; exit 1"
        assert '"status":"ok"' in run([BASH, "-c", ask], ROOT)
    finally:
        run(["docker", "stop", "-t", "5", name], ROOT)


def test_the_classroom_is_the_one_that_is_checked():
    assert block("bash", "docker compose up") == "docker compose up --build\n"
    assert (ROOT / "docker-compose.yml").exists()
