"""What each feature did to an answer, read from the answer of POST /explain and said in words."""

import math
from dataclasses import dataclass
from typing import Any

from ui.card import Card
from ui.prediction import number, percent, shown, value_words

MOST_NAMED = 3  # of the features, in a sentence
LEAST_SHARE = 0.05  # of the largest, from which on a contribution is worth a word


@dataclass(frozen=True)
class Part:
    """What one feature did. `error`: the standard error of that. `name` is with its value."""

    name: str
    contribution: float
    error: float


@dataclass(frozen=True)
class Explanation:
    """`parts` add up from `baseline`, the average over the training, to `answer`; the largest comes first.
    Where a probability is explained, all of them are probabilities. `complete`: time did not run out."""

    explained: str
    unit: str
    baseline: float
    answer: float
    parts: tuple[Part, ...]
    complete: bool

    @property
    def is_chance(self) -> bool:
        return self.explained.startswith("probability of ")

    def level(self, value: float) -> str:
        """The baseline, or the answer."""
        return (
            percent(min(1.0, max(0.0, value)), 1)
            if self.is_chance
            else f"{number(value)} {self.unit}".strip()
        )

    def change(self, value: float) -> str:
        """A contribution without its sign."""
        if self.is_chance:
            return f"{abs(value) * 100:.1f} points"
        return f"{number(abs(value))} {self.unit}".strip()

    def signed(self, value: float) -> str:
        """The same as a figure, with its sign."""
        text = f"{abs(value) * 100:.1f}" if self.is_chance else number(abs(value))
        return f"{'−' if value < 0 else '+'}{text}" if float(text.replace(",", "")) else text

    @property
    def told(self) -> list[Part]:
        """The parts that a sentence names: the largest, as far as they are more than chance."""
        largest = abs(self.parts[0].contribution)
        worth = [
            part
            for part in self.parts
            if abs(part.contribution) > 2 * part.error and abs(part.contribution) >= LEAST_SHARE * largest
        ]
        return worth[:MOST_NAMED]


def read_explanation(body: Any, card: Card) -> Explanation:
    """The explanation in a server's answer; ValueError, saying what is missing, where there is none."""
    body = body if isinstance(body, dict) else {}
    entries, explained, unit = body.get("contributions"), body.get("explained"), body.get("unit", "")
    if not isinstance(entries, list) or len(entries) != len(card.features) or not isinstance(explained, str):
        raise ValueError(f"expected {len(card.features)} contributions, and what they explain")
    parts = []
    for entry, feature in zip(entries, card.features, strict=True):
        entry = entry if isinstance(entry, dict) else {}
        value = entry.get("value")
        words = value_words(value if _is_number(value) or value is None else str(value))
        contribution, error = _number(entry.get("contribution")), _number(entry.get("standard_error"))
        parts.append(Part(f"{shown(feature.name)} {words}", contribution, error))
    return Explanation(
        explained=explained[:200],
        unit=unit[:40] if isinstance(unit, str) else "",
        baseline=_number(body.get("baseline")),
        answer=_number(body.get("answer")),
        parts=tuple(sorted(parts, key=lambda part: -abs(part.contribution))),
        complete=body.get("complete") is not False,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> float:
    if not _is_number(value) or not math.isfinite(value):
        raise ValueError("expected numbers for the baseline, the answer and each contribution")
    return float(value)
