"""CSV to rows: whatever the pieces it comes in, and every mistake by line and column."""

from math import inf
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.service.jobs import csv_rows
from apps.service.jobs.csv_rows import CsvRows
from apps.service.problems import Problem
from apps.service.rows import Column


def numbers(**ranges: tuple[float, float]) -> SimpleNamespace:
    """A model of such features."""
    low, high = zip(*ranges.values(), strict=True)
    columns = [Column(name, None, None, False, "a number") for name in ranges]
    return SimpleNamespace(features=list(ranges), minimum=low, maximum=high, columns=columns, is_plain=True)


MODEL = numbers(**{"a": (0.0, 10.0), "b c": (-inf, inf)})
ONE = numbers(a=(0.0, 10.0))
GOOD = {
    "plain": b"a,b c\n1,2\n3,4\n",
    "no line end": b"a,b c\n1,2\n3,4",
    "carriage returns": b"a,b c\r\n1,2\r\n3,4\r\n",
    "byte order mark": b"\xef\xbb\xbfa,b c\n1,2\n3,4\n",
    "quoted": b'"a","b c"\n"1","2"\n"3","4"\n',
    "quoted in part": b'a,"b c"\n1,"2"\n"3",4\n',
    "another order": b"b c,a\n2,1\n4,3\n",
    "spaces": b" a , b c\n 1, 2\n3 ,4 \n",
    "empty lines at the end": b"a,b c\n1,2\n3,4\n\n  \n\r\n",
    "other ways to write a number": b"a,b c\n+1.0e0,.2E1\n3.,40e-1\n",
}
WRONG = {  # bytes, and for each mistake its line, its column and its words
    "empty": (b"", []),
    "only a mark": (b"\xef\xbb\xbf", []),
    "empty lines": (b"\n\n", [(1, "a", "expected a column of"), (1, "b c", "expected a column of")]),
    "no header": (b"1,2\n3,4\n", [(1, None, "column 1 is none of the features: a, b c")]),
    "another name": (b"a,secret\n1,2\n", [(1, None, "column 2 is none"), (1, "b c", "expected a column")]),
    "a name twice": (b"a,b c,a\n1,2,3\n", [(1, "a", "column 3 has the name of a column before it")]),
    "one more": (b"a,b c,d\n1,2,3\n", [(1, None, "column 3 is none of the features")]),
    "text": (b"a,b c\n1,secret\n", [(2, "b c", "expected a number, such as")]),
    "nothing": (b"a,b c\n1,\n", [(2, "b c", "expected a number, got nothing")]),
    "a comma for the point": (b'a,b c\n"1,5",2\n', [(2, "a", "with a point")]),
    "not a number": (b"a,b c\n1,nan\n", [(2, "b c", "expected a number, such as")]),
    "infinite": (b"a,b c\n1,inf\n1,1e999\n", [(2, "b c", "such as"), (3, "b c", "from -inf to inf")]),
    "out of range": (b"a,b c\n1,2\n11,2\n", [(3, "a", "expected a number from 0 to 10")]),
    "too few": (b"a,b c\n1,2\n1\n", [(3, None, "expected 2 numbers in a row, got 1")]),
    "too many": (b"a,b c\n1,2,3\n", [(2, None, "expected 2 numbers in a row, got 3")]),
    "few and many": (b"a,b c\n1\n1,2,3\n", [(2, None, "got 1"), (3, None, "got 3")]),
    "an empty line within": (b"a,b c\n1,2\n\n3,4\n", [(3, None, "expected a row, got an empty line")]),
    "a quote left open": (b'a,b c\n1,"2\n3,4\n', [(2, None, "quotes closed")]),
    "a quote within": (b'a,b c\n1,"2"3\n', [(2, None, "quotes closed")]),
    "another encoding": (b"a,b c\n1,\xff\n", [(2, None, "UTF-8")]),
    "UTF-16": ("a,b c\n1,2\n".encode("utf-16"), [(1, None, "UTF-8")]),
    "a zero byte": (b"a,b c\n1,\x002\n", [(2, None, "UTF-8")]),
    "digits of another script": ("a,b c\n1,\u0662\n".encode(), [(2, "b c", "such as")]),
    "underscores": (b"a,b c\n1_0,2\n", [(2, "a", "such as")]),
    "hexadecimal": (b"a,b c\n0x1,2\n", [(2, "a", "such as")]),
    "semicolons": (b"a;b c\n1;2\n", [(1, None, "column 1 is none"), (1, "a", "expected a column")]),
    "carriage returns alone": (b"a,b c\r1,2\r", [(1, None, "expected the names")]),
    "a carriage return within": (b"a,b c\n1\r,2\n3,4\n", [(2, None, "quotes closed")]),
    "two carriage returns": (b"a,b c\r\n1,2\r\r\n3,4\r\n", [(2, None, "quotes closed")]),
    "a comment": (b"a,b c\n# secret\n1,2\n", [(2, None, "got 1")]),
    "two mistakes": (b"a,b c\nx,y\n1,2\n", [(2, "a", "such as"), (2, "b c", "such as")]),
}  # fmt: skip


