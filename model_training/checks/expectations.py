"""What must be true of a dataset's model before it is shipped. `checks.py` holds a model to it; edit it here.

The expectations of a model of your own: another entry, under the name of its folder. One without an entry is
held to what holds for every model."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Direction:
    """When `feature` changes by `change`, which way the answer may move, and not the other.

    change: what is added to a number, in its unit, as far as the training data go; or the category that is
    put in its place.
    of: the class whose probability is looked at; None: the predicted value."""

    feature: str
    change: float | str
    moves: Literal["up", "down"]
    of: str | None = None


@dataclass(frozen=True)
class Expectations:
    """Rules for one dataset's model; every one has a default that suits any model.

    at_least, at_most: metric -> its bound on the held-out rows, besides being better than the baseline.
    margin: how far a metric may fall behind the champion's, as a share of the champion's.
    precision: feature -> how exactly it is measured, in its unit; unset: a thousandth of its training range.
    directions: the changes whose effect is known.
    hold: of the rows, the share that must keep its answer, or move it in the right direction.
    slowest: the 99th percentile of the time for one row, as a multiple of the baseline's on the same machine.
    """

    at_least: dict[str, float] = field(default_factory=dict)
    at_most: dict[str, float] = field(default_factory=dict)
    margin: float = 0.05
    precision: dict[str, float] = field(default_factory=dict)
    directions: tuple[Direction, ...] = ()
    hold: float = 0.95
    slowest: float = 500


EXPECTATIONS = {
    "iris": Expectations(
        at_least={"accuracy": 0.85},
        precision={  # measured in tenths of a centimetre: half of one to either side
            "sepal length": 0.05,
            "sepal width": 0.05,
            "petal length": 0.05,
            "petal width": 0.05,
        },
        directions=(
            Direction("petal length", +0.5, "up", of="virginica"),
            Direction("petal width", +0.2, "up", of="virginica"),
            Direction("petal length", -0.5, "up", of="setosa"),
        ),
    ),
    "wine": Expectations(
        at_least={"accuracy": 0.9},
        directions=(
            Direction("proline", +100, "up", of="grower 1"),
            Direction("color intensity", +1, "down", of="grower 2"),
            Direction("flavanoids", +0.5, "down", of="grower 3"),
        ),
    ),
    "breast_cancer": Expectations(
        at_least={"accuracy": 0.92},
        directions=(
            Direction("worst area", +200, "up", of="malignant"),
            Direction("worst concave points", +0.02, "up", of="malignant"),
        ),
    ),
    "diabetes": Expectations(
        at_least={"r2": 0.35},
        at_most={"mean absolute error": 50},
        directions=(
            Direction("body mass index", +2, "up"),
            Direction("mean blood pressure", +10, "up"),
            Direction("log of triglycerides", +0.3, "up"),
        ),
    ),
    "penguins": Expectations(
        at_least={"accuracy": 0.9},
        precision={"bill length": 0.05, "bill depth": 0.05, "flipper length": 0.5, "body mass": 25},
        directions=(
            Direction("flipper length", +5, "up", of="Gentoo"),
            Direction("bill length", -3, "up", of="Adelie"),
            Direction("island", "Biscoe", "up", of="Gentoo"),
        ),
    ),
}
