"""JSON laid out for reading says what was sent, and nothing else."""

import json

import pytest

from ui.indented import difference, indented


@pytest.mark.parametrize(
    ("text", "laid_out"),
    [
        ('{"features":[5.1,3.50,1e999,NaN]}', '{"features": [5.1, 3.50, 1e999, NaN]}'),
        ("[]", "[]"),
        ('{"a":{},"b":[[],{}]}', '{"a": {}, "b": [[], {}]}'),
        ('{"a":1,"a":2}', '{"a": 1, "a": 2}'),
        ('"\\u00e9 \\n"', '"é \\n"'),
        ('"\\ud800 é"', '"\\ud800 \\u00e9"'),
        ("-0", "-0"),
        ("true", "true"),
    ],
)
def test_numbers_names_and_doubled_names_stay_as_they_were_written(text, laid_out):
    assert indented(text) == laid_out


def test_what_does_not_fit_on_a_line_gets_a_line_for_each_value():
    body = {"prediction": [0], "probabilities": {"setosa": 0.9821966886520386, "virginica": 2.17e-07}}
    assert (
        indented(json.dumps(body))
        == """{
  "prediction": [0],
  "probabilities": {
    "setosa": 0.9821966886520386,
    "virginica": 2.17e-07
  }
}"""
    )


def test_many_numbers_fill_their_lines():
    laid_out = indented(json.dumps({"features": list(range(60))}))
    assert max(map(len, laid_out.splitlines())) <= 38 and len(laid_out.splitlines()) < 14
    assert json.loads(laid_out) == {"features": list(range(60))}


@pytest.mark.parametrize("text", ["", "{", "<h1>", '{"a": 1} x', "[" * 100_000])
def test_what_is_not_json_is_left_alone(text):
    assert indented(text) is None


def test_the_difference_has_every_line_once():
    one, other = indented('{"a": 1, "status": 400}', 5), indented('{"a": 1, "status": 422}', 5)
    assert difference(one, other) == ["  {", '    "a": 1,', '-   "status": 400', '+   "status": 422', "  }"]
    assert all(line.startswith("  ") for line in difference(one, one))
