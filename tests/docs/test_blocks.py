"""Every block of code in the README and the book runs, where the machine has what it needs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from classroom.servers import free_port, serve

from apps.service.generation.llama import weights
from model_training.card import read_card
from model_training.checks import held_out
from model_training.checks.checks import check
from model_training.checks.expectations import EXPECTATIONS
from model_training.checks.verdict import table
from tests.docs.blocks import BASH, BLOCKS, ROOT, block, environment, run, started, until_it_predicts

NOT_RUN = {  # what stands in the block: why it is not run here
    "python -m jupyterlab": "tests/kit/test_up.py starts it, as kit.py up does",
    "python kit.py test --quick": "these are its tests",
    "python -m pytest tests/contract/test_openapi.py": "the two files are run by themselves",
    "store_outputs.py 01 04": "writes the lessons anew; their gates run them as they are",
    "prometheus --config.file": "tests/deploy starts Prometheus with this configuration",
    "promtool test rules": "tests/deploy does both",
    "export TRUSTED_PROXIES": "tests/deploy/test_proxy.py starts both servers with these settings",
    "nginx -p .kit/proxy": "tests/deploy/test_proxy.py takes this block, and starts nginx with it",
    "curl --cacert .kit": "tests/deploy/test_proxy.py asks both sites with curl",
    "docker compose cp proxy": "tests/deploy/test_docker.py looks at every profile",
    "secrets --profile data --profile observability": "tests/kit/test_secrets.py does; no engine runs here",
    "releases promote wine 1": "tests/registry/test_releases.py does what these commands do",
    "access users add alice": "tests/contract/test_access.py makes users so",
    "kit.py classroom --learners 20\n": "tests/kit/test_classroom.py does; no engine runs here",
    "--bind 0.0.0.0 --address": "tests/kit/test_classroom.py does",
    "cp lab-07": "needs a class that runs",
    "MaxRetentionSec": "a setting of the system's journal",
    "JOBS=on python -m apps.fastapi_app": "tests/contract/test_jobs.py starts servers and a worker so",
    "WORKER_PORT=8003": "tests/jobs starts several workers of one folder",
    "export RESULTS_URL=redis": "tests/jobs/test_worker.py starts workers with these settings",
    "python -m benchmarks.hosts": "tests/jobs/test_worker_hosts.py runs a small one",
    "uv venv .ray": "tests/deploy/test_ray.py starts it, in such an environment",
    "ray start --head": "python -m benchmarks.ray_serve starts a head so",
    "ray start --address": "python -m benchmarks.ray_serve starts a node so",
    "RAY_ADDRESS=10.0.0.1": "python -m benchmarks.ray_serve brings the app to a cluster so",
    "RAY_AUTH_MODE=token": "and this",
    "GENERATION=on python -m apps.fastapi_app": "test_a_language_model_answers_as_the_book_says starts it so",
    "GENERATION_BLOCKED_WORDS=words.txt": "tests/generation reads such files",
    "python kit.py check iris\npython": "tests/training/test_checks.py and tests/registry do",
    "kit.py check mine --data": "tests/training/test_checks.py gives a table of such rows",
    "train iris\npython kit.py register iris": "tests/registry/test_releases.py does what these commands do",
    "python kit.py rollback iris": "and this",
    "python kit.py challenger iris 2": "and these",
    "python kit.py registry iris": "and this",
    "mlflow.pyfunc.load_model": "tests/registry/test_registry.py runs it over both registries",
    "python -m benchmarks.swaps": "ten minutes; tests/contract/test_model_registry.py swaps under load too",
    "PREDICTION_LOG=on python -m apps.fastapi_app": "tests/contract/test_feedback.py starts both servers so",
    '"label": "virginica"}': "tests/contract/test_feedback.py sends such truths",
    "kubectl kustomize deploy/kubernetes": "tests/deploy/test_kubernetes.py builds every overlay",
    "kind create cluster": "needs Docker; tests/deploy/test_docker.py looks at the images",
    "kubectl create secret generic servelab": "tests/deploy/test_kubernetes.py makes the secret",
    "rollout status deployment/fastapi": "needs a cluster; tests/deploy/test_rolling_update.py has processes",
    "apply -k deploy/kubernetes/overlays/kserve": "needs KServe; the same test starts its server",
    "python -m benchmarks.rolling": "minutes; tests/deploy/test_rolling_update.py does it for seconds",
    "python -m benchmarks.sizing\n": "tests/benchmarks/test_sizing.py does",
    "benchmarks.sizing --rate 250": "tests/benchmarks/test_sizing.py gives it a rate and prices",
    "split_clients": "tests/benchmarks/test_sizing.py has nginx read it",
    "zones left ×": "tests/benchmarks/test_sizing.py compares it with what the program prints",
    "grafana server": "Grafana is no package of any index; tests/deploy checks its dashboard",
}
FASTAPI = "http://127.0.0.1:8000"


def test_every_block_has_a_test():
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    held = re.findall(r"""block\("(\w+)", (?:"([^"]+)"|'([^']+)')\)""", tests)
    held = [(name, one or other) for name, one, other in held]
    for language, text in BLOCKS:
        reasons = [reason for holding, reason in NOT_RUN.items() if holding in text]
        assert reasons or any(language == name and holding in text for name, holding in held), text


