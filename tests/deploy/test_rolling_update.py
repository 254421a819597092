"""What a cluster would try of deploy/kubernetes, with processes in the place of pods: the images' commands
with the manifests' settings, each probe in each state of a server, the end of a pod, and a rolling update
behind the real nginx under load."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import yaml
from waiting_model import Hold

from benchmarks.pods import (
    MANIFESTS,
    PYTHON,
    Container,
    Pod,
    RehearsalError,
    container_of,
    deliver,
    documents,
    free_port,
)
from benchmarks.rolling import SERVERS, Deployment, Load
from tests.waiting import PATIENCE, until

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGTERM, and servers that take it")
with_nginx = pytest.mark.skipif(
    not all(map(shutil.which, ("nginx", "openssl"))), reason="needs nginx and openssl"
)
both = pytest.mark.parametrize("server", SERVERS)
ROW = {"features": [5.1, 3.5, 1.4, 0.2]}


def may_mount() -> bool:
    command = ["unshare", "--mount", "mount", "-o", "remount,bind,ro", "/"]
    return bool(shutil.which("unshare")) and not subprocess.run(command, capture_output=True).returncode


@pytest.fixture
def pods(tmp_path, iris_root):
    """Starts pods that have the model, and ends them."""
    deliver("fastapi", iris_root / "models", tmp_path / "model")
    started = []

    def start(container: Container, **changed: str) -> Pod:
        started.append(Pod(container, tmp_path, **changed))
        return started[-1]

    yield start
    for pod in started:
        pod.kill()


def probes(pod: Pod) -> dict[str, bool]:
    return {kind: pod.probe(kind) for kind in ("startupProbe", "livenessProbe", "readinessProbe")}


def answers(live: bool, ready: bool) -> dict[str, bool]:
    return {"startupProbe": live, "livenessProbe": live, "readinessProbe": ready}


def predicts(pod: Pod) -> httpx.Response:
    return httpx.post(f"{pod.url}/predict", json=ROW, timeout=PATIENCE, trust_env=False)


@posix
@both
def test_a_server_is_ready_once_it_can_predict_and_until_it_is_told_to_stop(pods, server):
    pod = pods(container_of(server), DRAIN_SECONDS="600")
    assert not pod.probe("startupProbe")  # nobody listens yet
    pod.await_probe("startupProbe")
    pod.await_probe()
    assert probes(pod) == answers(live=True, ready=True)
    pod.terminate()
    pod.await_probe(wanted=False)
    assert pod.probe("livenessProbe")  # or the kubelet would kill it before it has drained
    assert predicts(pod).json()["label"] == "setosa"  # who has not heard of it is still answered
    pod.terminate()  # a second time: at once
    assert pod.end() == 0


@both
def test_a_server_without_a_right_model_is_live_and_never_ready(pods, tmp_path, server):
    """Another start would not help: it is not killed for it, and it gets no requests."""
    (tmp_path / "model" / "model.onnx").write_bytes(b"another one's")
    pod = pods(container_of(server))
    pod.await_probe("startupProbe")
    until(lambda: b"model not loaded" in pod.log.read_bytes())
    assert probes(pod) == answers(live=True, ready=False)
    assert predicts(pod).status_code == 503


@both
def test_while_the_model_loads_a_server_is_live_and_not_ready(pods, waiting_env, holding, server):
    with Hold(holding, "loading") as hold:
        pod = pods(container_of(server), **waiting_env)
        hold.await_begin()
        pod.await_probe("startupProbe")
        assert probes(pod) == answers(live=True, ready=False)
    pod.await_probe()


def test_the_kubelet_asks_by_the_pods_address_and_is_answered(pods):
    """As do Prometheus and the Service. Whoever has another name is refused."""
    pod = pods(container_of("fastapi"), POD_IP="10.1.2.3")
    pod.await_probe()
    for host in ("10.1.2.3:8000", "fastapi:8000", "fastapi.servelab.svc"):
        assert pod.probe("readinessProbe", Host=host), host
    assert not pod.probe("readinessProbe", Host="10.1.2.4:8000")


@posix
def test_a_worker_is_ready_while_it_can_work_and_ends_when_it_is_told(pods):
    pod = pods(container_of("worker"))
    pod.await_probe()
    assert probes(pod) == answers(live=True, ready=True)
    assert pod.probe("readinessProbe", Host="127.0.0.1:8002")
    pod.terminate()
    assert pod.end() == 0


def test_a_worker_without_its_broker_is_live_and_not_ready(pods):
    pod = pods(container_of("worker"), BROKER_URL="amqp://nobody:nothing@127.0.0.1:9/")
    pod.await_probe("startupProbe")
    assert probes(pod) == answers(live=True, ready=False)


def test_variables_of_a_service_called_worker_would_keep_a_worker_from_its_start(pods):
    """Why enableServiceLinks is off."""
    pod = pods(container_of("worker"), WORKER_PORT="tcp://10.96.0.7:8002")
    assert pod.process.wait(PATIENCE) != 0
    assert pod.tail().startswith("worker: WORKER_PORT: ")


@posix
def test_the_page_answers_its_probes(pods):
    pod = pods(container_of("ui"))
    pod.await_probe("startupProbe")
    assert probes(pod) == answers(live=True, ready=True)


@posix
def test_kserve_gets_a_server_that_speaks_v2(pods, tmp_path):
    manifest = MANIFESTS.parent / "overlays" / "kserve" / "inferenceservice.yaml"
    predictor = yaml.safe_load(manifest.read_text(encoding="utf-8"))["spec"]["predictor"]
    container = container_of("iris", predictor, target="fastapi")
    assert container.env["MODEL_PATH"] == "/mnt/models"
    pod = pods(container, DRAIN_SECONDS="600")
    pod.await_probe()
    assert probes(pod) == answers(live=True, ready=True)
    asked = {"inputs": [{"name": "features", "shape": [1, 4], "datatype": "FP64", "data": ROW["features"]}]}
    answer = httpx.post(f"{pod.url}/v2/models/iris/infer", json=asked, timeout=PATIENCE, trust_env=False)
    assert answer.status_code == 200 and answer.json()["model_name"] == "iris"
    assert pod.probe("readinessProbe", Host="iris-predictor.servelab.svc.cluster.local")
    pod.terminate()
    pod.await_probe(wanted=False)


@both
def test_an_init_container_stops_a_pod_whose_model_is_not_its_cards(tmp_path, iris_root, server):
    models = shutil.copytree(iris_root / "models", tmp_path / "models")
    (models / "iris" / "model.onnx").write_bytes(b"another one's")
    with pytest.raises(RehearsalError, match=r"deliver: .*model.onnx: expected \d+ bytes with sha256"):
        deliver(server, models, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.skipif(not may_mount(), reason="needs unshare, and the right to mount folders read-only")
@pytest.mark.parametrize("name", [*SERVERS, "worker", "ui"])
def test_it_writes_nowhere_but_into_the_volumes_of_its_pod(pods, tmp_path, name):
    """As readOnlyRootFilesystem has it: nothing can be written to but the pod's own folder."""
    container = container_of(name)
    command = [PYTHON, *container.command[1:]]
    if container.command[0] == "streamlit":
        command = [PYTHON, "-m", *container.command]
    tmp = tmp_path / "tmp"
    tmp.mkdir(mode=0o777)
    script = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro / && exec {' '.join(command)}"
    isolated = Container(
        name, ["unshare", "--mount", "sh", "-ec", script], container.env, container.port, container.probes, 45
    )
    pod = pods(isolated, TMPDIR=str(tmp), HOME=str(tmp))
    pod.await_probe()
    assert probes(pod) == answers(live=True, ready=True)


