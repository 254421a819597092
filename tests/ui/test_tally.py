"""The answers of a job, counted while they come."""

import pytest

from ui import charts
from ui.servers import servers
from ui.tally import FIRST, count

CLASSES = "row,prediction,label,probability_a\n" + "".join(
    f'{n},{n % 3},"{"one, two" if n % 3 else "zero"}",0.5\n' for n in range(3000)
)
NUMBERS = "row,prediction\n" + "".join(f"{n},{n / 2}\n" for n in range(3000))


def pieces(text: str, size: int):
    content = text.encode()
    return (content[start : start + size] for start in range(0, len(content), size))


@pytest.mark.parametrize("size", [7, 1000, 10**6])
def test_however_the_answers_are_cut_they_are_counted_once(size):
    *_, found = count(pieces(CLASSES, size), named=False)
    assert (found.rows, found.whole, len(found.first)) == (3000, True, FIRST)
    assert found.classes == {"zero": 1000, "one, two": 2000} and not found.numbers
    assert found.first[1] == ["1", "1", "one, two", "0.5"]
    *_, found = count(pieces(NUMBERS.rstrip("\n"), size), named=False)
    assert found.rows == 3000 and found.numbers == [n / 2 for n in range(3000)] and not found.classes


def test_a_beginning_is_no_more_than_asked_for():
    asked = []
    parts = (asked.append(part) or part for part in pieces(CLASSES, 1000))
    *_, found = count(parts, named=True, most=10_000)
    assert len(asked) == 11 and not found.whole
    assert 0 < found.rows == sum(found.classes.values()) < 600


@pytest.mark.parametrize(
    "text", ["<html>\n<p>\n", "row,prediction\n1\n", "row,prediction\n1,setosa\n", "row,prediction\n1,\xff\n"]
)
def test_what_is_no_answer_is_told_from_one(text):
    with pytest.raises(ValueError):
        list(count([text.encode("latin-1")], named=False))


def test_numbers_are_drawn_as_bars_from_nought_up():
    """Vega-Lite makes lines at their tops of two edges that it does not know to be a bin's."""
    chart = charts.spread([1.0, 2.0, 2.0, 5.0], servers()[0], "years").to_dict()
    encoding = chart["encoding"]
    assert encoding["x"]["bin"] == "binned" and encoding["x2"]["field"] == "to"
    assert encoding["x"]["title"] == "years"
    (rows,) = chart["datasets"].values()
    assert sum(row["rows"] for row in rows) == 4 and (rows[0]["from"], rows[-1]["to"]) == (1.0, 5.0)
