"""The FastAPI server under whatever speaks ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html."""

import asyncio
import subprocess
import sys

import pytest
from classroom.servers import ROOT
from fastapi.testclient import TestClient

from apps import fastapi_app
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("model")


def test_without_a_lifespan_the_model_is_loaded_when_it_is_asked_for(capfd):
    """Which daphne has not, nor FastAPI for an app that it mounts, nor a TestClient outside of `with`."""
    client = TestClient(fastapi_app.create_app())
    until(lambda: client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).status_code == 200)
    assert capfd.readouterr().err.count("no lifespan has started the service") == 1


def test_a_program_that_ends_while_its_model_is_loaded_ends_well():
    """Python aborts where it ends amid a library's own code."""
    asks = """
from fastapi.testclient import TestClient
from apps import fastapi_app
assert TestClient(fastapi_app.create_app(), base_url="http://localhost").get("/health").status_code == 503
"""
    done = subprocess.run([sys.executable, "-c", asks], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"event":"model loaded"' in done.stderr


def test_a_scope_need_not_hold_what_the_specification_leaves_out():
    app, sent = fastapi_app.create_app(), []
    least = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
    least |= {"path": "/health/live", "query_string": b"", "headers": [(b"host", b"localhost")]}

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(least, receive, send))
    assert [message.get("status", message.get("body")) for message in sent] == [200, b'{"status":"live"}']
