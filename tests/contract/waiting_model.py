"""A model that takes as long as a test wants, and the file by which the test holds it up. Where it is made it
is scikit-learn's; where it serves it does without."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WAITING_MODEL = "WAITING_MODEL"  # the environment's name for the folder of `hold` and its like
QUICK, SLOW = [0.0, 2.0], [1.0, 2.0]  # rows: the second one waits

if WAITING_MODEL in os.environ:  # a server's or a worker's: to import scikit-learn takes it two seconds
    ESTIMATOR = (object,)
else:
    from sklearn.base import BaseEstimator, RegressorMixin

    ESTIMATOR = (RegressorMixin, BaseEstimator)


class WaitingSum(*ESTIMATOR):
    """Adds up two features. Where a row begins with 1 it predicts only once nothing holds it up."""

    def fit(self, rows: np.ndarray, _) -> "WaitingSum":
        self.n_features_in_ = rows.shape[1]
        return self

    def predict(self, rows: np.ndarray) -> np.ndarray:
        if (rows[:, 0] == 1).any():
            wait("predicting")
        return rows.sum(axis=1)

    def __setstate__(self, state: dict) -> None:
        wait("loading")
        self.__dict__.update(state)


def wait(what: str) -> None:
    """Until no file holds this up; a minute at most, so that no process outlives its test for long."""
    if WAITING_MODEL not in os.environ:
        return
    folder = Path(os.environ[WAITING_MODEL])
    (folder / f"{what}-began").touch()
    deadline = time.monotonic() + 60
    while (folder / f"hold-{what}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


@dataclass(frozen=True)
class Hold:
    """The test's side of it: a context in which the model waits."""

    folder: Path
    what: str = "predicting"

    def __enter__(self) -> "Hold":
        (self.folder / f"{self.what}-began").unlink(missing_ok=True)
        (self.folder / f"hold-{self.what}").touch()
        return self

    def __exit__(self, *_) -> None:
        self.release()

    def release(self) -> None:
        (self.folder / f"hold-{self.what}").unlink(missing_ok=True)

    def await_begin(self) -> None:
        """Return when the model has begun, and is held up."""
        deadline = time.monotonic() + 60
        while not (self.folder / f"{self.what}-began").exists():
            assert time.monotonic() < deadline, f"the model never began {self.what}"
            time.sleep(0.01)


def environment(model: Path, folder: Path) -> dict[str, str]:
    """What a server needs to serve `model` and to be held up through `folder`."""
    return {
        "MODEL_PATH": str(model),
        "MODEL_FORMAT": "joblib",
        "PYTHONPATH": str(Path(__file__).parent),
        WAITING_MODEL: str(folder),
    }
