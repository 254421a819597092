"""What several rooms' tests share: a model of this session, and the servers that serve it."""

import functools
import gc
import os
import signal
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path

import httpx
import joblib
import numpy as np
import pytest
from adopted import Adopted, adopt
from classroom import servers
from classroom.servers import Server, serve
from hypothesis import HealthCheck, settings
from pairs import pair
from redis_server import RedisServer
from waiting_model import WaitingSum, environment

from model_training import datasets
from model_training.adopt import adopt as adopt_model
from model_training.export import export
from model_training.train import train
from tests import forked
from tests.waiting import PATIENCE

# A busy machine is not a fault.
settings.register_profile(
    "unhurried", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")
signature(httpx.Client).parameters["timeout"].default.read = PATIENCE  # of its own, httpx gives a server 5 s
# Certificates take 20 ms, which httpx would spend on each client, and on each httpx.get.
httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)


def pytest_configure(config: pytest.Config) -> None:
    """Started in the background, a process and all that it starts ignore SIGINT, which some tests send. And
    where nbval runs the lessons, the answers to their exercises are tried."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("nbval", False):
        from tests.notebooks import gates

        config.pluginmanager.register(gates)


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays; to look through it now and then takes a tenth of the time


@pytest.fixture(scope="session", autouse=True)
def forked_servers() -> Iterator[None]:
    servers.spawn = forked.spawn
    yield
    forked.end_servers()


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """A library may write into the environment (MLflow does), which servers of later tests would have."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def iris_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models/iris, and with model.pkl and its card as in the project's root."""
    root = tmp_path_factory.mktemp("iris")
    export(train(datasets.load("iris")), root / "models" / "iris", pickle_path=root / "model.pkl")
    return root


@pytest.fixture(scope="session")
def iris_exported(iris_root: Path) -> Path:
    """The folder of the iris model, for those who copy it."""
    return iris_root / "models" / "iris"


@pytest.fixture(scope="session")
def both(iris_root: Path) -> Iterator[dict[str, Server]]:
    """The two one-page servers by name, FastAPI first, each a process of its own."""
    env = {"MODEL_PATH": str(iris_root / "model.pkl")}
    with serve("minimal_fastapi", env=env) as fastapi, serve("minimal_flask", env=env) as flask:
        yield {"fastapi": fastapi, "flask": flask}


@pytest.fixture(scope="session")
def full(iris_root: Path) -> Iterator[dict[str, Server]]:
    """The two full servers by name, FastAPI first, each with processes of its own that log JSON."""
    with pair({"MODEL_PATH": str(iris_root / "models" / "iris")}) as servers:
        yield servers


@pytest.fixture(scope="session")
def guarded(iris_root: Path, tmp_path_factory: pytest.TempPathFactory):
    """The two full servers with access on, and their accounts."""
    from credentials import guarded_pair

    with guarded_pair(tmp_path_factory.mktemp("access"), iris_root / "models" / "iris") as found:
        yield found


@pytest.fixture(scope="session")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Adopted]:
    """One of adopted.MAKERS by name, made and adopted when it is first asked for."""
    made: dict[str, Adopted] = {}

    def model(name: str) -> Adopted:
        if name not in made:
            made[name] = adopt(name, tmp_path_factory.mktemp(name))
        return made[name]

    return model


@pytest.fixture(scope="session")
def holding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder through which `Hold` holds up the servers that have `waiting_env`."""
    return tmp_path_factory.mktemp("holding")


@pytest.fixture(scope="session")
def waiting_env(tmp_path_factory: pytest.TempPathFactory, holding: Path) -> dict[str, str]:
    """What a server needs to serve a model that can be held up."""
    root = tmp_path_factory.mktemp("waiting")
    rows = np.array([[0.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    joblib.dump(WaitingSum().fit(rows, rows.sum(axis=1)), root / "waiting.pkl")
    adopt_model(root / "waiting.pkl", "waiting", None, root)
    return environment(root / "models" / "waiting", holding)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A redis-server of the test's own. Mark the test with `redis_server.missing`."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()