def read(data: bytes, model=MODEL, step: int = 1 << 20) -> list[list[float]]:
    reader, found = CsvRows(model), []
    for start in range(0, len(data), step):
        found += [row for rows in reader.add(data[start : start + step]) for row in rows.tolist()]
    return found + [row for rows in reader.end() for row in rows.tolist()]


@pytest.fixture(params=["large blocks", "small blocks"])
def blocks(request, monkeypatch) -> None:
    if request.param == "small blocks":
        monkeypatch.setattr(csv_rows, "BLOCK_BYTES", 8)


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
@pytest.mark.parametrize("name", GOOD)
def test_it_is_read_in_pieces_of_any_size(name, step, blocks):
    assert read(GOOD[name], step=step) == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_has_its_line_and_column_and_repeats_nothing(name, step, blocks):
    data, mistakes = WRONG[name]
    with pytest.raises(Problem) as raised:
        read(data, step=step)
    problem = raised.value
    assert problem.kind.slug == "invalid-input"
    told = problem.members.get("errors", [])
    for (line, column, words), one in zip(mistakes, told, strict=False):
        assert (one["line"], one.get("column")) == (line, column)
        assert words in one["message"]
    assert len(told) >= len(mistakes)
    assert "secret" not in str(told) + problem.detail


CELLS = st.sampled_from(
    ["1", "2.5", '"3"', "1e0", "", " 1", "1\r", '"1', "x", "1,1", "-0", "nan", '"1""2"', "\xe9"]
)
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=3).map(",".join), max_size=6)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.integers(1, 9))
def test_what_is_taken_and_what_is_told_depend_on_no_piece_and_no_block(lines, end, step):
    data = end.join(["a,b c", *lines, ""]).encode()
    whole = outcome(data, 1 << 20)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_rows, "BLOCK_BYTES", 8)
        assert outcome(data, step) == whole
        patched.setattr(CsvRows, "_fast", lambda *_: None)
        assert outcome(data, step) == whole


def outcome(data: bytes, step: int) -> list | str:
    try:
        return read(data, step=step)
    except Problem as problem:
        return f"{problem.detail} {problem.members}"


def test_one_column_has_no_blank_rows():
    assert read(b"a\n1\n2\n\n", ONE) == [[1.0], [2.0]]
    with pytest.raises(Problem, match="line 3: expected a row, got an empty line"):
        read(b"a\n1\n\n2\n", ONE)


def test_a_line_without_end_is_given_up():
    reader = CsvRows(MODEL)
    with pytest.raises(Problem, match="expected at most 65536 bytes in a line"):
        for _ in range(100):
            assert [*reader.add(b"1" * 10_000)] == []


def test_twenty_mistakes_are_told_all_are_counted_and_a_thousand_are_enough():
    rows = b"1,2\n" * 500
    with pytest.raises(Problem) as raised:
        read(b"a,b c\n" + rows + b"1,x\n" * 30 + rows)
    assert len(raised.value.members["errors"]) == csv_rows.TOLD
    assert raised.value.detail.startswith("expected CSV of the model's features, got 30 mistakes; the first")
    assert raised.value.members["errors"][0]["line"] == 502
    reader = CsvRows(MODEL)
    with pytest.raises(Problem, match="1000 mistakes or more"):
        [*reader.add(b"a,b c\n")]
        for _ in range(10**6):
            [*reader.add(b"x,2\n" * 10_000)]


def test_many_rows_are_the_same_rows():
    rows = np.random.default_rng(0).uniform([0, -1e300], [10, 1e300], (50_000, 2))
    text = "a,b c\n" + "\n".join(f"{a!r},{b!r}" for a, b in rows.tolist())
    assert read(text.encode(), step=65536) == rows.tolist()
