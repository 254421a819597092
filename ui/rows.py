"""Many rows of features from text: CSV as spreadsheets write it, one row a line."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ui.card import Card, Feature, Value
from ui.prediction import shown

MOST = 10_000  # rows; a program that has more calls the API itself
LARGEST = 5_000_000  # characters; a file that becomes a job may have maxUploadSize in .streamlit/config.toml
SAMPLE, SAMPLE_LINES = 256 * 1024, 1_000  # bytes and lines of a file that are looked at before it is sent
PIECE = 256 * 1024  # bytes
MOST_CATEGORIES = 6  # named where a cell has none of them
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>")  # as the servers read CSV


@dataclass(frozen=True)
class Row:
    """A line of the text, counted from 1. One that cannot be sent has no `features`; `fault` says why."""

    line: int
    features: tuple[Value, ...] | None
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """`unused`: the columns that are no features of this model."""

    rows: tuple[Row, ...]
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dialect:
    """How CSV is written. `columns`: which holds each feature; `named`: the line, from 1, with the columns'
    `names`, 0 where there is none; `first`: the first line that is a row; `width`: columns in a line."""

    separator: str
    columns: tuple[int, ...]
    unused: tuple[str, ...]
    names: tuple[str, ...]
    named: int
    first: int

    @property
    def width(self) -> int:
        return len(self.columns) + len(self.unused)


@dataclass(frozen=True)
class Sample:
    """The beginning of a file: its rows, and how it is written. `rows`: how many there are in all, estimated
    unless the sample is the `whole` file."""

    table: Table
    dialect: Dialect
    rows: int
    whole: bool

    @property
    def faults(self) -> list[tuple[int, str]]:
        return [(row.line, row.fault) for row in self.table.rows if row.fault]


class RowError(Exception):
    """A line that cannot be sent. It is no ValueError: what reads the lines has those of its own."""

    def __init__(self, line: int, fault: str) -> None:
        super().__init__(f"line {line}: {fault}")
        self.line, self.fault = line, fault


def decode(content: bytes) -> str:
    """The text of a file; ValueError where it has none that can be read."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"  # as a text in UTF-16 has it too, which may pass for UTF-8
    if "\0" in text:
        raise ValueError("The file is not text in UTF-8. Save it as CSV UTF-8 and choose it again.")
    return text


def read_rows(text: str, card: Card) -> Table:
    """The rows in CSV text. The first line may name the columns, then in any order; without names they are
    the card's features in the card's order. ValueError, saying what to put right, where there are no rows."""
    if len(text) > LARGEST:
        raise ValueError(
            f"The text has {len(text):,} characters, and this page takes {LARGEST:,}. Send it in parts."
        )
    dialect, lines = _parse(text, card)
    if len(lines) > MOST:
        raise ValueError(f"There are {len(lines):,} rows, and this page takes {MOST:,}. Send them in parts.")
    return Table(tuple(_row(line, cells, dialect, card) for line, cells in lines), dialect.unused)


def read_sample(content: bytes, card: Card) -> Sample:
    """The beginning of a file's content, however large that is; ValueError as `read_rows` has it."""
    part = content[:SAMPLE]
    if len(part) < len(content):
        part = part[: part.rfind(b"\n") + 1]
    lines = decode(part).splitlines(keepends=True)
    if content and not part:
        raise ValueError("The text is not CSV: a line is too long.")
    text = "".join(lines[:SAMPLE_LINES])
    dialect, found = _parse(text, card)
    table = Table(tuple(_row(line, cells, dialect, card) for line, cells in found), dialect.unused)
    whole = len(part) == len(content) and len(lines) <= SAMPLE_LINES
    rows = len(found) if whole else round(len(content) * len(found) / len(text.encode()))
    return Sample(table, dialect, rows, whole)


def is_plain(dialect: Dialect, card: Card) -> bool:
    """Whether CSV is as a server reads it: the features' names first, and nothing but them."""
    names = sorted(feature.name for feature in card.features)
    return (dialect.separator, dialect.named, sorted(dialect.names)) == (",", 1, names)


def plain_lines(content: bytes, dialect: Dialect, card: Card) -> Iterator[bytes]:
    """CSV of any dialect as a server reads it, in pieces: each line stays a line of its own, without the
    columns that are not used. RowError for a line that has not as many columns as it should."""
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=dialect.separator, skipinitialspace=True, strict=True)
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(feature.name for feature in card.features)
    try:
        for cells in reader:
            if reader.line_num < dialect.first:
                continue
            if not any(cell.strip() for cell in cells):
                cells = []
            elif len(cells) != dialect.width:
                raise RowError(reader.line_num, _wrong_width(cells, dialect))
            else:
                cells = [
                    cells[column] if feature.categories else _point(cells[column], dialect.separator)
                    for feature, column in zip(card.features, dialect.columns, strict=True)
                ]
            writer.writerow(cells)
            if written.tell() > PIECE:
                yield written.getvalue().encode()
                written.seek(0)
                written.truncate()
    except csv.Error:
        raise RowError(reader.line_num, "a quotation mark has no partner, or the line is too long") from None
    except UnicodeDecodeError:
        raise RowError(reader.line_num + 1, "it, or one soon after it, is not text in UTF-8") from None
    yield written.getvalue().encode()


