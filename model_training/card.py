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


Value = float | str | None  # of a feature: a number, a category, or missing


class Feature(Part):
    """One column that the model takes. A number outside minimum..maximum is refused by a server; `observed`
    is the range in the training data, beyond which the model is guessing. Of a number in a model that was
    adopted without data only the name is known."""

    name: str
    kind: Literal["number", "category"] = Field("number", exclude_if=lambda kind: kind == "number")
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    observed: tuple[float, float] | None = None
    median: float | None = None
    quantiles: list[float] | None = Field(
        None, description="of a number in the training data: at 0, 5, 10, … 100 percent of its rows"
    )
    categories: list[str] | None = Field(None, description="what a category may be; any other is refused")
    labels: list[Label] | None = Field(
        None,
        description="what the model calls `categories`, where those are no texts: true and false, or numbers",
    )
    shares: list[float] | None = Field(
        None, description="of the training rows, how many had each of `categories`, from 0 to 1"
    )
    may_be_missing: bool = Field(
        False, description="whether null is taken in its place", exclude_if=lambda found: not found
    )

    @model_validator(mode="after")
    def check_range(self) -> "Feature":
        """Something lies between minimum and maximum."""
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"expected the minimum of {self.name} to be no more than its maximum")
        return self

    @model_validator(mode="after")
    def check_categories(self) -> "Feature":
        """A category has at least one value, each once, with a label and a share for each if for any."""
        if (self.kind == "category") is not bool(self.categories):
            raise ValueError(f"expected categories of {self.name} where its kind is category, and only there")
        for found in (self.categories, self.labels):
            if found is not None and len(set(found)) < len(found):
                raise ValueError(f"expected each category of {self.name}, and each label, once")
        for found in (self.labels, self.shares):
            if found is not None and len(found) != len(self.categories or []):
                raise ValueError(f"expected as many labels and shares of {self.name} as it has categories")
        return self


class Target(Part):
    """What is predicted. Where there are several of them, each has classes and labels of its own, as the card
    of a model with one has."""

    name: str
    unit: str | None = None
    classes: list[str] | None = None
    labels: list[Label] | None = None

    @property
    def raw_labels(self) -> list[Label]:
        """What the model answers for each class, in the order of `classes` and of probabilities."""
        return self.labels or [*range(len(self.classes or []))]


class Preset(Part):
    """An example row with a name, to fill a form with."""

    label: str
    features: list[Value]


class GoldenRow(Part):
    """A row and what the model answered when it was exported; a loaded model must answer the same. `label` is
    what the card called that answer then, so that classes in another order are noticed. A model with several
    targets has one of everything for each."""

    features: list[Value]
    prediction: Label | list[Label]
    label: str | list[str] | None = None
    probabilities: list[float] | list[list[float]] | None = None


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
    task: Literal["classification", "regression", "outlier detection"]
    features: list[Feature] = Field(min_length=1, description="in the order in which they are sent")
    target: Target = Field(description="what is predicted")
    targets: list[Target] | None = Field(
        None, min_length=2, description="in the order of the answer, where it is of several parts"
    )
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
        for part in [self, *(self.targets or [])]:
            if part.labels is not None and len(part.labels) != len(part.classes or []):
                raise ValueError("expected as many labels as there are classes")
        return self

    @model_validator(mode="after")
    def check_classes(self) -> "Card":
        """Each class and each label once, and what golden rows answer is one of them."""
        with_shares = [row for row in self.golden if row.probabilities is not None]
        if (self.targets or self.classes) and 0 < len(with_shares) < len(self.golden):
            raise ValueError("expected probabilities in every golden row, or in none")
        if not self.targets:
            check_answers(self, [(row.prediction, row.probabilities) for row in self.golden])
            return self
        if self.classes or any(
            not isinstance(row.prediction, list) or len(row.prediction) != len(self.targets)
            for row in self.golden
        ):
            raise ValueError("expected a prediction for each of the targets, and classes with them")
        for place, target in enumerate(self.targets):
            shares = [row.probabilities and row.probabilities[place] for row in self.golden]
            answers = [row.prediction[place] for row in self.golden]
            check_answers(target, [*zip(answers, shares, strict=True)])
        return self

    @property
    def raw_labels(self) -> list[Label]:
        """What the model answers for each class, in the order of `classes` and of probabilities."""
        return self.labels or [*range(len(self.classes or []))]

    @property
    def has_probabilities(self) -> bool:
        return bool(self.classes or self.targets) and self.golden[0].probabilities is not None

    @property
    def is_plain(self) -> bool:
        """Whether every feature is a number that is always there."""
        return all(feature.kind == "number" and not feature.may_be_missing for feature in self.features)

    def to_json(self) -> str:
        """Without the members that are not known."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def check_answers(target: Card | Target, answers: list[tuple]) -> None:
    """Raises ValueError unless the predictions and probabilities of golden rows are those of its classes."""
    names, labels = target.classes or [], target.raw_labels
    if len(set(names)) < len(names) or len(set(labels)) < len(labels):
        raise ValueError("expected each class, and each label, once")
    if names and any(shares is not None and len(shares) != len(names) for _, shares in answers):
        raise ValueError("expected as many probabilities in a golden row as there are classes")
    if names and any(isinstance(found, list) or found not in labels for found, _ in answers):
        raise ValueError("expected the prediction of every golden row among the labels of the classes")


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
