"""CSV as it comes, in pieces of bytes, to blocks of rows: strictly read, and fast.

A block of lines is read at once. Only where that fails, or a number is out of its range, its lines
are read one by one, to tell of each mistake its line, its column, and what was expected. RFC 4180, with line
ends of either kind, and a header, whose names may stand in any order."""

import csv
import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from pydantic_core import from_json

from apps.service.jobs.csv_cells import Cells
from apps.service.model import Serving
from apps.service.problems import Problem

BLOCK_BYTES = 1 << 18  # of lines that are read at once
LINE_BYTES = 1 << 16  # at most
TOLD = 20  # mistakes that an answer tells
COUNTED = 1000  # mistakes after which nobody reads on
BOM = b"\xef\xbb\xbf"
BLANK = re.compile(rb"\n[ \t\r]*\n")  # a line with nothing on it, which is good at the end only
QUOTE_WITHIN = re.compile(rb'[^,\n]"[^,\r\n]')  # neither at a cell's beginning nor at its end


class Mistake(NamedTuple):
    line: int  # from 1, the header's
    column: str | None  # a feature's name, where it is one's
    message: str


class CsvRows:
    """Give `add` all pieces, and at the end call `end`; both give blocks of rows, float64 of shape
    (n, features), in the card's order. Once there is a mistake no more rows come, and `end` raises."""

    def __init__(self, serving: Serving) -> None:
        self._features = serving.features
        self._low, self._high = np.array(serving.minimum), np.array(serving.maximum)
        self._plain, self._cells = serving.is_plain, Cells(serving)
        self._order: list[int] | None = None  # of each feature its column, once the header is read
        self._kept, self._begun = b"", False
        self._line = 0  # lines that have been read
        self._blank = 0  # the first of the blank lines since the last one that is not, or 0
        self._mistakes: list[Mistake] = []
        self._count = 0

    def add(self, piece: bytes) -> Iterator[np.ndarray]:
        """The rows in the lines that are complete. Raises Problem where it makes no sense to read on."""
        self._kept = kept = self._kept + piece
        if not self._begun:
            if len(kept) < len(BOM) and BOM.startswith(kept):
                return
            self._begun, self._kept = True, kept.removeprefix(BOM)
        if len(self._kept) < BLOCK_BYTES:
            return
        end = self._kept.rfind(b"\n") + 1
        block, self._kept = self._kept[:end], self._kept[end:]
        yield from self._read(block)
        if len(self._kept) > LINE_BYTES:
            self._mistake(self._line + 1, None, f"expected at most {LINE_BYTES} bytes in a line")
            raise self._problem()

    def end(self) -> Iterator[np.ndarray]:
        """The rows of what is left. Raises Problem 400 where there was a mistake."""
        left, self._kept = self._kept, b""
        if left and not left.endswith(b"\n"):
            left += b"\n"
        yield from self._read(left)
        if self._order is None:
            raise Problem(
                "invalid-input",
                f"expected a line with the names of the features ({', '.join(self._features)}), and rows",
            )
        if self._count:
            raise self._problem()

    def _read(self, block: bytes) -> Iterator[np.ndarray]:
        if self._order is None and block:
            header, _, block = block.partition(b"\n")
            self._line = 1
            self._read_header(header)
        if not block:
            return
        rows = None if self._count else self._fast(block)
        if rows is None:
            rows = self._slow(block)
        else:
            self._line += len(rows)
        if len(rows) and not self._count:
            yield rows

    def _fast(self, block: bytes) -> np.ndarray | None:
        """All rows of a block; None where a line of it has to be looked at by itself."""
        if self._blank or BLANK.search(block) or block.lstrip(b" \t\r").startswith(b"\n"):
            return None
        if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
            return None
        if not self._plain:
            return self._cells.rows(block, self._order)
        try:
            found = plain(block, len(self._features))
        except (ValueError, OverflowError):
            try:
                found = quoted(block)
            except ValueError:
                return None
        if found.shape != (block.count(b"\n"), len(self._features)):
            return None
        rows = np.ascontiguousarray(found[:, self._order])
        good = (rows >= self._low) & (rows <= self._high) & np.isfinite(rows)
        return rows if good.all() else None

    def _slow(self, block: bytes) -> np.ndarray:
        """The same, line by line, with a note of each mistake."""
        rows: list[list[float]] = []
        for line in block.split(b"\n")[:-1]:
            self._line += 1
            if not line.strip():
                self._blank = self._blank or self._line
                continue
            if self._blank:
                self._mistake(self._blank, None, "expected a row, got an empty line")
                self._blank = 0
            if row := self._row_of(line):
                rows.append(row)
            if self._count >= COUNTED:
                raise self._problem()
        return np.array(rows, np.float64)

    def _row_of(self, line: bytes) -> list[float] | None:
        """None for a line with a mistake."""
        count, cells = self._count, cells_of(line) if len(line) <= LINE_BYTES else []
        if not cells and cells is not None:
            self._mistake(self._line, None, f"expected at most {LINE_BYTES} bytes in a line")
        elif cells is None:
            self._mistake(self._line, None, "expected text in UTF-8, with its quotes closed")
        elif len(cells) != len(self._features):
            kind = "numbers" if self._plain else "cells"
            self._mistake(
                self._line, None, f"expected {len(self._features)} {kind} in a row, got {len(cells)}"
            )
        else:
            row = [self._cells.read(cells[column], place) for place, column in enumerate(self._order)]
            for name, found in zip(self._features, row, strict=True):
                if isinstance(found, str):
                    self._mistake(self._line, name, found)
        return row if self._count == count else None

    def _read_header(self, line: bytes) -> None:
        """Raises Problem for names that are not the features'; nothing could be told of the rows then."""
        names = cells_of(line) if len(line) <= LINE_BYTES else None
        wanted = ", ".join(self._features)
        if names is None:
            self._mistake(1, None, f"expected the names of the features, in UTF-8: {wanted}")
            raise self._problem()
        names = [name.strip() for name in names]
        for number, name in enumerate(names, 1):
            if name not in self._features:
                self._mistake(1, None, f"column {number} is none of the features: {wanted}")
            elif name in names[: number - 1]:
                self._mistake(1, name, f"column {number} has the name of a column before it")
        for name in self._features:
            if name not in names:
                self._mistake(1, name, "expected a column of this name")
        if self._count:
            raise self._problem()
        self._order = [names.index(name) for name in self._features]

    def _mistake(self, line: int, column: str | None, message: str) -> None:
        self._count += 1
        if len(self._mistakes) < TOLD:
            self._mistakes.append(Mistake(line, column, message))

    def _problem(self) -> Problem:
        first = self._mistakes[0]
        many = f"{COUNTED} mistakes or more" if self._count >= COUNTED else f"{self._count} mistakes"
        many = "one mistake" if self._count == 1 else many
        where = f"line {first.line}" + (f", {first.column}" if first.column else "")
        return Problem(
            "invalid-input",
            f"expected CSV of the model's features, got {many}; the first in {where}: {first.message}",
            reason="faulty-csv",
            errors=[{name: part for name, part in one._asdict().items() if part is not None} for one in
                    self._mistakes],
        )  # fmt: skip