def test_every_reason_not_to_run_a_block_is_of_a_block():
    for holding in NOT_RUN:
        assert len([text for _, text in BLOCKS if holding in text]) == 1, holding


@pytest.fixture(scope="module")
def live(project):
    """Both servers; `live(text)` is the text with the addresses that they have here."""
    env = {"MODEL_PATH": str(project / "model.pkl")}
    with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
        yield lambda text: text.replace("http://127.0.0.1:8000", fastapi.url).replace(
            "http://127.0.0.1:5000", flask.url
        )


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


def test_the_checks_shown_are_those_that_are_made(project):
    folder = project / "models" / "iris"
    champion = {name: metric.test for name, metric in read_card(folder / "card.json").metrics.items()}
    rows = held_out.of_dataset(read_card(folder / "card.json"))
    made = {
        " ".join(line.split())
        for line in table(check(folder, EXPECTATIONS["iris"], rows, champion)).splitlines()
    }
    shown = [" ".join(line.split()) for line in block("text", "passed  champion").splitlines()]
    timed_or_served = ("passed latency", "passed contract")
    assert [line for line in shown if line not in made and not line.startswith(timed_or_served)] == []
    assert len(shown) == 12


def test_expectations_are_written_as_the_book_says():
    names: dict = {}
    exec(block("python", 'EXPECTATIONS["loans"]').replace("EXPECTATIONS[", "mine["), {"mine": names})
    assert names["loans"].directions[0].of == "granted"


def test_the_test_clients_of_both_frameworks(project):
    env = {"METRICS_PORT": "0", "MODEL_PATH": str(project / "model.pkl")}
    said = run([sys.executable, "-c", block("python", "TestClient")], project, **env)
    assert said.split() == ["setosa", "setosa"]


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


def test_a_rule_of_your_own_as_the_book_says():
    ask = """
from io import BytesIO, TextIOWrapper
from types import SimpleNamespace
from apps.service.access.callers import Caller
from apps.service.generation.moderation import Policy
from apps.service.logs import configure
from apps.service.metrics import Metrics
from apps.service.settings import Settings
settings, stream = Settings.model_construct(log_format="json"), TextIOWrapper(BytesIO())
policy = Policy(settings, configure(settings, stream), Metrics("fastapi_app"), [Prices()])
context = SimpleNamespace(request_id="r", caller=Caller("user:alice"))
for pieces in (["It is red. It costs 5", " €. Buy", " it."], list("It is red. It costs 5 €. Buy it.")):
    window, left = policy.window(context), ""
    try:
        for piece in pieces:
            left += window.add(piece)
    except Forbidden as forbidden:
        print(left + forbidden.before + "|" + forbidden.rule)
print(stream.buffer.getvalue().decode().splitlines()[0])
"""
    said = run([sys.executable, "-c", block("python", "class Prices") + ask], ROOT).splitlines()
    assert said[:2] == ["It is red.|prices"] * 2
    assert list(json.loads(said[2])) == list(json.loads(block("json", '"event": "moderated"')))


def test_limits_are_told_as_the_book_says(project):
    start = block("bash", "RATE_LIMITS=").strip().removesuffix(" python -m apps.fastapi_app")
    settings = dict(part.split("=", 1) for part in start.split(" "))
    with serve("fastapi", env=settings | {"MODEL_PATH": str(project / "model.pkl")}) as server:
        told = server.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).headers
    shown = dict(line.split(": ", 1) for line in block("text", "RateLimit-Policy").strip().splitlines())
    assert {name: told[name] for name in shown} == shown


