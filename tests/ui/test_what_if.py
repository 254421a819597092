"""One feature over its range: which values are asked for, and what is said of the answers."""

from dataclasses import replace

import pytest

from ui import client, inputs, what_if
from ui.card import Feature, read_card
from ui.client import Failure

ROW = [5.1, 3.5, 1.4, 0.2]


def test_the_range_goes_beyond_the_training_and_not_beyond_what_is_accepted():
    feature = Feature("x", minimum=0, maximum=12, low=4, high=8, decimals=1)
    values = what_if.grid(feature, 5.55)
    assert (values[0], values[-1]) == (2, 10) and 5.55 in values and len(values) <= what_if.POINTS + 1
    assert values == sorted(set(values))
    assert what_if.reach(replace(feature, minimum=3, maximum=9), 5) == (3, 9)
    assert what_if.reach(feature, 11) == (2, 11) and what_if.reach(feature, 99) == (2, 12)


def test_without_a_range_it_is_around_the_value():
    assert what_if.reach(Feature("x"), 4) == (0, 8)
    assert what_if.reach(Feature("x"), 0) == (-1, 1)
    assert what_if.reach(Feature("x", low=7, high=7), 7) == (3.5, 10.5)


def test_one_request_says_where_the_answer_changes(pair):
    card = client.model_card(pair[0])
    for server in pair:
        sweep = what_if.sweep(server, card, ROW, 2)
        assert [label for label, _, _ in sweep.spells] == ["setosa", "versicolor", "virginica"]
        (_, first, until), *_ = sweep.spells
        assert first == sweep.values[0] and 3 < until < 8
        assert sweep.numbers is None and len(sweep.predictions) == len(sweep.values)
        assert set(sweep.classes) <= {"setosa", "versicolor", "virginica"}
    assert sweep.predictions[sweep.values.index(1.4)].label == "setosa"


def test_all_rows_go_in_one_request(full_pair, monkeypatch):
    card, calls = client.model_card(full_pair[0]), []
    send = client.send
    monkeypatch.setattr(client, "send", lambda *args, **more: calls.append(args[:3]) or send(*args, **more))
    what_if.sweep(full_pair[0], card, ROW, 0)
    # The page's threads that look at the counts, which other tests began, ask other addresses meanwhile.
    to_the_server = [path for server, _, path in calls if server == full_pair[0]]
    assert to_the_server == ["/predict/batch"]


def test_what_the_server_refuses_is_its_own_words(full_pair):
    card = client.model_card(full_pair[0])
    failure = what_if.sweep(full_pair[0], card, [99.0, 3.5, 1.4, 0.2], 2)
    assert isinstance(failure, Failure) and failure.problem.slug == "out-of-range"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([5.0, 1.0], ""),
        ([4.0, 2.0], ""),
        ([9.0, 1.0], "**Outside its training: a 9 (4 to 8).**"),
        ([3.9, 7.0], "**Outside its training: a 3.9 (4 to 8), b 7 (0 to 2).**"),
    ],
)
def test_a_value_outside_of_the_training_is_a_caution(row, words):
    features = [{"name": "a", "observed": [4, 8]}, {"name": "b", "observed": [0, 2]}, {"name": "c"}]
    card = read_card({"features": features})
    said = inputs.caution(card, [*row, 1e9])
    assert said.startswith(words) and bool(said) == bool(words)
