"""Many rows of features from text: CSV as spreadsheets write it, one row a line."""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass

from ui.card import Card
from ui.prediction import shown

MOST = 10_000  # rows; a program that has more calls the API itself
LARGEST = 5_000_000  # characters; for files, maxUploadSize in .streamlit/config.toml


@dataclass(frozen=True)
class Row:
    """A line of the text, counted from 1. One that cannot be sent has no `features`; `fault` says why."""

    line: int
    features: tuple[float, ...] | None
    fault: str = ""


@dataclass(frozen=True)
class Table:
    """`unused`: the columns that are no features of this model."""

    rows: tuple[Row, ...]
    unused: tuple[str, ...] = ()


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
    separator = max(",;\t", key=(text.strip().splitlines() or [""])[0].count)
    try:
        reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error:
        raise ValueError(
            "The text is not CSV: a quotation mark has no partner, or a line is too long."
        ) from None
    columns, unused = range(len(card.features)), []
    if lines and any(_number(cell, separator) is None for cell in lines[0][1]):
        columns, unused = _columns(lines.pop(0)[1], card)
    if not lines:
        raise ValueError("There are no rows. Write one row a line, its numbers separated by commas.")
    if len(lines) > MOST:
        raise ValueError(f"There are {len(lines):,} rows, and this page takes {MOST:,}. Send them in parts.")
    found = (_row(line, cells, columns, unused, card, separator) for line, cells in lines)
    return Table(tuple(found), tuple(unused))


def write_rows(card: Card, rows: Iterable[Iterable[float]]) -> str:
    """CSV with the names of the features in its first line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(feature.name for feature in card.features)
    writer.writerows([f"{value:.10g}" for value in row] for row in rows)
    return text.getvalue()


def _columns(names: list[str], card: Card) -> tuple[list[int], list[str]]:
    """Which column holds each feature, and the names of those that hold none."""
    found = {}
    for column, name in enumerate(names):
        found.setdefault(_plain(name), column)
    columns = []
    for feature in card.features:
        spellings = (_plain(feature.name), _plain(f"{feature.name} ({feature.unit})"))
        columns.append(next((found[name] for name in spellings if name in found), -1))
        if sum(_plain(name) in spellings for name in names) > 1:
            raise ValueError(
                f"Two columns are named {shown(feature.name)}. Leave one of them, or rename the other."
            )
    if -1 in columns:
        missing = [feature.name for feature, column in zip(card.features, columns, strict=True) if column < 0]
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ValueError(
            "The first line is not a row of numbers, so it is read as the names of the columns. "
            f"Missing there: {', '.join(map(shown, missing[:5]))}{more}. "
            "Name them as the model's card does, or leave that line out."
        )
    return columns, [shown(name) for column, name in enumerate(names) if column not in columns]


def _row(line: int, cells: list[str], columns, unused: list[str], card: Card, separator: str) -> Row:
    if len(cells) != len(columns) + len(unused):
        return Row(line, None, f"expected {len(columns) + len(unused)} columns, got {len(cells)}")
    values = []
    for feature, column in zip(card.features, columns, strict=True):
        value = _number(cells[column], separator)
        if value is None:
            what = "is not a number" if cells[column].strip() else "is missing"
            return Row(line, None, f"{shown(feature.name)} {what}")
        values.append(value)
    return Row(line, tuple(values))


def _number(cell: str, separator: str) -> float | None:
    """Where semicolons separate the columns, a comma may be the decimal point."""
    text = cell.replace(",", ".") if separator == ";" else cell
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