def plain(block: bytes, columns: int) -> np.ndarray:
    """Lines of nothing but numbers, as the one list that they are in JSON, which is read three times as fast
    as CSV. Raises ValueError, OverflowError."""
    if block.translate(None, b"0123456789+-.eE,\r\n "):
        raise ValueError("there is something else")
    signs = np.frombuffer(block, np.uint8)
    ends, commas = np.flatnonzero(signs == ord("\n")), np.flatnonzero(signs == ord(","))
    if (np.searchsorted(commas, ends) != np.arange(1, len(ends) + 1) * (columns - 1)).any():
        raise ValueError("a line has more cells than another")
    numbers = from_json(b"[" + block[:-1].replace(b"\n", b",") + b"]", allow_inf_nan=False)
    return np.array(numbers, np.float64).reshape(-1, columns)


def quoted(block: bytes) -> np.ndarray:
    """Any lines, quoted or not. Raises ValueError."""
    if QUOTE_WITHIN.search(block) or block.count(b'"') % 2:
        raise ValueError("NumPy is not so strict")
    return np.loadtxt(
        io.StringIO(block.decode("ascii")), delimiter=",", comments=None, quotechar='"', ndmin=2
    )


def cells_of(line: bytes) -> list[str] | None:
    """The cells of a line; None where it is not CSV in UTF-8, or a quoted cell goes on in the next line."""
    try:
        text = line.decode("utf-8").removesuffix("\r")
        if any(sign in text for sign in "\r\n\0"):
            return None
        return next(csv.reader([text], strict=True), [])
    except (ValueError, csv.Error):
        return None
