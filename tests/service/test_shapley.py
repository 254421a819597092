"""What an explanation promises of any model: it adds up, equals get alike and what does nothing gets nothing,
it ends in time, and it is the same for the same request."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from apps.service.batching import Outcome
from apps.service.explanations import (
    LEAST_BLOCKS,
    MOST_ROWS,
    WAITING,
    Explainer,
    Explanation,
    ExplanationMetrics,
)
from apps.service.model import Serving
from apps.service.problems import Problem
from apps.service.shapley import Background, Block, NoStatistics
from model_training.artifact import LoadedModel
from model_training.card import Card, Feature, GoldenRow, ModelFile, Target
from model_training.rows import Columns

NUMBER = [0, 1, 1, 2, 2, 2, 3, 3, 4, 4.5, 5, 5.5, 6, 6, 7, 7, 8, 8, 9, 9, 10]
CITIES = {"kind": "category", "categories": ["Basel", "Bern", "Chur"], "shares": [0.5, 0.2, 0.1]}
weights = st.lists(st.floats(-3, 3).map(lambda found: round(found, 2)), min_size=2, max_size=5)


def number(name: str) -> Feature:
    return Feature(name=name, quantiles=NUMBER)


def city(name: str) -> Feature:
    return Feature(name=name, may_be_missing=True, **CITIES)


class Fake(Serving):
    """A model that answers each row with `function`: a number, or with `classes` their shares, or the number
    of one of them."""

    def __init__(self, function, features: list[Feature], classes=None, seconds: float = 0) -> None:
        golden = GoldenRow(features=[0.0] * len(features), prediction=0)
        file = ModelFile(file="model.skops", sha256="", bytes=0)
        card = Card(
            name="fake",
            version="1",
            title="",
            origin="",
            task="classification" if classes else "regression",
            features=features,
            target=Target(name="price", unit="CHF"),
            classes=classes,
            presets=[],
            algorithm="",
            metrics={},
            golden=[golden],
            inputs={},
            trained_at="2026-11-28",
            files={"skops": file},
        )
        super().__init__(LoadedModel(card, "skops", None), Path("fake"))
        self._function, self._seconds, self.rows = function, seconds, []
        self.predict = self.ask

    def ask(self, rows: list[list]) -> Outcome:
        time.sleep(self._seconds)
        self.rows += rows
        answers = [self._function(row) for row in rows]
        if not self.classes or isinstance(answers[0], int):
            return Outcome(answers, None)
        return Outcome([int(np.argmax(row)) for row in answers], answers)


def explained(model: Fake, row: list):
    """An explanation without a thread, and with time enough."""
    counted = ExplanationMetrics(CollectorRegistry())
    [coded] = Columns(model.card.features).encode([row]).tolist()
    explanation = Explanation(coded, model, Background(model.card), 60, "an-id", counted)
    explanation.compute()
    return explanation.answer()


@pytest.fixture
def explainer():
    made = []

    def make(seconds: float = 60) -> Explainer:
        options, metrics = (
            SimpleNamespace(explain_seconds=seconds),
            SimpleNamespace(registry=CollectorRegistry()),
        )
        made.append(Explainer(options, structlog.get_logger(), metrics))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(explainer: Explainer, model: Fake, row: list):
    explanation = explainer.begin(row, model, "an-id")
    explanation.wait()
    return explanation.answer()


def adds_up(answer) -> None:
    total = answer.baseline + sum(one.contribution for one in answer.contributions)
    assert total == pytest.approx(answer.answer, rel=1e-9, abs=1e-9)


@given(weights, st.data())
@settings(max_examples=15)
def test_contributions_add_up_and_a_linear_model_s_are_known(weights, data):
    """coefficient * (value - mean), within four standard errors, or what evenly spread draws leave of one."""
    row = data.draw(st.lists(st.floats(-5, 15), min_size=len(weights), max_size=len(weights)))
    model = Fake(lambda found: float(np.dot(weights, found)), [number(f"x{i}") for i in range(len(weights))])
    answer = explained(model, row)
    adds_up(answer)
    mean = float(np.trapezoid(NUMBER, dx=1 / 20))
    for weight, value, one in zip(weights, row, answer.contributions, strict=True):
        assert one.value == value
        assert abs(one.contribution - weight * (value - mean)) <= 4 * one.standard_error + 0.01 * abs(weight)
    assert answer.explained == "price" and answer.unit == "CHF" and answer.complete


@given(st.floats(-5, 15), st.floats(0.1, 3))
@settings(max_examples=10)
def test_equals_share_alike_and_what_does_nothing_gets_nothing(value, power):
    model = Fake(
        lambda row: abs(row[0]) ** power + 0.1 * row[0] * row[2] + abs(row[2]) ** power,
        [number("one"), number("idle"), number("other")],
    )
    one, idle, other = explained(model, [value, 3.0, value]).contributions
    assert (idle.contribution, idle.standard_error) == (0, 0)
    near = 4 * (one.standard_error + other.standard_error) + 1e-9
    assert abs(one.contribution - other.contribution) <= near


def test_it_is_what_all_orders_and_all_training_values_give():
    """Against the definition, over a training distribution of a few values: every order, every row."""
    towns = Feature(name="town", kind="category", categories=["a", "b"], shares=[0.5, 0.5])
    homes = towns.model_copy(update={"name": "home"})
    model = Fake(lambda row: 6.0 * (row[0] == 0) * (row[1] == 0) + 2 * (row[1] == 0), [towns, homes])
    answer = explained(model, ["a", "a"])
    # v() = 6/4 + 1 = 2.5, v(first) = 3 + 1, v(second) = 3 + 2, v(both) = 8
    assert answer.baseline == pytest.approx(2.5, abs=4 * answer.baseline_standard_error)
    for one, exact in zip(
        answer.contributions, (((4 - 2.5) + (8 - 5)) / 2, ((5 - 2.5) + (8 - 4)) / 2), strict=True
    ):
        assert one.contribution == pytest.approx(exact, abs=4 * one.standard_error)
    adds_up(answer)


def test_categories_and_what_is_missing_are_drawn_as_the_card_tells():
    seen = Background(SimpleNamespace(features=[city("home"), number("age")]))
    rows = seen.rows(np.column_stack([np.linspace(0, 0.999, 1000)] * 2))
    homes = [home for home, _ in Columns([city("home"), number("age")]).decode(rows)]
    shares = {home: homes.count(home) / 1000 for home in set(homes)}
    assert shares == pytest.approx({"Basel": 0.5, "Bern": 0.2, "Chur": 0.1, None: 0.2}, abs=0.002)
    model = Fake(
        lambda row: (-1.0 if np.isnan(row[0]) else [3.0, 1.0, 1.0][int(row[0])]) + row[1],
        [city("home"), number("age")],
    )
    answer = explained(model, [None, 5.0])
    adds_up(answer)
    home = answer.contributions[0]
    assert home.contribution == pytest.approx(
        -1 - (0.5 * 3 + 0.3 * 1 - 0.2), abs=4 * home.standard_error + 0.01
    )
    assert "value" not in home.model_dump(exclude_none=True)


def test_whole_numbers_stay_whole():
    whole = Background(SimpleNamespace(features=[Feature(name="rooms", quantiles=[*range(21)])]))
    places = np.random.default_rng(1).random((500, 1))
    assert {float(value).is_integer() for value in whole.rows(places)[:, 0]} == {True}
    halves = Background(SimpleNamespace(features=[number("size")]))
    assert not all(float(value).is_integer() for value in halves.rows(places)[:, 0])


@pytest.mark.parametrize(
    ("kind", "said"), [("probabilities", "probability of b"), ("labels", "whether it is b")]
)
def test_of_a_classifier_the_predicted_class_is_explained(kind, said):
    def shares(row):
        return [0.2, 0.7, 0.1] if row[0] > 2 else [0.5, 0.1, 0.4]

    function = shares if kind == "probabilities" else lambda row: int(np.argmax(shares(row)))
    answer = explained(Fake(function, [number("x"), number("idle")], ["a", "b", "c"]), [5.0, 1.0])
    assert (answer.explained, answer.label, answer.prediction) == (said, "b", [1])
    assert answer.answer == (0.7 if kind == "probabilities" else 1.0)
    assert answer.contributions[0].contribution > 0 == answer.contributions[1].contribution
    adds_up(answer)


def test_the_same_request_has_the_same_answer_and_every_draw_is_of_the_training():
    model = Fake(lambda row: row[0] * row[1] + row[2], [number(name) for name in "abc"])
    first, again = (explained(model, [1.0, 99.0, 3.0]) for _ in range(2))
    assert first.contributions == again.contributions and first.baseline == again.baseline
    assert {value for row in model.rows for value in row if not 0 <= value <= 10} == {99.0}
    other = explained(model, [1.0, 98.0, 3.0])
    assert other.baseline == first.baseline


def test_a_model_that_never_settles_is_asked_for_a_bounded_number_of_rows():
    random = np.random.default_rng(5)
    model = Fake(lambda row: float(random.normal()), [number("a"), number("b")])
    answer = explained(model, [1.0, 2.0])
    block = Block([1.0, 2.0], Background(model.card), np.random.default_rng(0))
    assert answer.complete and MOST_ROWS <= len(model.rows) <= MOST_ROWS + block.count + 1
    assert answer.samples * 3 + 1 == len(model.rows)


def test_out_of_time_it_tells_what_it_has_or_that_it_has_nothing(explainer):
    features = [number(name) for name in "abcd"]
    random = np.random.default_rng(5)
    slow = Fake(lambda row: float(random.normal()), features, seconds=0.01)
    answer = ask(explainer(1), slow, [8.0, 9.0, 10.0, 1.0])
    assert not answer.complete and answer.contributions[0].standard_error > 0
    adds_up(answer)
    with pytest.raises(Problem) as caught:
        ask(explainer(0.5), Fake(sum, features, seconds=0.3), [1.0] * 4)
    assert caught.value.kind.slug == "explanation-timeout" and "0.5 seconds" in caught.value.detail


def test_too_many_are_refused_and_whoever_gave_up_costs_nothing(explainer):
    model, one = Fake(sum, [number("a")], seconds=0.05), explainer(0.5)
    with ThreadPoolExecutor() as pool:
        begun = [one.begin([1.0], model, f"id-{count}") for count in range(WAITING)]
        with pytest.raises(Problem) as caught:
            for count in range(WAITING):  # the first may have left the queue by now
                begun.append(one.begin([1.0], model, f"more-{count}"))
        list(pool.map(lambda explanation: explanation.wait(), begun))
    assert caught.value.kind.slug == "explanation-busy"
    assert ("Retry-After", "1") in caught.value.headers
    asked = len(model.rows)
    later = one.begin([2.0], Fake(sum, [number("a")]), "later")
    later.wait()
    assert later.answer().complete
    assert len(model.rows) - asked <= 64 + 1  # the call that was running


def test_what_cannot_be_explained_says_why(explainer):
    blind = [Feature(name="size"), number("age"), Feature(name="home", kind="category", categories=["a"])]
    with pytest.raises(NoStatistics, match="^size, home$"):
        Background(SimpleNamespace(features=blind))
    with pytest.raises(Problem) as caught:
        ask(explainer(), Fake(sum, blind[:2]), [1.0, 2.0])
    assert caught.value.kind.slug == "explanation-unavailable"
    assert "size: adopt it with --data" in caught.value.detail
    with pytest.raises(Problem) as caught:
        several = Fake(sum, [number("a")])
        several.targets = [Target(name="one"), Target(name="other")]
        ask(explainer(), several, [1.0])
    assert caught.value.kind.slug == "explanation-unavailable"


def test_a_model_that_fails_is_told_of_without_its_words(explainer, capsys):
    def fail(row):
        raise ValueError(f"these are secret: {row}")

    with pytest.raises(Problem) as caught:
        ask(explainer(), Fake(fail, [number("a")]), [42.5678912])
    said = capsys.readouterr()
    assert caught.value.kind.slug == "prediction-failed"
    assert "an-id" in said.out + said.err and "ValueError" in said.out + said.err
    assert "42.5678912" not in said.out + said.err + caught.value.detail


@pytest.mark.parametrize("features", [1, 2, 200])
def test_with_one_feature_and_with_many(features):
    model = Fake(lambda row: float(sum(row)), [number(f"x{i}") for i in range(features)])
    answer = explained(model, [7.0] * features)
    adds_up(answer)
    assert len(answer.contributions) == features and len(model.rows) >= LEAST_BLOCKS
