"""What can be seen of the full servers from outside: a log line, a count and a trace for each request, and
what it costs an answer when nobody takes them: nothing."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache

import httpx
import pytest
from classroom.servers import ROOT, free_port, serve
from collector import collecting
from pairs import FULL, pair
from prometheus_client.parser import text_string_to_metric_families
from promises import check_answer
from wire import post, request_bytes, send

from tests.waiting import PATIENCE

SETOSA = b'{"features":[5.0625839,3.5,1.4,0.2]}'
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
both_names = pytest.mark.parametrize("name", FULL)
posix = pytest.mark.skipif(os.name != "posix", reason="needs the devices and signals of POSIX")


@pytest.fixture(scope="module")
def iris_env(iris_root) -> dict[str, str]:
    return {"MODEL_PATH": str(iris_root / "models" / "iris"), "METRICS_PORT": "0"}


@contextlib.contextmanager
def running(name: str, env: dict[str, str], stderr: int) -> Iterator[str]:
    """The address of a server whose stderr is what a test says. It ends by itself when it is told to."""
    port = free_port()
    command = [sys.executable, "-m", f"apps.{name}_app"]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PORT": str(port)} | env, stderr=stderr)
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
        while not answers(url):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


def answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return send(url, request_bytes("GET", "/health", {})).status == 200
    return False


# --- logs
def test_a_request_is_one_line_of_json_in_our_own_words(full):
    headers = {"Content-Type": "application/json", "X-Request-ID": "mine", "Authorization": "Bearer hunter2"}
    headers["traceparent"] = f"00-{TRACE}-{PARENT}-01"
    for server in full.values():
        since = server.log.stat().st_size
        send(server.url, request_bytes("POST", "/predict?token=hunter2", headers, SETOSA))
        deadline = time.monotonic() + PATIENCE
        while not (lines := server.log.read_bytes()[since:]).endswith(b"\n"):
            assert time.monotonic() < deadline
        assert lines.count(b"\n") == 1
        line = json.loads(lines)
        assert list(line) == ["timestamp", "level", "event", "method", "route", "status", "ms", "request_id",
                              "trace_id", "model"]  # fmt: skip
        assert (line["event"], line["method"], line["route"], line["status"]) == (
            "request",
            "POST",
            "/predict",
            200,
        )
        assert (line["request_id"], line["trace_id"]) == ("mine", TRACE)
        assert re.fullmatch(r"iris [0-9a-f]{12}", line["model"])
        assert b"hunter2" not in lines and b"5.0625839" not in lines


@posix
@both_names
def test_in_a_terminal_the_lines_are_text_for_people(name, iris_env):
    ours, theirs = os.openpty()
    with running(name, iris_env, theirs) as url:
        post(url, SETOSA, request_id="in-a-terminal")
        seen, deadline = b"", time.monotonic() + PATIENCE
        while b"in-a-terminal" not in seen:
            assert time.monotonic() < deadline
            seen += os.read(ours, 65536)
    os.close(theirs)
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;]*m", "", seen.decode())
    line = next(line for line in text.splitlines() if "in-a-terminal" in line)
    assert re.match(r"\d\d:\d\d:\d\d \[info +\] request ", line)
    assert "route=/predict" in line and "status=200" in line and "5.0625839" not in text


@both_names
def test_the_settings_choose_form_and_level(name, iris_env):
    with serve(name, env=iris_env | {"LOG_FORMAT": "text", "LOG_LEVEL": "info"}) as server:
        post(server.url, SETOSA)
        text = server.log.read_text(encoding="utf-8")
        assert "model loaded" in text and "{" not in text and "\x1b" not in text
    with serve(name, env=iris_env | {"LOG_LEVEL": "warning"}) as server:
        post(server.url, SETOSA)
        assert server.log.read_bytes() == b""


@posix
@both_names
@pytest.mark.parametrize("stream", ["full disk", "closed pipe"])
def test_a_log_that_cannot_be_written_costs_no_answer(name, stream, iris_env):
    if stream == "full disk":
        if not os.path.exists("/dev/full"):  # noqa: PTH110
            pytest.skip("needs /dev/full (Linux)")
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        other, end = os.pipe()
        os.close(other)
    with running(name, iris_env, end) as url:
        assert {post(url, SETOSA).status for _ in range(20)} == {200}
        assert {post(url, b"{").status for _ in range(20)} == {400}
    os.close(end)


# --- metrics
def samples(port: int) -> dict[tuple, float]:
    """Every series by its name and the values of its labels."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20, trust_env=False).text
    return {
        (sample.name, *(value for key, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# What is counted only with GENERATION, MODEL_URI, PREDICTION_LOG or EXPLAIN.
OFF = ("generation_", "model_swaps", "rollout_", "shadow_", "model_feature_psi", "model_live_")
OFF = (*OFF, "model_test_accuracy", "prediction_log_", "explanation")


@cache
def documented() -> set[str]:
    """The metrics of the book's table."""
    made = [sys.executable, "-c", "from docs.generated import metrics; print(metrics())"]
    table = subprocess.run(made, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout
    rows = table.strip().splitlines()[2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


@both_names
def test_the_metrics_are_right_after_known_traffic(name, iris_env):
    port = free_port()
    with serve(name, env=iris_env | {"METRICS_PORT": str(port)}) as server:
        began = time.time()
        batch = b'{"instances":[[5.1,3.5,1.4,0.2],[7.0,3.2,4.7,1.4],[5.0,3.4,1.5,0.2]]}'
        asked = [("/predict", SETOSA)] * 3 + [("/predict/batch", batch)]
        asked += [("/predict", b'{"features":[1]}')] * 2 + [("/predict", b'{"features":[51,35,14,2]}')]
        asked += [("/predict", b"{"), ("/nope", SETOSA), ("/model", SETOSA)]
        statuses = [post(server.url, body, path).status for path, body in asked]
        assert statuses == [200] * 4 + [400] * 4 + [404, 405]
        send(server.url, request_bytes("POST", "/predict", {}, SETOSA))
        deadline, found = time.monotonic() + PATIENCE, {}
        while found.get(("http_requests_total", "POST", "/predict", "415")) != 1:  # counted after the answer
            assert time.monotonic() < deadline
            found = samples(port)
        assert server.get("/metrics").status_code == 404
        version = server.get("/model").json()["version"]

    wanted = {
        ("http_requests_total", "POST", "/predict", "200"): 3,
        ("http_requests_total", "POST", "/predict/batch", "200"): 1,
        ("http_requests_total", "POST", "/predict", "400"): 4,
        ("http_requests_total", "POST", "other", "404"): 1,
        ("http_requests_total", "POST", "/model", "405"): 1,
        ("http_request_duration_seconds_count", "/predict"): 8,
        ("http_requests_in_flight",): 0,
        ("requests_shed_total",): 0,
        ("validation_failures_total", "wrong-length"): 2,
        ("validation_failures_total", "out-of-range"): 1,
        ("validation_failures_total", "invalid-json"): 1,
        ("validation_failures_total", "unsupported-media-type"): 1,
        ("predictions_total", "setosa", "iris", version): 5,
        ("predictions_total", "versicolor", "iris", version): 1,
        ("prediction_batch_rows_count",): 4,
        ("prediction_batch_rows_sum",): 6,
        ("prediction_duration_seconds_count",): 4,
        ("model_loaded", "onnx", "iris", version): 1,
        ("app_info", f"{name}_app"): 1,
    }
    assert {key: found.get(key) for key in wanted} == wanted
    assert began - 60 < found["model_load_timestamp_seconds",] <= time.time()
    assert found["model_trained_timestamp_seconds",] <= time.time()
    names = {re.sub(r"_(bucket|count|sum)$", "", key[0]) for key in found}
    off = {name for name in documented() if name.startswith(OFF)}
    assert len(off) == 22 and not off & names
    assert names <= documented() and documented() - names - off == {
        "moderation_decisions_total",
        "model_load_failures_total",
        "requests_limited_total",
        "cache_requests_total",
        "job_chunks_total",  # these four are a worker's
        "job_messages_dropped_total",
        "job_chunk_duration_seconds",
        "job_rows_total",
    }


@both_names
def test_a_model_that_does_not_load_is_counted_by_its_reason(name, tmp_path):
    port = free_port()
    with serve(name, env={"MODEL_PATH": str(tmp_path), "METRICS_PORT": str(port)}) as server:
        assert server.get("/health/ready").status_code == 503
        found = samples(port)
        assert found["model_load_failures_total", "CardError"] == 1
        assert not [key for key in found if key[0] == "model_loaded"]


@both_names
def test_metrics_whose_port_is_taken_are_a_warning(name, iris_env):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serve(name, env=iris_env | {"METRICS_PORT": str(port), "LOG_FORMAT": "json"}) as server:
            assert post(server.url, SETOSA).status == 200
            lines = [json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines()]
    told = [line for line in lines if line["level"] == "warning"]
    assert [line["event"] for line in told] == ["metrics not served: set METRICS_PORT to a free port"]
    assert told[0]["port"] == port


WORKER = """
import sys
from apps.service.metrics import Metrics
metrics = Metrics("worker")
if sys.argv[1:]:
    metrics.serve("127.0.0.1", int(sys.argv[1]))
for line in sys.stdin:
    for _ in range(5):
        metrics.request("GET", "/health", 200, 0.001)
    metrics.flush()  # as a server does every second
    print("counted", flush=True)
"""


def test_what_several_workers_count_is_added_up_and_never_lost(tmp_path):
    port = free_port()
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WORKER, *arguments],
                    cwd=ROOT,
                    env=env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for arguments in ([str(port)], [], [])
        ]

        def count(*chosen) -> float:
            for worker in chosen:
                worker.stdin.write("go\n")
                worker.stdin.flush()
                assert worker.stdout.readline() == "counted\n"
            return samples(port)["http_requests_total", "GET", "/health", "200"]

        assert count(*workers) == 15
        workers[1].kill()
        workers[1].wait(PATIENCE)
        assert count() == 15
        assert count(workers[0], workers[2]) == 25
        for worker in (workers[0], workers[2]):
            worker.stdin.close()


# --- traces
@pytest.fixture(scope="module")
def traced(iris_env):
    """Both full servers, and the collector that they send their spans to."""
    with collecting() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with pair(iris_env | env) as servers:
            yield servers, collector


@pytest.mark.parametrize(
    ("path", "body", "status", "parts"),
    [
        ("/predict", SETOSA, 200, {"validate", "predict", "encode"}),
        ("/predict/batch", b'{"instances":[[5.1,3.5,1.4,0.2]]}', 200, {"validate", "predict", "encode"}),
        ("/predict", b"{", 400, {"validate"}),
        ("/nope", SETOSA, 404, set()),
    ],
    ids=["one", "batch", "invalid", "unknown"],
)
def test_a_request_is_one_trace_with_its_parts(traced, path, body, status, parts):
    servers, collector = traced
    for name, server in servers.items():
        answer = post(server.url, body, path)
        assert answer.status == status
        trace_id, span_id = answer.headers["traceparent"].split("-")[1:3]
        found = collector.trace(trace_id, 1 + len(parts))
        assert {service for service, _ in found} == {f"servelab-{name}_app"}
        roots = [span for _, span in found if span.kind == span.SPAN_KIND_SERVER]
        assert len(roots) == 1 and not roots[0].parent_span_id
        assert roots[0].span_id.hex() == span_id
        route = "other" if status == 404 else path
        assert roots[0].name == f"POST {route}"
        told = {item.key: item.value.string_value or item.value.int_value for item in roots[0].attributes}
        assert told == {
            "http.request.method": "POST",
            "http.route": route,
            "http.response.status_code": status,
        }
        inner = [span for _, span in found if span is not roots[0]]
        assert {span.name for span in inner} == parts and len(inner) == len(parts)
        assert {span.parent_span_id for span in inner} <= {roots[0].span_id}
        assert b"5.0625839" not in b"".join(span.SerializeToString() for _, span in found)
    roots = [span.trace_id for _, span in collector.spans if span.kind == span.SPAN_KIND_SERVER]
    assert len(roots) == len(set(roots)), "somebody else traces requests too"
    assert {service for service, _ in collector.spans} <= {f"servelab-{name}_app" for name in servers}
    assert {span.trace_id for _, span in collector.spans} == set(roots), "a span without its request"


def test_a_callers_trace_is_continued(traced):
    servers, collector = traced
    for number, server in enumerate(servers.values()):
        trace_id = f"{number}{TRACE[1:]}"
        headers = {"Content-Type": "application/json", "traceparent": f"00-{trace_id}-{PARENT}-01"}
        answer = send(server.url, request_bytes("POST", "/predict", headers, SETOSA))
        assert answer.headers["traceparent"].startswith(f"00-{trace_id}-")
        found = collector.trace(trace_id, 4)
        assert len(found) == 4
        (root,) = [span for _, span in found if span.kind == span.SPAN_KIND_SERVER]
        assert root.parent_span_id.hex() == PARENT


@pytest.mark.parametrize(
    "sent",
    [
        "00-zz-zz-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01",
    ],
)
def test_a_trace_that_is_not_well_formed_begins_anew(full, traced, sent):
    for server in [*full.values(), *traced[0].values()]:
        answer = send(server.url, request_bytes("GET", "/health", {"traceparent": sent}))
        assert answer.status == 200
        found = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-0[0-3]", answer.headers["traceparent"])
        assert found and found[1] not in (TRACE, "0" * 32)


@pytest.mark.parametrize("collector", ["nobody listens", "accepts and says nothing", "a name nobody knows"])
def test_a_collector_that_is_not_there_costs_no_answer(collector, iris_env):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        url = {
            "nobody listens": f"http://127.0.0.1:{free_port()}",
            "accepts and says nothing": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "a name nobody knows": "http://collector.invalid:4318",
        }[collector]
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with pair(iris_env | env) as servers:
            for server in servers.values():
                for _ in range(50):
                    answer = post(server.url, SETOSA)
                    check_answer(server, answer)
                    assert answer.status == 200
                assert server.get("/health", timeout=1).status_code == 200
            for server in servers.values():
                server.process.terminate()
                code = server.process.wait(10)
                assert code == 0 or os.name != "posix"
