"""Quality: how often a model was right, of those of its predictions whose truth has come."""

from math import sqrt
from statistics import NormalDist

from pydantic import BaseModel

from apps.service.bodies import Answer
from model_training.card import Card

CONFIDENCE = 0.95


class Confusion(BaseModel):
    """`counts[t][p]`: how many rows of the true class `classes[t]` were predicted to be `classes[p]`."""

    classes: list[str]
    counts: list[list[int]]


class VersionQuality(BaseModel):
    """`truths`: of how many predictions the truth is known. Of a classifier `correct`, `accuracy`, the 95
    percent `interval` that it lies in (Wilson's) and `confusion`; of a regressor the `mean_absolute_error`.
    The `test_` figures are the card's: what it was on the test rows."""

    version: str
    predictions: int
    truths: int
    correct: int | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    confusion: Confusion | None = None
    test_accuracy: float | None = None
    mean_absolute_error: float | None = None
    test_mean_absolute_error: float | None = None


class QualityReport(Answer):
    """Of the predictions of the last `hours`, the version that predicted last first. `since` is in seconds
    since 1970."""

    name: str
    hours: int
    since: float
    versions: list[VersionQuality]


def wilson(correct: int, truths: int) -> tuple[float, float]:
    """The interval that a share lies in, with CONFIDENCE, when `correct` of `truths` were so: E. B. Wilson,
    Probable Inference, the Law of Succession, and Statistical Inference (1927)."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = correct / truths, z * z / truths
    middle = (share + weight / 2) / (1 + weight)
    half = z * sqrt(share * (1 - share) / truths + weight / truths / 4) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion(classes: list[str], pairs: dict[tuple[str, str], int]) -> Confusion:
    """`pairs`: how many rows of a true class were predicted to be of a class."""
    return Confusion(
        classes=classes,
        counts=[[pairs.get((true, predicted), 0) for predicted in classes] for true in classes],
    )


def version_quality(
    version: str,
    card: Card,
    predictions: int,
    pairs: dict[tuple[str, str], int],
    off: tuple[int, float] | None,
) -> VersionQuality:
    """Of a version. `pairs` as above, of a classifier; `off`, of a regressor: how many truths are known, and
    the mean absolute error."""
    found = VersionQuality(version=version, predictions=predictions, truths=sum(pairs.values()))
    tested = {name: metric.test for name, metric in card.metrics.items()}
    found.test_accuracy = tested.get("accuracy")
    found.test_mean_absolute_error = tested.get("mean absolute error")
    if pairs:
        found.correct = sum(count for (true, predicted), count in pairs.items() if true == predicted)
        found.accuracy = found.correct / found.truths
        found.interval = wilson(found.correct, found.truths)
        found.confusion = confusion(classes_of(card), pairs)
    elif off:
        found.truths, found.mean_absolute_error = off
    return found


def classes_of(card: Card) -> list[str]:
    """The names that a prediction, and the truth, may have."""
    return card.classes or []
