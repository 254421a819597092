import shutil
from pathlib import Path

import pytest

from model_training.train import main as train
from tests.docs.blocks import ROOT


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """A copy of what the README's commands need, with a trained model."""
    copy = tmp_path_factory.mktemp("project")
    for room in ("apps", "model_training"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", copy)
    assert train(["iris", "--root", str(copy)]) == 0
    return copy
