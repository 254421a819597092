"""Rows from text as spreadsheets and people write it; what cannot be read is said, and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ui.card import read_card
from ui.rows import (
    MOST,
    SAMPLE,
    RowError,
    decode,
    is_plain,
    line_in_file,
    plain_lines,
    read_rows,
    read_sample,
    write_rows,
)

CARD = read_card({"features": [{"name": "width", "unit": "cm"}, "mean_area"]})


@pytest.mark.parametrize(
    "text",
    [
        "1.5,2\n3,4",
        "width,mean_area\n1.5,2\n3,4\n",
        "mean_area,width\r\n2,1.5\r\n4,3\r\n",
        "Width (cm); Mean Area; note\n1,5; 2; a\n3; 4; b",
        'width\tmean area\n"1.5"\t2\n\n3\t4',
        "\n\n1.5, 2\n 3, 4\n,\n",
        "\ufeffwidth,mean_area\n1.5,2\n3,4",
    ],
)
def test_the_same_rows_in_every_dialect(text):
    table = read_rows(decode(text.encode("utf-8")), CARD)
    assert [row.features for row in table.rows] == [(1.5, 2), (3, 4)]
    assert table.unused == (("note",) if "note" in text else ())


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("1,2\n1,two\n", 2, "mean_area is not a number"),
        ("1,2\n\n,3\n", 3, "width is missing"),
        ("1,2\n1\n", 2, "expected 2 columns, got 1"),
        ("1,2\n1,2,3\n", 2, "expected 2 columns, got 3"),
        ("1,2\nnan,3\n", 2, "width is not a number"),
        ("1,2\n1e999,3\n", 2, "width is not a number"),
        ("1,2\n1_0,3\n", 2, "width is not a number"),
        ("1;2\n1.000,5;2\n", 2, "width is not a number"),
        ("width,x,mean_area\n1,2,3\n1,,4\n1,2\n", 4, "expected 3 columns, got 2"),
    ],
)
def test_a_line_with_a_fault_is_named_and_the_others_are_kept(text, line, fault):
    table = read_rows(text, CARD)
    assert [(row.line, row.fault) for row in table.rows if row.features is None] == [(line, fault)]
    assert len([row for row in table.rows if row.features]) == len(table.rows) - 1 >= 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There are no rows"),
        (" \n \n", "There are no rows"),
        ("width,mean_area\n", "There are no rows"),
        ("height,mean_area\n1,2\n", "Missing there: width."),
        ("one,2\n1,2\n", "The first line is not a row of numbers"),
        ("width,Width (cm),mean_area\n1,2,3\n", "Two columns are named width."),
        ('1,"2\n1,2\n', "a quotation mark has no partner"),
        ("1,2\n" * (MOST + 1), "There are 10,001 rows, and this page takes 10,000."),
        ("1,2\n" * 1_250_001, "The text has 5,000,004 characters"),
    ],
)
def test_text_that_is_no_table_is_told_what_to_put_right(text, said):
    with pytest.raises(ValueError, match="^[A-Z]") as error:
        read_rows(text, CARD)
    assert said in str(error.value) and str(error.value).endswith(".")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe1\x00,\x002\x00", "1,2".encode("utf-16-le"), b"PK\x03\x04\x00", b"\xe9"]
)
def test_a_file_that_is_not_utf_8(content):
    with pytest.raises(ValueError, match="not text in UTF-8. Save it as CSV UTF-8"):
        decode(content)


@given(some.text())
def test_any_text_is_rows_or_a_sentence(text):
    try:
        assert read_rows(text, CARD).rows
    except ValueError as error:
        assert str(error)


def test_what_is_written_is_read_again():
    rows = [(0.1, 2.0), (1e-7, 123456789.0)]
    assert [row.features for row in read_rows(write_rows(CARD, rows), CARD).rows] == rows


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("width,mean_area\n1.5,2\n3,4\n", True),
        ("\ufeffmean_area,width\r\n2,1.5\r\n4,3\r\n", True),
        ("1.5,2\n3,4", False),
        ("\nwidth,mean_area\n1.5,2\n3,4\n", False),
        ("Width (cm); Mean Area; note\n1,5; 2; a\n3; 4; b", False),
        ('mean_area\tnote\twidth\n2\t\t"1.5"\n4\tb\t3\n\n', False),
    ],
)
def test_a_file_of_any_dialect_is_written_as_a_server_reads_it(text, plain):
    sample = read_sample(text.encode(), CARD)
    assert (sample.rows, sample.whole, sample.faults) == (2, True, [])
    assert is_plain(sample.dialect, CARD) == plain
    written = b"".join(plain_lines(text.encode(), sample.dialect, CARD)).decode()
    assert written.rstrip("\n").split("\n") == ["width,mean_area", "1.5,2", "3,4"]


@pytest.mark.parametrize(
    "text",
    ["1,2\n1,2\n\n1,x\n", "\n\nwidth;note;mean_area\n1;a;2\n\n1;b;x\n", "1\t2\n3\t4\n5\tx\n"],
)
def test_a_line_that_a_server_names_is_found_in_the_file(text):
    dialect = read_sample(text.encode(), CARD).dialect
    lines = b"".join(plain_lines(text.encode(), dialect, CARD)).decode().splitlines()
    named = next(number for number, line in enumerate(lines, 1) if "x" in line)
    assert "x" in text.split("\n")[line_in_file(named, dialect) - 1]


@pytest.mark.parametrize(
    ("end", "fault"),
    [
        ("1;2\n", "expected 3 columns, got 2"),
        ('1;"2;3\n', "a quotation mark has no partner"),
    ],
)
def test_a_line_that_cannot_be_written_ends_the_file_and_is_named(end, fault):
    text = "width;note;mean_area\n" + "1;a;2\n" * 40_000 + end
    sample = read_sample(text.encode(), CARD)
    assert not sample.whole and not sample.faults
    with pytest.raises(RowError) as error:
        list(plain_lines(text.encode(), sample.dialect, CARD))
    assert error.value.line == 40_002 and fault in error.value.fault


def test_of_a_large_file_only_its_beginning_is_looked_at():
    text = b"width,mean_area\n" + b"1.25,2.5\n" * 1_000_000 + b"five,5\n"
    sample = read_sample(text, CARD)
    assert len(sample.table.rows) < 1000 and not sample.whole and not sample.faults
    assert sample.rows == pytest.approx(1_000_000, rel=0.02)
    assert read_sample(b"width,mean_area\n1,2\nfive,5\n", CARD).faults == [(3, "width is not a number")]
    with pytest.raises(ValueError, match="a line is too long"):
        read_sample(b"1" * (SAMPLE + 1), CARD)
