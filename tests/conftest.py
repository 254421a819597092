"""What several rooms' tests share: a model of this session, and both minimal servers serving it."""

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
def both(iris_root: Path) -> Iterator[dict[str, Server]]:
    """The two one-page servers by name, FastAPI first, each a process of its own."""
    env = {"MODEL_PATH": str(iris_root / "model.pkl")}
    with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
        yield {"fastapi": fastapi, "flask": flask}