def line_in_file(line: int, dialect: Dialect) -> int:
    """Which line of the file is a line of `plain_lines`, whose first has the names."""
    return line + dialect.first - 2


def write_rows(card: Card, rows: Iterable[Iterable[Value]]) -> str:
    """CSV with the names of the features in its first line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(feature.name for feature in card.features)
    writer.writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: Value) -> str:
    """As a server reads it; what is missing is empty."""
    return "" if value is None else value if isinstance(value, str) else f"{value:.10g}"


def _parse(text: str, card: Card) -> tuple[Dialect, list[tuple[int, list[str]]]]:
    """How the text is written, and the cells of each line that is a row, with its number."""
    separator = max(",;\t", key=(text.strip().splitlines() or [""])[0].count)
    try:
        reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error:
        raise ValueError(
            "The text is not CSV: a quotation mark has no partner, or a line is too long."
        ) from None
    columns, unused, names, named = range(len(card.features)), [], [], 0
    if lines and _names_columns(lines[0][1], separator, card):
        named, names = lines.pop(0)
        columns, unused = _columns(names, card)
    if not lines:
        raise ValueError("There are no rows. Write one row a line, its values separated by commas.")
    first = named + 1 if named else lines[0][0]
    return Dialect(separator, tuple(columns), tuple(unused), tuple(names), named, first), lines


def _names_columns(cells: list[str], separator: str, card: Card) -> bool:
    """Whether a first line has the columns' names. Of a model of numbers it has, if anything in it is none;
    of one with categories, if it is no row and has the name of a feature."""
    if not card.takes_categories:
        gaps = MISSING if card.takes_gaps else ()
        return any(_number(cell, separator) is None and cell.strip() not in gaps for cell in cells)
    if len(cells) == len(card.features) and not any(
        isinstance(_value(cell, feature, separator), _Fault)
        for cell, feature in zip(cells, card.features, strict=True)
    ):
        return False
    known = {_plain(spelling) for feature in card.features for spelling in _spellings(feature)}
    return any(_plain(cell) in known for cell in cells)


def _spellings(feature: Feature) -> tuple[str, str]:
    return _plain(feature.name), _plain(f"{feature.name} ({feature.unit})")


def _columns(names: list[str], card: Card) -> tuple[list[int], list[str]]:
    """Which column holds each feature, and the names of those that hold none."""
    found = {}
    for column, name in enumerate(names):
        found.setdefault(_plain(name), column)
    columns = []
    for feature in card.features:
        spellings = _spellings(feature)
        columns.append(next((found[name] for name in spellings if name in found), -1))
        if sum(_plain(name) in spellings for name in names) > 1:
            raise ValueError(
                f"Two columns are named {shown(feature.name)}. Leave one of them, or rename the other."
            )
    if -1 in columns:
        missing = [feature.name for feature, column in zip(card.features, columns, strict=True) if column < 0]
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        kind = "values" if card.takes_categories else "numbers"
        raise ValueError(
            f"The first line is not a row of {kind}, so it is read as the names of the columns. "
            f"Missing there: {', '.join(map(shown, missing[:5]))}{more}. "
            "Name them as the model's card does, or leave that line out."
        )
    return columns, [shown(name) for column, name in enumerate(names) if column not in columns]


def _row(line: int, cells: list[str], dialect: Dialect, card: Card) -> Row:
    if len(cells) != dialect.width:
        return Row(line, None, _wrong_width(cells, dialect))
    values = []
    for feature, column in zip(card.features, dialect.columns, strict=True):
        value = _value(cells[column], feature, dialect.separator)
        if isinstance(value, _Fault):
            return Row(line, None, f"{shown(feature.name)} {value}")
        values.append(value)
    return Row(line, tuple(values))


class _Fault(str):
    """What is wrong with a cell."""


def _value(cell: str, feature: Feature, separator: str) -> Value | _Fault:
    """What a cell says of a feature."""
    text = cell.strip()
    if text in feature.categories:
        return text
    if text in MISSING and (feature.may_be_missing or not text):
        return None if feature.may_be_missing else _Fault("is missing")
    if feature.categories:
        named = ", ".join(map(shown, feature.categories[:MOST_CATEGORIES]))
        more = len(feature.categories) - MOST_CATEGORIES
        return _Fault(f"is none of {named}" + (f" and {more} more" if more > 0 else ""))
    value = _number(cell, separator)
    return _Fault("is not a number") if value is None else value


def _wrong_width(cells: list[str], dialect: Dialect) -> str:
    return f"expected {dialect.width} columns, got {len(cells)}"


def _number(cell: str, separator: str) -> float | None:
    """Where semicolons separate the columns, a comma may be the decimal point."""
    text = _point(cell, separator)
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _point(cell: str, separator: str) -> str:
    return cell.replace(",", ".") if separator == ";" else cell


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
