"""Registries, embedded and a real server's, and model folders to put there."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_training.registry.registry import Registry
from model_training.registry.tracking_server import quiet
from tests.mlflow_server import MlflowServer, mlflow_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a registry in a folder; one is enough: each test has names of its own."""
    return {"REGISTRY_FOLDER": str(tmp_path_factory.mktemp("registry"))}


@pytest.fixture(params=["embedded", "server"])
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict:
    """Where the registry is, for this process as well."""
    for name in ("MLFLOW_TRACKING_URI", "REGISTRY_FOLDER", "MODEL_SOURCES"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "embedded":
        env = request.getfixturevalue("embedded")
    else:
        env = {"MLFLOW_TRACKING_URI": request.getfixturevalue("server").url}
        env["REGISTRY_FOLDER"] = str(tmp_path / "unused")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return env


@pytest.fixture
def registry(environment: dict) -> Registry:
    quiet()
    return Registry()


@pytest.fixture
def model(iris_exported: Path, tmp_path: Path) -> Callable[..., Path]:
    """`model("name", 2)`: a folder of iris under another name, each number another card; more members of the
    card as keywords."""

    def make(name: str, number: int = 1, **more: object) -> Path:
        folder = tmp_path / "models" / f"{name}-{number}"
        shutil.copytree(iris_exported, folder)
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        card |= {"name": name, "version": f"{number:012d}", **more}
        (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
        return folder

    return make
