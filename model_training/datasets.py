"""Datasets that need no download, each with names, units and an origin: those that ship with scikit-learn,
and the penguins, whose file lies here."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from sklearn import datasets as sklearn_datasets

PENGUINS = Path(__file__).with_name("data") / "penguins.csv"


@dataclass(frozen=True)
class Dataset:
    """Rows to learn from.

    features: one column for each feature, in the model's order: float64, or texts; NaN where it is missing.
    target: one entry for each row; the index of a class, or the measured value.
    units: column name -> unit ("cm"), or None where the feature is a plain number or was never documented.
    classes: the names behind the target's indices; None for regression.
    """

    name: str
    title: str
    origin: str
    features: pd.DataFrame
    target: pd.Series
    units: dict[str, str | None]
    target_unit: str | None
    classes: list[str] | None

    @property
    def task(self) -> Literal["classification", "regression"]:
        return "classification" if self.classes else "regression"

    @property
    def categories(self) -> list[str]:
        """The names of the columns of texts."""
        return [name for name, column in self.features.items() if column.dtype.kind != "f"]

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Name of a column of numbers -> its smallest and its largest value, in its unit."""
        numbers = self.features.drop(columns=self.categories)
        return {name: (float(column.min()), float(column.max())) for name, column in numbers.items()}

    @property
    def frame(self) -> pd.DataFrame:
        """Features and target side by side, the target's classes by name: what one wants to look at."""
        shown = self.target.map(dict(enumerate(self.classes))) if self.classes else self.target
        return self.features.assign(**{self.target.name: shown})

    def sha256(self) -> str:
        """A fingerprint of the names and the numbers, the same on every machine."""
        digest = hashlib.sha256(repr([*self.features.columns, self.classes]).encode())
        if self.categories:
            texts = self.features[self.categories].astype(object).fillna("")
            digest.update(repr(texts.to_numpy().tolist()).encode())
        numbers = self.features.drop(columns=self.categories)
        digest.update(np.ascontiguousarray(numbers, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(self.target, dtype="<f8").tobytes())
        return digest.hexdigest()


def load(name: str) -> Dataset:
    """The dataset called `name`. Raises ValueError, naming those that exist, for any other name."""
    if name not in LOADERS:
        raise ValueError(f"no dataset is called {name!r}; there are {', '.join(LOADERS)}")
    return LOADERS[name]()


def iris() -> Dataset:
    raw = sklearn_datasets.load_iris(as_frame=True)
    features = raw.data.rename(columns=lambda column: column.removesuffix(" (cm)"))
    return Dataset(
        name="iris",
        title="Iris flowers: which of three species, from four lengths",
        origin="Measured by Edgar Anderson, published by R. A. Fisher in 1936; 150 flowers.",
        features=features,
        target=raw.target.rename("species"),
        units=dict.fromkeys(features, "cm"),
        target_unit=None,
        classes=[str(label) for label in raw.target_names],
    )


def wine() -> Dataset:
    raw = sklearn_datasets.load_wine(as_frame=True)
    names = {"od280/od315_of_diluted_wines": "OD280/OD315 of diluted wine"}
    features = raw.data.rename(columns=lambda column: names.get(column, column.replace("_", " ")))
    units = dict.fromkeys(features, None) | {"alcohol": "% vol", "magnesium": "mg/l", "proline": "mg/l"}
    return Dataset(
        name="wine",
        title="Wine: which of three growers, from a chemical analysis",
        origin="M. Forina and others, 1988: wines of three growers in one region of Italy; 178 bottles.",
        features=features,
        target=raw.target.rename("grower"),
        units=units,
        target_unit=None,
        classes=["grower 1", "grower 2", "grower 3"],
    )


def breast_cancer() -> Dataset:
    raw = sklearn_datasets.load_breast_cancer(as_frame=True)
    return Dataset(
        name="breast_cancer",
        title="Breast cancer: malignant or benign, from the shape of cell nuclei",
        origin="W. N. Street, W. H. Wolberg and O. L. Mangasarian, Wisconsin, 1993; 569 tissue samples, "
        "measured in the units of the digitised image. To learn with, never to diagnose with.",
        features=raw.data,
        target=raw.target.rename("diagnosis"),
        units=dict.fromkeys(raw.data, None),
        target_unit=None,
        classes=[str(label) for label in raw.target_names],
    )


def diabetes() -> Dataset:
    raw = sklearn_datasets.load_diabetes(as_frame=True, scaled=False)
    meaning = {
        "age": ("age", "years"),
        "sex": ("sex", "1 or 2"),
        "bmi": ("body mass index", "kg/m²"),
        "bp": ("mean blood pressure", "mmHg"),
        "s1": ("total cholesterol", "mg/dl"),
        "s2": ("LDL cholesterol", "mg/dl"),
        "s3": ("HDL cholesterol", "mg/dl"),
        "s4": ("total to HDL ratio", None),
        "s5": ("log of triglycerides", None),
        "s6": ("blood sugar", "mg/dl"),
    }
    return Dataset(
        name="diabetes",
        title="Diabetes: how far the disease moved on in a year, from ten measurements",
        origin="B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least Angle Regression, 2004; "
        "442 patients. To learn with, never to diagnose with.",
        features=raw.data.rename(columns={column: name for column, (name, _) in meaning.items()}),
        target=raw.target.rename("disease progression"),
        units=dict(meaning.values()),
        target_unit="points",
        classes=None,
    )


def penguins() -> Dataset:
    """Two columns of categories, four of numbers; eleven birds have no sex told, and two no numbers."""
    table = pd.read_csv(PENGUINS)
    names = {
        "island": ("island", None),
        "sex": ("sex", None),
        "bill_length_mm": ("bill length", "mm"),
        "bill_depth_mm": ("bill depth", "mm"),
        "flipper_length_mm": ("flipper length", "mm"),
        "body_mass_g": ("body mass", "g"),
    }
    classes = sorted(table["species"].unique())
    return Dataset(
        name="penguins",
        title="Penguins: which of three species, from a bird's island, sex and size",
        origin="Measured by Kristen Gorman and the Palmer Station, Antarctica LTER, 2007 to 2009; 344 birds. "
        "From the package palmerpenguins 0.1.1 of A. M. Horst, A. P. Hill and K. B. Gorman, 2020; in the "
        "public domain (CC0).",
        features=table[[*names]].rename(columns={column: name for column, (name, _) in names.items()}),
        target=table["species"].map(classes.index).rename("species"),
        units=dict(names.values()),
        target_unit=None,
        classes=classes,
    )


LOADERS = {
    "iris": iris,
    "wine": wine,
    "breast_cancer": breast_cancer,
    "diabetes": diabetes,
    "penguins": penguins,
}