def test_tokens_are_limited_and_told_as_the_book_says(project, tmp_path):
    if weights() is None:
        pytest.skip("missing: SmolLM2")
    start = block("bash", "GENERATION_CALLER_TOKENS").strip().removesuffix(" python -m apps.fastapi_app")
    env = dict(part.split("=", 1) for part in start.split(" "))
    (tmp_path / "prices.toml").write_text(block("toml", "currency"), encoding="utf-8")
    env |= {"MODEL_PATH": str(project / "model.pkl"), "GENERATION_FOLDER": str(tmp_path)}
    env |= {"GENERATION_PRICES": str(tmp_path / "prices.toml")}
    with serve("fastapi", env=env) as server:
        hello = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 6}
        for _ in range(2):
            told = server.post("/v1/chat/completions", json=hello, timeout=60).headers["RateLimit"]
        url = shlex.split(block("bash", "/v1/usage"))[-1]
        used = server.get(url.removeprefix(FASTAPI)).json()
    shown, numbers = block("text", '"tokens-minute"'), re.compile(r"\d+")
    assert numbers.sub("0", f"RateLimit: {told}\n") == numbers.sub("0", shown)
    example = json.loads(block("json", '"cached_tokens"'))
    assert [*used] == [*example] and used["days"] == example["days"]
    [row], [other] = used["data"], example["data"]
    assert [*row] == [*other] and row["currency"] == "EUR"
    same = ("model", "requests", "prompt_tokens", "cost")
    assert {name: row[name] for name in same} == {name: other[name] for name in same}


def test_a_language_model_answers_as_the_book_says(project, tmp_path):
    start = [text for _, text in BLOCKS if text.strip() == "GENERATION=on python -m apps.fastapi_app"]
    assert len(start) == 1
    env = {"GENERATION": "on", "GENERATION_FOLDER": str(tmp_path), "MODEL_PATH": str(project / "model.pkl")}
    with serve("fastapi", env=env) as server:
        text = block("python", "from openai import OpenAI").replace(FASTAPI, server.url)
        assert run([sys.executable, "-c", text], ROOT).strip()


def test_a_language_model_gets_more_bits_as_the_book_says(project):
    if weights() is None:
        pytest.skip("missing: SmolLM2")
    made = run([sys.executable, "-c", block("python", "requantise(")], project).strip()
    assert (project / made).stat().st_size > 1.4 * weights().stat().st_size


def test_the_cache_says_what_it_did_as_the_book_says(project):
    start = block("bash", "CACHE=on").strip().removesuffix(" python -m apps.fastapi_app")
    env = dict([start.split("=", 1)]) | {"MODEL_PATH": str(project / "model.pkl")}
    with serve("fastapi", env=env) as server:
        row = {"features": [5.1, 3.5, 1.4, 0.2]}
        told = [server.post("/predict", json=row).headers["Cache-Status"] for _ in range(2)]
    shown = [block("text", "fwd=miss; stored"), block("text", "hit; ttl=299")]
    assert f"Cache-Status: {told[0]}\n" == shown[0]
    assert re.sub(r"\d+", "299", f"Cache-Status: {told[1]}\n") == shown[1]


def test_an_explanation_is_as_the_book_shows(project):
    start = block("bash", "EXPLAIN=on").strip().removesuffix(" python -m apps.fastapi_app")
    env = dict([start.split("=", 1)]) | {"MODEL_PATH": str(project / "model.pkl")}
    sent = json.loads(re.search(r"-d '(.*)'", block("bash", "curl http://127.0.0.1:8000/explain"))[1])
    with serve("fastapi", env=env) as server:
        answer = server.post("/explain", json=sent).json()
    shown = json.loads(block("json", '"baseline"'))
    of_the_run = ("request_id", "model", "seconds", "samples")
    assert list(answer) == list(shown)
    assert {type(answer[name]) for name in of_the_run} == {type(shown[name]) for name in of_the_run}
    rounded = {name: value for name, value in shown.items() if name not in of_the_run}
    assert_close({name: answer[name] for name in rounded}, rounded)


def assert_close(found, shown) -> None:
    """The same, but for what is left out of a number's figures, and for what another machine computes."""
    if isinstance(shown, dict):
        assert list(found) == list(shown)
        for name in shown:
            assert_close(found[name], shown[name])
    elif isinstance(shown, list):
        for pair in zip(found, shown, strict=True):
            assert_close(*pair)
    else:
        assert found == (pytest.approx(shown, abs=0.01) if isinstance(shown, float) else shown)


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
    assert block("bash", "docker compose up --build") == "docker compose up --build\n"
    assert (ROOT / "docker-compose.yml").exists()
