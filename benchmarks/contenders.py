"""Who runs: each a process of its own, with the request that it is sent."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

BODY = '{"features":[5.1,3.5,1.4,0.2]}'
PYTHON = sys.executable


@dataclass(frozen=True)
class Contender:
    """In `command` and `env`, `{port}` stands for the port and `{models}` for the folder with model.pkl,
    forest/model.pkl, accounts in access and followed models in store. `base` is the hello-world it is
    compared with, `root` the folder it runs in: None for this project's. `has_key`: it is asked with the API
    key of access/key."""

    name: str
    command: list[str]
    path: str
    base: str | None = None
    body: str | None = None  # None: a GET
    env: dict[str, str] = field(default_factory=dict)
    root: Path | None = None
    has_key: bool = False


def uvicorn(module: str, *options: str) -> list[str]:
    return [
        *(PYTHON, "-m", "uvicorn", f"benchmarks.servers.{module}:app", "--port", "{port}"),
        *("--no-access-log", "--log-level", "warning", *options),
    ]


def waitress(module: str, send_bytes: int = 1) -> list[str]:
    """`send_bytes`: waitress's own is 1, with which an answer's head and body are sent apart."""
    code = "import sys, waitress, importlib; app = importlib.import_module(sys.argv[1]).app; "
    code += "waitress.serve(app, host='127.0.0.1', port=int(sys.argv[2]), threads=8, "
    code += "send_bytes=int(sys.argv[3]))"
    return [PYTHON, "-c", code, f"benchmarks.servers.{module}", "{port}", str(send_bytes)]


def granian(app: str) -> list[str]:
    return [PYTHON, "-m", "granian", "--interface", "wsgi", "--no-log", "--port", "{port}", app]


TRACED = {  # to a collector that is not there: what reaches it costs the collector, and not the server
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
    "OTEL_TRACES_SAMPLER_ARG": "0.01",
}
ACCESS = {  # and every limit, none of which is reached
    "ACCESS": "on",
    "ACCESS_PATH": "{models}/access",
    "RATE_LIMITS": "predict=900000/second",
    "MAX_PARALLEL": "1000",
    "DAILY_QUOTA": "1000000000",
}
FOLLOWS = {"MODEL_URI": "models:/iris@champion", "MODEL_STORE": "{models}/store", "CANARY_PERCENT": "50"}
SERVER = {"HOST": "127.0.0.1", "PORT": "{port}", "METRICS_PORT": "0", "LOG_FORMAT": "json"}


def full(framework: str, which: str = "", settings: dict[str, str] | None = None, **more) -> Contender:
    """A full server; `which` goes on with its name."""
    command = [PYTHON, "-m", f"apps.{framework.lower()}_app"]
    env = SERVER | (settings or {})
    return Contender(f"{framework} full{which}", command, "/predict", f"{framework} hello", BODY, env, **more)


LOGGED = {"PREDICTION_LOG": "on", "PREDICTION_LOG_FOLDER": "{models}/predictions", "EXPLAIN": "on"}
ROLLOUTS = [  # of a challenger, which is there in each of them
    (", following", {}),
    (", canary", {"ROLLOUT": "canary"}),
    (", shadow", {"ROLLOUT": "shadow"}),
    (", shadow, prediction log, explanations", {"ROLLOUT": "shadow"} | LOGGED),
]
CONTENDERS = [
    Contender("bare ASGI, uvicorn", uvicorn("bare_asgi"), "/"),
    Contender("bare WSGI, waitress", waitress("bare_wsgi"), "/"),
    Contender("bare ASGI with ONNX", uvicorn("bare_asgi_onnx"), "/predict", "FastAPI hello", BODY),
    Contender("FastAPI hello", uvicorn("fastapi_hello"), "/hello", "FastAPI hello"),
    *(
        Contender(name, uvicorn(module), "/predict", "FastAPI hello", BODY)
        for name, module in (
            ("FastAPI naive, def", "fastapi_def"),
            ("FastAPI naive, async def", "fastapi_async_def"),
            ("FastAPI batched", "fastapi_batched"),
            ("FastAPI ONNX", "fastapi_onnx"),
            ("FastAPI ONNX, msgspec", "fastapi_msgspec"),
            ("FastAPI ONNX, msgspec, route", "fastapi_route"),
        )
    ),
    Contender(
        "FastAPI minimal",
        [PYTHON, "-m", "apps.minimal.fastapi_api_example"],
        "/predict",
        "FastAPI hello",
        BODY,
        SERVER,
    ),
    full("FastAPI"),
    full("FastAPI", ", no log lines", {"LOG_LEVEL": "warning"}),
    full("FastAPI", ", tracing 1 in 100", TRACED),
    full("FastAPI", ", tracing all", TRACED | {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}),
    full("FastAPI", ", access and limits", ACCESS, has_key=True),
    full("FastAPI", ", cache", {"CACHE": "on"}),
    *(full("FastAPI", which, FOLLOWS | more) for which, more in ROLLOUTS),
    full("FastAPI", ", scikit-learn", {"MODEL_FORMAT": "joblib"}),
    Contender("Flask hello", waitress("flask_hello"), "/hello", "Flask hello"),
    Contender("Flask hello, one send", waitress("flask_hello", send_bytes=16384), "/hello", "Flask hello"),
    Contender("Flask hello, granian", granian("benchmarks.servers.flask_hello:app"), "/hello"),
    Contender("Flask naive", waitress("naive_flask"), "/predict", "Flask hello", BODY),
    Contender("Flask ONNX", waitress("flask_onnx"), "/predict", "Flask hello", BODY),
    Contender("Flask ONNX, msgspec", waitress("flask_msgspec"), "/predict", "Flask hello", BODY),
    Contender(
        "Flask minimal",
        [PYTHON, "-m", "apps.minimal.flask_api_example"],
        "/predict",
        "Flask hello",
        BODY,
        SERVER,
    ),
    full("Flask"),
    Contender(
        "Flask full, granian",
        [PYTHON, "-m", "apps.flask_app"],
        "/predict",
        "Flask hello, granian",
        BODY,
        SERVER | {"SERVER": "granian"},
    ),
    full("Flask", ", no log lines", {"LOG_LEVEL": "warning"}),
    full("Flask", ", tracing 1 in 100", TRACED),
    full("Flask", ", tracing all", TRACED | {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}),
    full("Flask", ", access and limits", ACCESS, has_key=True),
    full("Flask", ", cache", {"CACHE": "on"}),
    *(full("Flask", which, FOLLOWS | more) for which, more in ROLLOUTS),
    full("Flask", ", scikit-learn", {"MODEL_FORMAT": "joblib"}),
]
