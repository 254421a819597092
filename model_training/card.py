"""The model card: everything about a model that a server, a page or a person needs to know.

After M. Mitchell and others, Model Cards for Model Reporting (2019), cut down to what machines act on.
"""

from datetime import datetime
from pathlib import Path, PurePath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

MAX_BYTES = 4 * 1024**2  # of a card with ten thousand features
ROUNDED = 1e-6  # what a share in a card may be off by


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
        """Something lies between minimum and maximum, and what was seen in training is in order."""
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"expected the minimum of {self.name} to be no more than its maximum")
        for found in (self.observed or [], self.quantiles or []):
            if [*found] != sorted(found):
                raise ValueError(f"expected what was seen of {self.name} from the least to the greatest")
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
        if self.shares and (min(self.shares) < 0 or sum(self.shares) > 1 + ROUNDED * len(self.shares)):
            raise ValueError(f"expected shares of {self.name} from 0, and no more than 1 together")
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

    @field_validator("file")
    @classmethod
    def check_name(cls, found: str) -> str:
        """Beside the card."""
        plain = found.isascii() and found.isprintable() and "\\" not in found and len(found) <= 100
        if not found or not plain or found.startswith(".") or PurePath(found).name != found:
            raise ValueError("expected the name of a file that is in the card's folder")
        return found


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
        """Golden rows and presets have a value for each feature, labels a class each, and of features,
        targets, classes and labels none is there twice."""
        if any(len(row.features) != len(self.features) for row in [*self.golden, *self.presets]):
            raise ValueError(
                "expected as many numbers in a golden row, and in a preset, as there are features"
            )
        for parts in (self.features, self.targets or []):
            if len({part.name for part in parts}) < len(parts):
                raise ValueError("expected each feature, and each target, by a name of its own")
        for part in [self, *(self.targets or [])]:
            if part.labels is not None and len(part.labels) != len(part.classes or []):
                raise ValueError("expected as many labels as there are classes")
            for names in (part.classes or [], part.raw_labels):
                if len(set(names)) < len(names):
                    raise ValueError("expected each class, and each label, once")
        return self

    @model_validator(mode="after")
    def check_classes(self) -> "Card":
        """What golden rows answer is of the classes, for each target."""
        with_shares = [row for row in self.golden if row.probabilities is not None]
        if (self.targets or self.classes) and 0 < len(with_shares) < len(self.golden):
            raise ValueError("expected probabilities in every golden row, or in none")
        if self.targets and self.classes:
            raise ValueError("expected classes with the targets that they are of")
        for row in self.golden:
            answers = [(row.prediction, row.label, row.probabilities)]
            if self.targets:
                nothing = [None] * len(self.targets)
                parts = [nothing if part is None else part for part in answers[0]]
                if any(not isinstance(part, list) or len(part) != len(self.targets) for part in parts):
                    raise ValueError("expected an answer of each target in every golden row")
                answers = [*zip(*parts, strict=True)]
            for target, answer in zip(self.targets or [self], answers, strict=True):
                check_answer(target, *answer)
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


def check_answer(target: Card | Target, prediction: object, label: object, shares: object) -> None:
    """Raises ValueError unless what a golden row answers is of the target's classes."""
    names = target.classes or []
    if prediction is None or isinstance(prediction, list) or isinstance(label, list):
        raise ValueError("expected one prediction of each target, and one label, in a golden row")
    if shares is not None and (
        not isinstance(shares, list) or len(shares) != len(names) or list in map(type, shares)
    ):
        raise ValueError("expected as many probabilities in a golden row as there are classes")
    if names and prediction not in target.raw_labels:
        raise ValueError("expected the prediction of every golden row among the labels of the classes")


def read_card(path: Path) -> Card:
    """The card in the file `path`. Raises CardError saying what is wrong with it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CardError(f"{path} is larger than any model card ({MAX_BYTES // 1024**2} MiB): train again")
        return Card.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise CardError(f"there is no card at {path}: train a model, or copy its card.json with it") from None
    except CardError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            raise CardError(f"{path} cannot be read as a model card: {first['msg']}") from None
        said = [".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")]
        raise CardError(f"{path} is not a model card: {': '.join(filter(None, said))}") from None
    except OSError as error:
        raise CardError(f"{path} cannot be read as a model card: {error}") from None
