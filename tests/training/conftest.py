import shutil
from pathlib import Path

import pytest

from model_training import datasets
from model_training.card import Card
from model_training.export import export
from model_training.train import Training, train


@pytest.fixture(scope="session", params=datasets.LOADERS)
def training(request: pytest.FixtureRequest) -> Training:
    """Each dataset's model in turn."""
    return train(datasets.load(request.param))


@pytest.fixture(scope="session")
def exported(training: Training, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Card]:
    """Its folder and its card."""
    folder = tmp_path_factory.mktemp("models") / training.dataset.name
    return folder, export(training, folder)


@pytest.fixture
def iris(iris_exported: Path, tmp_path: Path) -> Path:
    """An iris model's folder, fresh for each test, to be damaged."""
    return shutil.copytree(iris_exported, tmp_path / "iris")
