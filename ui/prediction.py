"""A prediction, read from the answer of POST /predict and said in words."""

import math
from dataclasses import dataclass, replace
from typing import Any

from ui.card import Card, Target, Value


@dataclass(frozen=True)
class Prediction:
    """`label` is the class or the number with its unit. `probabilities`: (class, probability), in the
    model's order; empty where the model gives none. `value`: the number of a regression. `parts`: of a model
    with several targets, each one's name and prediction; `label` has all of them then."""

    label: str
    probabilities: tuple[tuple[str, float], ...] = ()
    value: float | None = None
    parts: tuple[tuple[str, "Prediction"], ...] = ()

    @property
    def chance(self) -> float | None:
        """The probability of the predicted class, where there is one."""
        return dict(self.probabilities).get(self.label)

    @property
    def words(self) -> str:
        """For example "setosa, 98 %" or "71.6 points"."""
        label = shown(self.label)
        return label if self.chance is None else f"{label}, {percent(self.chance)}"


def read_predictions(body: Any, card: Card, n: int = 1) -> list[Prediction]:
    """The n predictions in a server's answer; ValueError, saying what is missing, where they are not there.

    A full server names the class in `label` and its probabilities in `probabilities`: a value each for one
    row, a list each for several. A minimal server gives neither the label nor names: lists of n rows.
    """
    answers = body.get("prediction") if isinstance(body, dict) else None
    if not isinstance(answers, list) or len(answers) != n:
        raise ValueError(f'expected {{"prediction": [...]}} with {n}')
    labels, rows = body.get("label"), body.get("probabilities")
    labels = [labels] if isinstance(labels, str | dict) else [None] * n if labels is None else labels
    rows = [rows] if isinstance(rows, dict) else [None] * n if rows is None else rows
    for column in (labels, rows):
        if not isinstance(column, list) or len(column) != n:
            raise ValueError(f"expected {n} of each, in lists")
    read = _of_targets if card.targets else _prediction
    return [read(*row, card) for row in zip(answers, labels, rows, strict=True)]


def _of_targets(answer: Any, labels: Any, rows: Any, card: Card) -> Prediction:
    """The prediction of each target, in one."""
    if not isinstance(answer, list) or len(answer) != len(card.targets):
        raise ValueError(f"expected a prediction for each of {len(card.targets)} targets")
    labels, rows = ({} if found is None else found for found in (labels, rows))
    if not isinstance(labels, dict) or not isinstance(rows, dict):
        raise ValueError("expected labels and probabilities by target")
    parts = tuple(
        (target.name, _prediction(found, labels.get(target.name), rows.get(target.name), alone(card, target)))
        for target, found in zip(card.targets, answer, strict=True)
    )
    words = ", ".join(part.label for _, part in parts)
    return Prediction(words, parts=parts)


def alone(card: Card, target: Target) -> Card:
    """The card as it would be if the model had this target only."""
    return replace(
        card,
        targets=(),
        target=target.name,
        target_unit=target.unit,
        classes=target.classes,
        labels=target.labels,
    )


def _prediction(answer: Any, label: Any, row: Any, card: Card) -> Prediction:
    if label is not None and not isinstance(label, str):
        raise ValueError("expected the label to be a text")
    if label is None:
        label = _label(answer, card)
    if row is None:
        return Prediction(label, value=float(answer) if not card.classes and _is_number(answer) else None)
    chances = list(row.values()) if isinstance(row, dict) else row
    if not isinstance(chances, list) or not chances or not all(map(_is_probability, chances)):
        raise ValueError("expected a probability for each class")
    chances = [min(1.0, max(0.0, float(chance))) for chance in chances]
    if isinstance(row, dict):
        return Prediction(label, tuple(zip(row, chances, strict=True)))
    names = card.classes or tuple(f"class {index}" for index in range(len(chances)))
    if len(names) != len(chances):
        raise ValueError(f"expected {len(names)} probabilities, got {len(chances)}")
    if not card.classes and isinstance(answer, int) and 0 <= answer < len(names):
        label = names[answer]
    return Prediction(label, tuple(zip(names, chances, strict=True)))


def shown(name: str) -> str:
    """The name of a class, so that a person sees one: those of any model may be long, or empty."""
    return f"{name[:79]}…" if len(name) > 80 else name if name.strip() else f"“{name}”"


def value_words(value: Value) -> str:
    """A feature's value, for a sentence."""
    return "missing" if value is None else f"{value:.10g}" if isinstance(value, int | float) else shown(value)


def percent(probability: float, decimals: int = 0) -> str:
    """A probability for people: what is not quite certain is never shown as 100 %, nor the other way."""
    smallest = 10.0**-decimals
    if 0 < probability < smallest / 100:
        return f"under {smallest:g} %"
    if 1 - smallest / 100 < probability < 1:
        return f"over {100 - smallest:g} %"
    return f"{probability * 100:.{decimals}f} %"


def number(value: float) -> str:
    """A number to four figures, without an exponent where it can be avoided."""
    if value == 0 or 1e-4 <= abs(value) < 1e9:
        figures = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
        text = f"{value:,.{figures}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3e}"


def _label(answer: Any, card: Card) -> str:
    """The class that a bare answer means. A card lists the model's own labels beside its classes, or else
    numbers its classes; a bare one lists them as the model itself answers."""
    for label, name in zip(card.labels, card.classes, strict=False):
        if answer == label and isinstance(answer, bool) == isinstance(label, bool):
            return name
    if not isinstance(answer, str | bool) and not _is_number(answer):
        raise ValueError("expected the prediction to be a number or a word")
    if not card.classes:
        if isinstance(answer, str | bool):
            return str(answer)
        return f"{number(answer)} {card.target_unit}".strip()
    if not card.indexed and str(answer) in card.classes:
        return str(answer)
    if _is_number(answer) and answer == int(answer) and 0 <= answer < len(card.classes):
        return card.classes[int(answer)]
    if str(answer) in card.classes:
        return str(answer)
    raise ValueError("the prediction is none of the model's classes")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _is_probability(value: Any) -> bool:
    """From 0 to 1, or beyond by no more than 32 bits of arithmetic can err."""
    return _is_number(value) and -1e-6 <= value <= 1 + 1e-6
