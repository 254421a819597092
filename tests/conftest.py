"""What several rooms' tests share: a model of this session, and each minimal server serving it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from classroom.servers import Server, serve

from model_training import datasets
from model_training.export import export
from model_training.train import train


@pytest.fixture(scope="session")
def iris_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models/iris, and with model.pkl and its card as in the project's root."""
    root = tmp_path_factory.mktemp("iris")
    export(train(datasets.load("iris")), root / "models" / "iris", pickle_path=root / "model.pkl")
    return root


@pytest.fixture(scope="session")
def fastapi_server(iris_root: Path) -> Iterator[Server]:
    with serve("fastapi", env={"MODEL_PATH": str(iris_root / "model.pkl")}) as server:
        yield server


@pytest.fixture(scope="session")
def flask_server(iris_root: Path) -> Iterator[Server]:
    with serve("flask", env={"MODEL_PATH": str(iris_root / "model.pkl")}) as server:
        yield server
