"""The peers: other model servers, each in its best configuration and in an environment of its own.

Each has one worker, batching on unless its name says otherwise, and no log of requests. What its settings are
and why is in its file; what was tried is in README.md beside it. All answer one row in their own wire format,
from the same two models as ours: the LogisticRegression and, as "forest", a RandomForest of 100 trees.
"""

from pathlib import Path

from benchmarks.contenders import BODY, PYTHON, SERVER, Contender, uvicorn
from benchmarks.environments import python_of

HERE = Path(__file__).parent
ENGINES = {"scikit-learn": "model.pkl", "ONNX": "model.onnx"}
MODELS = {"": "{models}", "forest ": "{models}/forest"}
WIRE = {  # path, and the body of a row
    "BentoML": ("/predict", '{"features":[[5.1,3.5,1.4,0.2]]}'),
    "LitServe": ("/predict", BODY),
    "MLServer": (
        "/v2/models/iris/infer",
        '{"inputs":[{"name":"features","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}',
    ),
    "MLflow": ("/invocations", '{"inputs":[[5.1,3.5,1.4,0.2]]}'),
    "Ray Serve": ("/predict", BODY),
}
BATCH = "64"
NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
WITHOUT_BATCHING = {"MLflow"}


def peer(name: str, model: str, engine: str, batch: str) -> Contender:
    folder, (path, body), key = MODELS[model], WIRE[name], name.split()[0].lower()
    how = " unbatched" if batch == "1" and name not in WITHOUT_BATCHING else ""
    env = {
        "PORT": "{port}",
        "MODEL_FILE": f"{folder}/{ENGINES[engine]}",
        "BATCH": batch,
        "OMP_NUM_THREADS": "1",
    }
    env |= NO_TELEMETRY
    command = [str(python_of(key)), str(HERE / f"serve_{key}.py")]
    return Contender(f"{name} {model}{engine}{how}", command, path, body=body, env=env)


def ours(name: str, command: list[str], **env: str) -> Contender:
    model = "{models}/forest/model.pkl"
    return Contender(name, command, "/predict", body=BODY, env=SERVER | {"MODEL_PATH": model} | env)


PEERS = [
    peer(name, model, engine, batch)
    for name in WIRE
    for model in MODELS
    for engine in ENGINES
    for batch in (("1",) if name in WITHOUT_BATCHING else ("1", BATCH))
]
FASTAPI, FLASK = [PYTHON, "-m", "apps.fastapi_app"], [PYTHON, "-m", "apps.flask_app"]
FORESTS = [
    ours("FastAPI naive forest def", uvicorn("fastapi_def")),
    ours("FastAPI naive forest async def", uvicorn("fastapi_async_def")),
    ours("FastAPI full forest scikit-learn", FASTAPI, MODEL_FORMAT="joblib"),
    ours("FastAPI full forest ONNX", FASTAPI),
    ours("Flask full forest scikit-learn", FLASK, MODEL_FORMAT="joblib"),
    ours("Flask full forest ONNX", FLASK),
]
ENVIRONMENT_OF = {contender.name: contender.name.split()[0].lower() for contender in PEERS}
