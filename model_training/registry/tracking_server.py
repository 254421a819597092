"""Where the registry of models is, and how it is spoken to: SQLite and files in `.kit/registry`, unless
MLFLOW_TRACKING_URI names an MLflow server or another database."""

import errno
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model_training.registry.lock import Lock

PROJECT = Path(__file__).resolve().parents[2]
SQLITE = "sqlite:///"
TABLES_SECONDS = 60  # that another process may take to make the tables of a new file
REASON = re.compile(  # what an error of MLflow's says, amid much else
    r"Connection refused|timed out|Name or service not known|error code \d+|unable to open database file"
    r"|database is locked|readonly database|no such table: \w+|Permission denied|not a database"
)


class RegistryError(Exception):
    """What the registry did not do, and why. `kind`: not-found, conflict, refused, unavailable, disk-full or
    invalid; `detail` may be shown to anybody, `more` is for whoever runs it."""

    def __init__(self, kind: str, detail: str, more: str = "") -> None:
        super().__init__(f"{detail} ({more})" if more else detail)
        self.kind, self.detail, self.more = kind, detail, more


def tracking_uri() -> str:
    """Where the registry is."""
    if found := os.environ.get("MLFLOW_TRACKING_URI"):
        return found
    return f"{SQLITE}{(registry_folder() / 'mlflow.db').as_posix()}"


def registry_folder() -> Path:
    """Where it is by default."""
    return Path(os.environ.get("REGISTRY_FOLDER") or PROJECT / ".kit" / "registry").resolve()


def is_server(uri: str) -> bool:
    """Whether a tracking server has it; else we write its database and its files ourselves."""
    return uri.startswith(("http://", "https://"))


def artifacts_folder(uri: str) -> Path:
    """Where its files are, without a server: beside an SQLite file."""
    folder = Path(uri.removeprefix(SQLITE)).parent if uri.startswith(SQLITE) else registry_folder()
    return folder.resolve() / "artifacts"


def own_source(uri: str) -> str:
    """Where its files are, as a location."""
    return "mlflow-artifacts:/" if is_server(uri) else artifacts_folder(uri).as_uri()


def quiet(seconds: int = 10, retries: int = 1) -> None:
    """What MLflow reads from the environment when it is imported: nothing is told to its makers, and an
    answer is waited for so long. https://mlflow.org/docs/latest/community/usage-tracking"""
    os.environ |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",  # a registry may not send us elsewhere
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries),
    }
    for name, value in {"MLFLOW_LOGGING_LEVEL": "ERROR", "GIT_PYTHON_REFRESH": "quiet"}.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", module=r"(mlflow|alembic|sqlalchemy|google|skops|onnx|tqdm)\b.*")


def make_file(path: Path) -> None:
    """The SQLite file with MLflow's tables, unless it is there. MLflow makes them in many steps, and nobody
    can open a file in the middle of them: so it is put in place when it is whole."""
    if path.exists():
        return
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

    new = path.with_name(f"{path.name}.new")
    for left in path.parent.glob(f"{new.name}*"):  # by a process that was killed; with its journal
        left.unlink()
    SqlAlchemyStore(f"{SQLITE}{new.as_posix()}").engine.dispose()
    new.replace(path)


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """No other process opens the same SQLite file meanwhile: a new one gets its tables from MLflow step by
    step, and two that do so at once leave a file that nobody can use."""
    if not uri.startswith(SQLITE):
        yield
        return
    path = Path(f"{uri.removeprefix(SQLITE)}.lock")
    lock, end = Lock(path), time.monotonic() + TABLES_SECONDS
    while not lock.take() and os.access(path, os.W_OK) and time.monotonic() < end:
        time.sleep(0.05)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Whatever MLflow, the network or the disk raise becomes a RegistryError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except RegistryError:
        raise
    except Exception as error:
        text = str(error)
        if getattr(error, "errno", None) == errno.ENOSPC or re.search(r"disk is full|No space left", text):
            raise RegistryError(
                "disk-full", f"{doing}: the disk of the registry is full; nothing was kept: free some, again"
            ) from error
        code = error.error_code if isinstance(error, MlflowException) else ""
        if code == "RESOURCE_DOES_NOT_EXIST" or "not found" in text:
            raise RegistryError("not-found", f"{doing}: the registry does not have it") from error
        short = REASON.search(text)
        reason = short[0] if short else f"{type(error).__name__}: {(text.splitlines() or [''])[0][:200]}"
        what = f"{doing}: the registry does not answer as it should"
        raise RegistryError("unavailable", what, reason) from error
