"""The real Prometheus over both live servers, and the real promtool over the rules and the dashboard."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml
from classroom.servers import free_port, serve
from prometheus_client.parser import text_string_to_metric_families

from apps.service.feedback.counted import FeedbackMetrics
from apps.service.generation.counted import GenerationMetrics
from apps.service.metrics import Metrics
from apps.service.registry.counted import RegistryMetrics

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
sys.path.insert(0, str(DEPLOY / "grafana"))
import dashboard  # noqa: E402

needs = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="needs prometheus and promtool (Debian: apt install prometheus)",
)


def promtool(*arguments: str) -> str:
    found = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@needs
def test_promtool_takes_the_configuration_and_the_rules_do_what_they_say():
    promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))
    promtool("test", "rules", str(DEPLOY / "prometheus" / "alerts_test.yml"))


def expressions() -> list[str]:
    rules = [
        rule["expr"]
        for name in ("rules.yml", "alerts.yml")
        for group in yaml.safe_load((DEPLOY / "prometheus" / name).read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]
    return rules + questions()


def questions() -> list[str]:
    return [panel[3] for _, panels in dashboard.DASHBOARDS.values() for panel in panels]


def test_rules_and_dashboards_ask_only_for_metrics_that_there_are():
    registry = Metrics("x").registry
    GenerationMetrics(registry)
    RegistryMetrics(registry)
    FeedbackMetrics(registry)
    counted = [*registry.collect()]
    exists = {sample.name for family in counted for sample in family.samples}
    exists |= {f"{family.name}_total" for family in counted if family.type == "counter"}
    exists |= {
        f"{family.name}_{part}"
        for family in counted
        if family.type == "histogram"
        for part in ("bucket", "sum", "count")
    }
    exists |= {family.name for family in counted} | {"up"}
    recorded = set(re.findall(r"record: (\S+)", (DEPLOY / "prometheus" / "rules.yml").read_text("utf-8")))
    for expression in expressions():
        bare = re.sub(r'"[^"]*"|DCGM_FI_DEV_(GPU_UTIL|FB_USED)', "", expression)  # those are dcgm-exporter's
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|(by|on|ignoring) \([^)]*\)", "", bare)
        asked = set(re.findall(r"[a-z_][a-z0-9_]*(?::[a-z0-9_]+)*(?![a-z0-9_:(]| *\()", bare))
        assert asked - exists - recorded <= {"and", "by", "on", "or", "unless", "ignoring"}, expression


def test_every_alert_says_what_is_wrong_and_what_to_do():
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for alert in groups[0]["rules"]:
        assert set(alert["annotations"]) == {"summary", "action"}


@pytest.mark.parametrize("name", dashboard.DASHBOARDS)
def test_the_dashboard_is_the_one_that_its_source_writes(name):
    written = DEPLOY / "grafana" / "dashboards" / f"{name}.json"
    assert written.read_text(encoding="utf-8") == dashboard.text(name)
    for panel in dashboard.dashboard(name)["panels"]:
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]


@needs
def test_prometheus_scrapes_all_and_answers_the_dashboards_questions(iris_root, tmp_path):
    ports = {"fastapi": free_port(), "flask": free_port()}
    model = {"MODEL_PATH": str(iris_root / "model.pkl")}
    with (
        serve("fastapi", env=model | {"METRICS_PORT": str(ports["fastapi"])}) as fastapi,
        serve("flask", env=model | {"METRICS_PORT": str(ports["flask"])}) as flask,
        serve("worker", env={"JOBS_FOLDER": str(tmp_path / "jobs")}) as worker,
    ):
        ports["worker"] = worker.port
        config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
        for target in [target for job in config["scrape_configs"] for target in job["static_configs"]]:
            target["targets"] = [f"127.0.0.1:{ports[target['labels']['app']]}"]
        (tmp_path / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        url = f"127.0.0.1:{free_port()}"
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={tmp_path / 'prometheus.yml'}",
                    f"--storage.tsdb.path={tmp_path / 'data'}",
                    f"--web.listen-address={url}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                for server in (fastapi, flask):
                    server.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})
                    server.post("/predict", json={"features": [51, 35, 14, 2]})
                rates = ask(url, "app:http_requests:rate1m > 0")
                if set(rates) == {"fastapi", "flask"} and ask(
                    url, "app:http_request_duration_seconds:p99 > 0"
                ):
                    break
                time.sleep(0.5)
            assert ask(url, "up") == {"fastapi": 1, "flask": 1, "worker": 1}
            assert set(rates) == {"fastapi", "flask"}
            assert ask(url, "model_loaded") == {"fastapi": 1, "flask": 1}
            assert set(
                ask(url, 'sum by (app) (rate(validation_failures_total{reason="out-of-range"}[1m])) > 0')
            )
            for query in questions():
                assert ask(url, query) is not None
        finally:
            process.terminate()
            process.wait(10)


def ask(url: str, query: str) -> dict[str, float]:
    """The answer of Prometheus by app; empty while there is none."""
    try:
        answered = httpx.get(f"http://{url}/api/v1/query", params={"query": query}, timeout=5)
    except httpx.TransportError:
        return {}
    if answered.status_code == 503:  # it listens before it has read its storage
        return {}
    answer = answered.json()
    assert answer["status"] == "success", answer
    return {found["metric"].get("app", ""): float(found["value"][1]) for found in answer["data"]["result"]}


def test_the_metrics_have_a_port_of_their_own_and_are_not_on_the_public_one(iris_root):
    port = free_port()
    env = {"MODEL_PATH": str(iris_root / "model.pkl"), "METRICS_PORT": str(port)}
    with serve("flask", env=env) as server:
        assert server.get("/metrics").status_code == 404
        server.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    values = {
        (sample.name, sample.labels.get("label")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["predictions_total", "setosa"] == 1
