"""The model card as the page needs it. A server may send a bare one: only the features are certain."""

import math
import random
from dataclasses import dataclass
from typing import Any

Value = float | str | None  # of a feature: a number, a category, or missing


@dataclass(frozen=True)
class Feature:
    """One input. `minimum` and `maximum` are what the servers accept, `low` and `high` what was seen in
    training; None where the card does not say. `decimals`: how finely it was measured. One with `categories`
    is one of them and no number; `shares` of the training rows had each, where the card says so."""

    name: str
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    low: float | None = None
    high: float | None = None
    start: Value = 0.0
    decimals: int = 2
    categories: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    may_be_missing: bool = False

    @property
    def observed(self) -> tuple[float, float] | None:
        """The least and the greatest that was seen in training."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def spread(self) -> tuple[float, float] | None:
        """Where its values lie: those seen in training, or else those that the servers accept."""
        if self.observed:
            return self.observed
        if self.minimum is not None and self.maximum is not None:
            return self.minimum, self.maximum
        return None

    @property
    def step(self) -> float:
        return 10.0**-self.decimals

    def clamp(self, value: float) -> float:
        """The nearest value that the servers accept."""
        if self.minimum is not None:
            value = max(value, self.minimum)
        return value if self.maximum is None else min(value, self.maximum)

    def accepted(self, value: Value) -> Value:
        """The value, or what is nearest to it that the servers accept."""
        if value is None and self.may_be_missing:
            return None
        if self.categories:
            return value if value in self.categories else self.start
        return self.clamp(float(value)) if isinstance(value, int | float) else self.start

    def any_value(self) -> Value:
        """A random value, as fine as those measured, from where they lie; from 0 to 1 if nobody knows. Of
        categories, one as often as in the training."""
        if self.categories:
            return random.choices(self.categories, self.shares or None)[0]
        low, high = self.spread or (0.0, 1.0)
        return self.clamp(round(random.uniform(low, high), self.decimals))


@dataclass(frozen=True)
class Preset:
    label: str
    features: tuple[Value, ...]


@dataclass(frozen=True)
class Target:
    """One of several things that a model predicts, with its own `classes` and `labels` as a card has them."""

    name: str
    unit: str = ""
    classes: tuple[str, ...] = ()
    labels: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Card:
    """A model, as its server describes it. `labels` are what the model itself answers for each of its
    `classes`; without them and if `indexed`, it answers the index of the class."""

    features: tuple[Feature, ...]
    name: str = "model"
    version: str = ""
    title: str = ""
    origin: str = ""
    algorithm: str = ""
    target: str = ""
    target_unit: str = ""
    classes: tuple[str, ...] = ()
    labels: tuple[Any, ...] = ()
    indexed: bool = False
    targets: tuple[Target, ...] = ()  # where it predicts several things
    finds_outliers: bool = False
    presets: tuple[Preset, ...] = ()

    @property
    def key(self) -> str:
        """Tells one model's inputs from another's in the session."""
        return f"{self.name}-{self.version}-{len(self.features)}"

    @property
    def medians(self) -> list[Value]:
        """Of categories, the most frequent."""
        return [feature.start for feature in self.features]

    @property
    def ranged(self) -> bool:
        """Whether it says of every feature where its values lie: only then is a random row an example."""
        return all(feature.categories or feature.spread is not None for feature in self.features)

    @property
    def takes_categories(self) -> bool:
        return any(feature.categories for feature in self.features)

    @property
    def takes_gaps(self) -> bool:
        """Whether a value may be missing."""
        return any(feature.may_be_missing for feature in self.features)

    def random_row(self) -> list[Value]:
        return [feature.any_value() for feature in self.features]


def read_card(body: Any) -> Card:
    """The card in the JSON of GET /model; ValueError, saying what is missing, where there is none.

    Only `features` must be there. Whatever else is absent, or not of the expected kind, is left out.
    """
    entries = body.get("features") if isinstance(body, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ValueError("it names no features")
    presets = _presets(body.get("presets"), entries)
    columns = list(zip(*(preset.features for preset in presets), strict=True)) or [()] * len(entries)
    target = body.get("target") if isinstance(body.get("target"), dict) else {}
    classes = body.get("classes") if isinstance(body.get("classes"), list) else []
    labels = body.get("labels") if isinstance(body.get("labels"), list) else []
    return Card(
        features=tuple(
            _feature(entry, number, column)
            for number, (entry, column) in enumerate(zip(entries, columns, strict=True), 1)
        ),
        name=_text(body.get("name")) or "model",
        version=_text(body.get("version")),
        title=_text(body.get("title")),
        origin=_text(body.get("origin")),
        algorithm=_text(body.get("algorithm")),
        target=_text(target.get("name")),
        target_unit=_text(target.get("unit")),
        classes=tuple(map(str, classes)),
        labels=tuple(labels) if len(labels) == len(classes) else (),
        indexed="card_format" in body,
        targets=_targets(body.get("targets")),
        finds_outliers=body.get("task") == "outlier detection",
        presets=presets,
    )


def _targets(entries: Any) -> tuple[Target, ...]:
    found = []
    for entry in entries if isinstance(entries, list) else ():
        fields = entry if isinstance(entry, dict) else {}
        classes = fields.get("classes") if isinstance(fields.get("classes"), list) else []
        labels = fields.get("labels") if isinstance(fields.get("labels"), list) else []
        labels = labels if len(labels) == len(classes) else []
        name = _text(fields.get("name")) or f"target {len(found) + 1}"
        found.append(Target(name, _text(fields.get("unit")), tuple(map(str, classes)), tuple(labels)))
    return tuple(found)


def _categories(fields: dict) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """What a feature may be, and how often it was each of them."""
    found, shares = fields.get("categories"), fields.get("shares")
    if fields.get("kind") != "category" or not isinstance(found, list) or not found:
        return (), ()
    shares = [_number(share) for share in shares] if isinstance(shares, list) else []
    known = len(shares) == len(found) and None not in shares and min(shares) >= 0 < sum(shares)
    return tuple(map(str, found)), tuple(shares) if known else ()


def _feature(entry: Any, number: int, examples: tuple[Value, ...]) -> Feature:
    fields = entry if isinstance(entry, dict) else {"name": entry}
    name = _text(fields.get("name")) or f"feature {number}"
    categories, shares = _categories(fields)
    may_be_missing = fields.get("may_be_missing") is True
    if categories:
        most = categories[shares.index(max(shares))] if shares else categories[0]
        return Feature(name, start=most, categories=categories, shares=shares, may_be_missing=may_be_missing)
    minimum, maximum = _number(fields.get("minimum")), _number(fields.get("maximum"))
    if minimum is not None and maximum is not None and minimum >= maximum:
        minimum = maximum = None
    observed = fields.get("observed")
    low, high = map(_number, observed) if isinstance(observed, list) and len(observed) == 2 else (None, None)
    if low is None or high is None or low > high:
        low = high = None
    median = _number(fields.get("median"))
    known = [value for value in (low, high, median, *examples) if value is not None]
    start = median if median is not None else (low + high) / 2 if low is not None else 0.0
    feature = Feature(
        name=name,
        unit=_text(fields.get("unit")) or None,
        minimum=minimum,
        maximum=maximum,
        low=low,
        high=high,
        decimals=max((_decimals(value) for value in known if isinstance(value, float)), default=2),
        may_be_missing=may_be_missing,
    )
    return Feature(**{**vars(feature), "start": feature.clamp(start)})


def _presets(entries: Any, features: list) -> tuple[Preset, ...]:
    presets = []
    for number, entry in enumerate(entries if isinstance(entries, list) else (), 1):
        row = entry.get("features") if isinstance(entry, dict) else None
        if not isinstance(row, list) or len(row) != len(features):
            continue
        values = [_value(value, feature) for value, feature in zip(row, features, strict=True)]
        if ... not in values:
            presets.append(Preset(_text(entry.get("label")) or f"example {number}", tuple(values)))
    return tuple(presets)


def _value(value: Any, feature: Any) -> Any:
    """A value that the feature may have; `...` where it is none."""
    fields = feature if isinstance(feature, dict) else {}
    if value is None:
        return None if fields.get("may_be_missing") is True else ...
    if categories := _categories(fields)[0]:
        return value if value in categories else ...
    found = _number(value)
    return ... if found is None else found


def _number(value: Any) -> float | None:
    """A finite number that a browser can hold, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 and math.isfinite(value) else None


def _text(value: Any) -> str:
    return value.strip()[:200] if isinstance(value, str) else ""


def _decimals(value: float) -> int:
    """How many decimals it takes to write the value, at most six."""
    return next((digits for digits in range(6) if round(value, digits) == value), 6)