def replaced_under_load(server: str, folder: Path) -> tuple[Load, list[int]]:
    """Two pods, and other two after them; the requests, and how the first two ended."""
    deployment = Deployment(server, folder, lag=0.2, DRAIN_SECONDS="5", LOG_LEVEL="error")
    try:
        deployment.start(2)
        before = {*deployment.pods}
        with Load(deployment.proxy, clients=4, pause=0.05) as load:
            load.await_count(50)
            deployment.update()
            codes = deployment.settle()
            load.await_count(load.count + 50)
        assert len(deployment.pods) == 2 and not before & {*deployment.pods}
    finally:
        deployment.stop()
    return load, codes


@posix
@with_nginx
def test_no_request_fails_while_every_pod_is_replaced(tmp_path, iris_root):
    """Of both servers, at the same time."""
    folders = [tmp_path / server for server in SERVERS]
    for server, folder in zip(SERVERS, folders, strict=True):
        deliver(server, iris_root / "models", folder / "model")
    with ThreadPoolExecutor() as threads:
        for load, codes in threads.map(replaced_under_load, SERVERS, folders):
            assert load.answers == {"200": load.count}
            assert codes == [0, 0]


@with_nginx
def test_a_pod_that_does_not_listen_fails_requests_where_nobody_asks_for_readiness(tmp_path, iris_root):
    """So the load does see it."""
    deliver("fastapi", iris_root / "models", tmp_path / "model")
    deployment = Deployment("fastapi", tmp_path, LOG_LEVEL="error")
    try:
        deployment.start(1)
        with Load(deployment.proxy, clients=2) as load:
            load.await_count(20)
            deployment.pods[0].kill()
            load.await_count(load.count + 20)
    finally:
        deployment.stop()
    assert load.failed and load.answers["200"]


