"""Models that nobody trained into the kit: made here, written with joblib, adopted as a learner would."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import model_training.adopt

PROJECT = Path(__file__).resolve().parent.parent
WINE = load_wine(as_frame=True)
CULTIVARS = np.array(["Barolo", "Grignolino", "Barbera"])[WINE.target]
DIABETES = load_diabetes(as_frame=True, scaled=False)
FORMATS = {"cultivar": "onnx", "progression": "onnx", "logarithms": "skops"}  # which of its files answers


@dataclass(frozen=True)
class Adopted:
    """A model, its folder with card.json (what MODEL_PATH takes), and rows that it knows, of floats."""

    name: str
    model: BaseEstimator
    folder: Path
    rows: list[list[float]]
    told: str  # what the command said

    @property
    def format(self) -> str:
        return FORMATS[self.name]


def cultivar(folder: Path) -> tuple[BaseEstimator, Path | None, np.ndarray]:
    """Scaling and gradient boosting, labels of text, columns with names and ranges from a sample."""
    data = folder / "wine.csv"
    WINE.data.assign(cultivar=CULTIVARS).to_csv(data, index=False)
    model = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=20, random_state=0))
    return model.fit(WINE.data, CULTIVARS), data, WINE.data.to_numpy()


def progression(folder: Path) -> tuple[BaseEstimator, Path | None, np.ndarray]:
    """A regressor on columns without names, adopted without data: the card has no ranges and no presets."""
    rows = DIABETES.data.to_numpy()
    model = RandomForestRegressor(n_estimators=20, random_state=0)
    return model.fit(rows, DIABETES.target.to_numpy()), None, rows


def logarithms(folder: Path) -> tuple[BaseEstimator, Path | None, np.ndarray]:
    """One with a step of Python's own, for which ONNX has no word; skops has one."""
    rows = WINE.data.to_numpy()
    data = folder / "sample.csv"
    WINE.data.to_csv(data, index=False)
    model = make_pipeline(FunctionTransformer(np.log1p), StandardScaler(), LogisticRegression())
    return model.fit(rows, CULTIVARS == "Barolo"), data, rows


MAKERS: dict[str, Callable] = {maker.__name__: maker for maker in (cultivar, progression, logarithms)}


def adopt(name: str, folder: Path) -> Adopted:
    """Make one of MAKERS and adopt it with `python -m model_training.adopt`, everything in `folder`."""
    model, data, rows = MAKERS[name](folder)
    path = folder / f"{name}.pkl"
    joblib.dump(model, path)
    command = [sys.executable, "-m", "model_training.adopt", str(path), "--root", str(folder)]
    command += ["--data", str(data)] if data else []
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return Adopted(name, model, folder / "models" / name, rows[::9].tolist(), done.stdout)


def adopt_model(name: str, model: BaseEstimator, folder: Path, data) -> Path:
    """The folder of a model of a test's own, adopted with a table of rows."""
    joblib.dump(model, folder / f"{name}.pkl")
    data.to_csv(folder / "rows.csv", index=False)
    model_training.adopt.adopt(folder / f"{name}.pkl", name, folder / "rows.csv", folder)
    return folder / "models" / name
