from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest
import rabbitmq_server
from postgres import postgres
from waiting_model import WaitingSum, environment

from model_training.adopt import adopt


@pytest.fixture(scope="session")
def broker(tmp_path_factory) -> Iterator[rabbitmq_server.RabbitMQ]:
    """One for all tests of this process; whoever kills it starts it again."""
    if rabbitmq_server.missing.args[0]:
        pytest.skip("missing: rabbitmq-server")
    with rabbitmq_server.rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server


@pytest.fixture(scope="session")
def running_postgres():
    with postgres() as server:
        yield server


@pytest.fixture
def database_url(running_postgres) -> str:
    """Of an empty database."""
    return running_postgres.database()


@pytest.fixture(scope="session")
def iris(iris_root: Path) -> Path:
    return iris_root / "models" / "iris"


@pytest.fixture(scope="session")
def waiting(tmp_path_factory) -> dict[str, str]:
    """The environment of a model that a test can hold up (waiting_model.Hold)."""
    root, holding = tmp_path_factory.mktemp("waiting"), tmp_path_factory.mktemp("holding")
    rows = np.array([[0.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    joblib.dump(WaitingSum().fit(rows, rows.sum(axis=1)), root / "waiting.pkl")
    adopt(root / "waiting.pkl", "waiting", None, root)
    return environment(root / "models" / "waiting", holding)