def test_what_the_autoscaler_looks_at_is_what_a_server_tells(pods):
    """The adapter's query, of the metric that the autoscaler names."""
    adapter = (MANIFESTS.parent / "prometheus" / "adapter.yaml").read_text(encoding="utf-8")
    rule = yaml.safe_load(adapter)["rules"]["custom"][0]
    name = rule["seriesQuery"].partition("{")[0]
    scaler = next(one for one in documents("fastapi") if one["kind"] == "HorizontalPodAutoscaler")
    assert name in json.dumps(scaler)
    port = free_port()
    pod = pods(container_of("fastapi"), METRICS_PORT=str(port), METRICS_HOST="127.0.0.1")
    pod.await_probe()
    told = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=PATIENCE).text
    assert f"# TYPE {name} gauge" in told


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
def test_prometheus_takes_the_configuration_and_the_adapters_query(tmp_path):
    folder = MANIFESTS.parent / "prometheus"
    rule = yaml.safe_load((folder / "adapter.yaml").read_text(encoding="utf-8"))["rules"]["custom"][0]
    query = rule["metricsQuery"].replace("<<.Series>>", "http_requests_in_flight")
    query = query.replace("<<.LabelMatchers>>", 'namespace="servelab",pod=~"fastapi-1|fastapi-2"')
    query = query.replace("<<.GroupBy>>", "pod")
    tests = {
        "rule_files": [],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [
                    {
                        "series": f'http_requests_in_flight{{namespace="servelab",pod="fastapi-{n}"}}',
                        "values": v,
                    }
                    for n, v in ((1, "0 4 8 4 4"), (2, "16 16 16 16 16"))
                ],
                "promql_expr_test": [
                    {
                        "expr": query,
                        "eval_time": "1m",
                        "exp_samples": [
                            {"labels": '{pod="fastapi-1"}', "value": 4},
                            {"labels": '{pod="fastapi-2"}', "value": 16},
                        ],
                    }
                ],
            }
        ],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests), encoding="utf-8")
    scrape = yaml.safe_load((folder / "scrape.yaml").read_text(encoding="utf-8"))
    for job in scrape["scrape_configs"]:
        job.pop("kubernetes_sd_configs")  # which Debian's Prometheus is built without
    (tmp_path / "scrape.yml").write_text(yaml.safe_dump(scrape), encoding="utf-8")
    for command in (["check", "config", tmp_path / "scrape.yml"], ["test", "rules", tmp_path / "tests.yml"]):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr
