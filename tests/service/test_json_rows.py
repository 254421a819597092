"""JSON to rows: what is too long to be read at once is taken and refused as if it were not."""

import json
from math import inf
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.service.jobs import json_rows
from apps.service.jobs.json_rows import JsonRows
from apps.service.problems import Problem
from apps.service.rows import Column

COLUMNS = [Column(name, None, None, False, "a number") for name in ("a", "b")]
MODEL = SimpleNamespace(
    features=["a", "b"], minimum=(0.0, -inf), maximum=(10.0, inf), columns=COLUMNS, is_plain=True
)
HEAD = b'{"instances":['
CELLS = st.sampled_from([0, 1, 2.5, 10.0, 1e-9])
ROWS = st.lists(
    st.one_of(st.tuples(CELLS, CELLS), st.fixed_dictionaries({"b": CELLS, "a": CELLS})), min_size=1
)
WRONG = ["[", "]", "{", "}", ",", '"', "\\", "1", "x", "null", "11,", "1e999", "]]", "\0", "[1,1],"]


def outcome(data: bytes, small: int, step: int) -> list | None:
    """The rows; None where they are refused."""
    reader, found = JsonRows(MODEL, small, 20), []
    try:
        for start in range(0, len(data), step):
            found += [row for rows in reader.add(data[start : start + step]) for row in rows.tolist()]
        return found + [row for rows in reader.end() for row in rows.tolist()]
    except Problem:
        return None


def alike(data: bytes, step: int) -> list | None:
    whole = outcome(data, 1 << 20, len(data))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_rows, "BLOCK_BYTES", 10)
        assert outcome(data, len(HEAD), step + len(HEAD)) == whole
    assert outcome(data, len(HEAD), len(data)) == whole
    return whole


@given(ROWS, st.sampled_from([None, 0]), st.integers(1, 30))
def test_rows_by_place_and_by_name_in_pieces_of_any_size(rows, indent, step):
    text = json.dumps(rows, indent=indent, separators=(",", ":"))
    found = alike(HEAD + text[1:].encode() + b"}", step)
    assert found == [[row["a"], row["b"]] if isinstance(row, dict) else [*row] for row in rows]


@pytest.mark.parametrize(
    "rows", [b"", b" ", b",", b",[1,2]", b',{"a":1,"b":2}', b'{"a":1,"b":2},', b'{"a":1,"b":2},,[1,2]']
)
@pytest.mark.parametrize("step", [1, 5, 100])
def test_a_comma_too_many_is_refused(rows, step):
    assert alike(HEAD + rows + b"]}", step) is None


@given(ROWS, st.sampled_from(WRONG), st.integers(0), st.integers(0, 1), st.integers(1, 30))
def test_what_is_damaged_is_taken_or_refused_alike(rows, wrong, place, without, step):
    text = json.dumps(rows, separators=(",", ":"))[1:]
    place %= len(text)
    alike(HEAD + f"{text[:place]}{wrong}{text[place + without :]}}}".encode(), step)
