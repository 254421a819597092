"""The README's and the book's commands that start something start it."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from classroom.servers import free_port

from tests.docs.blocks import (
    BASH,
    ROOT,
    answers_when_started,
    block,
    environment,
    run,
    started,
    until_it_predicts,
)
from tests.waiting import until


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


@pytest.mark.skipif(os.name == "nt" or not BASH, reason="needs bash")
def test_the_page_starts_as_the_book_says():
    port = free_port()
    settings = {"STREAMLIT_SERVER_PORT": port, "STREAMLIT_SERVER_HEADLESS": "true"}
    env = os.environ | environment(ROOT, port) | {name: str(value) for name, value in settings.items()}
    with started(block("bash", "streamlit run"), ROOT, env):
        until(lambda: answers(f"http://127.0.0.1:{port}/_stcore/health"))


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False).status_code == 200
    return False


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
        until(lambda: workers_with_a_model(tmp_path) == 2)
        for number in range(30):  # each on a connection of its own, so that both get some
            body = {"features": [5.1, 3.5, 1.4, 0.2] if number % 3 else [5.1]}
            answer = httpx.post(f"http://127.0.0.1:{port}/predict", json=body, trust_env=False)
            assert answer.status_code == (200 if number % 3 else 400), answer.text
            assert number % 3 or answer.headers["content-type"] == "application/problem+json"
        until(lambda: predicted(exporter) == 1 + 20)
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
