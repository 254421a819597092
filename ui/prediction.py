"""A prediction, read from the answer of POST /predict and said in words."""

import math
from dataclasses import dataclass
from typing import Any

from ui.card import Card


@dataclass(frozen=True)
class Prediction:
    """`label` is the class or the number with its unit. `probabilities`: (class, probability), in the
    model's order; empty where the model gives none."""

    label: str
    probabilities: tuple[tuple[str, float], ...] = ()

    @property
    def words(self) -> str:
        """For example "setosa, 98 %" or "71.6 points"."""
        chance = dict(self.probabilities).get(self.label)
        return self.label if chance is None else f"{self.label}, {percent(chance)}"


def read_prediction(body: Any, card: Card) -> Prediction:
    """The one prediction in {"prediction": [...], "probabilities": [[...]]}; ValueError, saying what is
    missing, where there is none."""
    answers = body.get("prediction") if isinstance(body, dict) else None
    if not isinstance(answers, list) or len(answers) != 1:
        raise ValueError('expected {"prediction": [one value]}')
    answer = answers[0]
    if not isinstance(answer, str) and not _is_number(answer):
        raise ValueError("expected the prediction to be a number or a word")
    rows = body.get("probabilities")
    if rows is None:
        return Prediction(_label(answer, card))
    chances = rows[0] if isinstance(rows, list) and len(rows) == 1 else None
    if not isinstance(chances, list) or not chances or not all(map(_is_probability, chances)):
        raise ValueError("expected one row of probabilities")
    names = card.classes or tuple(f"class {index}" for index in range(len(chances)))
    if len(names) != len(chances):
        raise ValueError(f"expected {len(names)} probabilities, got {len(chances)}")
    label = _label(answer, card)
    if not card.classes and isinstance(answer, int) and 0 <= answer < len(names):
        label = names[answer]
    return Prediction(label, tuple(zip(names, map(float, chances), strict=True)))


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
    """A card that says so numbers its classes; a bare one lists them as the model itself answers."""
    if not card.classes:
        if isinstance(answer, str):
            if not answer.strip():
                raise ValueError("the prediction is an empty text")
            return answer[:80]
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
    return _is_number(value) and 0 <= value <= 1
