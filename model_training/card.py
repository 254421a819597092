"""The model card: everything about a model that a server, a page or a person needs to know.

After M. Mitchell and others, Model Cards for Model Reporting (2019), cut down to what machines act on.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

MAX_BYTES = 4 * 1024**2  # of a card with ten thousand features


class CardError(ValueError):
    """A card that cannot be read, or does not say what a card must say."""


# What a classifier calls a class, and a regressor answers.
Label = bool | float | str


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Feature(Part):
    """One number that the model takes. Outside minimum..maximum a server refuses it; `observed` is the
    range in the training data, beyond which the model is guessing. Of a model that was adopted without
    data only the name is known."""

    name: str
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    observed: tuple[float, float] | None = None
    median: float | None = None

    @model_validator(mode="after")
    def check_range(self) -> "Feature":
        """Something lies between minimum and maximum."""
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"expected the minimum of {self.name} to be no more than its maximum")
        return self


class Target(Part):
    name: str
    unit: str | None = None


class Preset(Part):
    """An example row with a name, to fill a form with."""

    label: str
    features: list[float]


class GoldenRow(Part):
    """A row and what the model answered when it was exported; a loaded model must answer the same. `label` is
    what the card called that answer then, so that classes in another order are noticed."""

    features: list[float]
    prediction: Label
    label: str | None = None
    probabilities: list[float] | None = None


class Metric(Part):
    """One figure of quality: on the test rows, the baseline's on the same rows, and in cross-validation."""

    test: float
    baseline: float
    folds: list[float]


class ModelFile(Part):
    file: str
    sha256: str
    bytes: int


class Card(Part):
    card_format: Literal[1] = 1
    name: str
    version: str = Field(description="computed from what decided the model; another model has another one")
    title: str = Field(description="what the model is for, in a line")
    origin: str = Field(description="where its data come from")
    task: Literal["classification", "regression"]
    features: list[Feature] = Field(min_length=1, description="in the order in which they are sent")
    target: Target = Field(description="what is predicted")
    classes: list[str] | None = Field(None, description="a name for each class, for people")
    labels: list[Label] | None = Field(
        None, description="what the model calls them, where that is not 0, 1, 2, …"
    )
    presets: list[Preset]
    algorithm: str
    metrics: dict[str, Metric] = Field(description="how good it is, by the metric's name")
    golden: list[GoldenRow] = Field(min_length=1)
    inputs: dict = Field(description="everything that decided what was learned")
    trained_at: str = Field(description="ISO 8601")
    files: dict[str, ModelFile] = Field(description="by format: `onnx`, `skops`, `joblib`")

    @field_validator("trained_at")
    @classmethod
    def check_time(cls, found: str) -> str:
        """ISO 8601."""
        datetime.fromisoformat(found)
        return found

    @model_validator(mode="after")
    def check_lengths(self) -> "Card":
        """Golden rows have a number for each feature, labels a class each."""
        if any(len(row.features) != len(self.features) for row in self.golden):
            raise ValueError("expected as many numbers in a golden row as there are features")
        if self.labels is not None and len(self.labels) != len(self.classes or []):
            raise ValueError("expected as many labels as there are classes")
        return self

    @model_validator(mode="after")
    def check_classes(self) -> "Card":
        """Each class and each label once, and what golden rows answer is one of them."""
        names, labels = self.classes or [], self.raw_labels
        if len(set(names)) < len(names) or len(set(labels)) < len(labels):
            raise ValueError("expected each class, and each label, once")
        if not names:
            return self
        with_shares = [row for row in self.golden if row.probabilities is not None]
        if with_shares and len(with_shares) < len(self.golden):
            raise ValueError("expected probabilities in every golden row, or in none")
        if any(len(row.probabilities) != len(names) for row in with_shares):
            raise ValueError("expected as many probabilities in a golden row as there are classes")
        for row in self.golden:
            if row.prediction not in labels:
                raise ValueError(
                    "expected the prediction of every golden row among the labels of the classes"
                )
        return self

    @property
    def raw_labels(self) -> list[Label]:
        """What the model answers for each class, in the order of `classes` and of probabilities."""
        return self.labels or [*range(len(self.classes or []))]

    @property
    def has_probabilities(self) -> bool:
        return bool(self.classes) and self.golden[0].probabilities is not None

    def to_json(self) -> str:
        """Without the members that are not known."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def read_card(path: Path) -> Card:
    """The card in the file `path`. Raises CardError saying what is wrong with it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CardError(f"{path} is larger than any model card ({MAX_BYTES // 1024**2} MiB): train again")
        return Card.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise CardError(f"there is no card at {path}: train a model, or copy its card.json with it") from None
    except CardError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CardError(f"{path} is not a model card: {where}: {first['msg']}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CardError(f"{path} cannot be read as a model card: {error}") from None
