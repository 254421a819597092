"""However many paths, methods and ids clients think up, the metrics have the series that they had."""

import random

import httpx
import pytest
from classroom.servers import free_port, serve
from wire import KeptAlive, request_bytes

PATHS = 10_000
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW", "get")


@pytest.mark.parametrize("name", ["fastapi", "flask"])
def test_unknown_paths_and_methods_make_no_new_series(name, iris_root):
    port = free_port()
    env = {
        "MODEL_PATH": str(iris_root / "models" / "iris"),
        "METRICS_PORT": str(port),
        "LOG_LEVEL": "warning",
    }
    dice = random.Random(0)
    with serve(name, env=env) as server:
        connection = KeptAlive(server.url)
        for method in METHODS:
            connection.ask(request_bytes(method, "/unknown", {}, keep=True))
        before = series(port)
        for number in range(PATHS):
            path = (
                f"/{dice.getrandbits(64):x}/{number}"
                if number % 2
                else f"/v2/models/{dice.getrandbits(64):x}"
            )
            headers = {"X-Request-ID": f"{number}"}
            assert connection.ask(request_bytes("GET", path, headers, keep=True)).status == 404
        for number in range(200):
            method = "".join(dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=8))
            assert connection.ask(request_bytes(method, f"/{number}", {}, keep=True)).status in (
                404,
                405,
                501,
            )
        after = series(port)
        connection.close()
    assert len(after - before) < 30  # /v2/models/{name} was first asked for in between
    assert not [line for line in after if "v2/models" in line and "{name}" not in line]


def series(port: int) -> set[str]:
    """Every series of the exporter, without its value."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=20, trust_env=False).text
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
