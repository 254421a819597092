"""JSON as it comes, in pieces of bytes, to blocks of rows: {"instances": [[numbers], ...]}, strictly read.

What is no longer than any other body is read as that of /predict/batch. In a longer one only rows can follow,
so it is cut before the last row that has begun, and all before that is read at once."""

import re
from collections.abc import Iterator

import numpy as np
from pydantic_core import from_json

from apps.service.bodies import reader
from apps.service.jobs.csv_rows import BLOCK_BYTES, LINE_BYTES
from apps.service.model import Serving
from apps.service.predictions import BatchRequest
from apps.service.problems import Problem
from apps.service.rows import check_features

HEAD = re.compile(rb'\s*\{\s*"instances"\s*:\s*\[').match
ROW = re.compile(rb"\s*(\[[^\[\]]*\])\s*(,?)").match
TAIL = re.compile(rb"\s*\]\s*\}\s*").fullmatch
MIXED_ROW = re.compile(rb"\s*(\[[^\[\]{}]*\]|\{[^\[\]{}]*\})\s*(,?)").match
TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\Z)', re.DOTALL)  # the last of which may not have ended


class JsonRows:
    """As CsvRows: give `add` all pieces, and at the end call `end`. The first mistake is raised."""

    def __init__(self, serving: Serving, small_bytes: int, max_depth: int) -> None:
        self._serving, self._small, self._max_depth = serving, small_bytes, max_depth
        self._low, self._high = np.array(serving.minimum), np.array(serving.maximum)
        self._kept, self._large = bytearray(), False
        self._mixed = not serving.is_plain  # else rows are lists of numbers, and read as such
        self._rows = 0

    def add(self, piece: bytes) -> Iterator[np.ndarray]:
        self._kept += piece
        if not self._large:
            if len(self._kept) <= self._small:
                return
            self._large = True
            if not (head := HEAD(self._kept)):
                raise Problem(
                    "invalid-input",
                    f"expected {BatchRequest.shape}, and nothing before it where there are more than "
                    f"{self._small} bytes",
                )
            del self._kept[: head.end()]
        self._mixed = self._mixed or b"{" in self._kept
        if len(self._kept) < BLOCK_BYTES:
            return
        cut = self._last_row()
        block = bytes(self._kept[: max(cut, 0)]).rstrip()
        del self._kept[: max(cut, 0)]
        if block:
            if not block.endswith(b","):
                raise self._wrong(block)
            yield self._read(block[:-1])
        if len(self._kept) > LINE_BYTES:
            raise self._wrong(b"")

    def end(self) -> Iterator[np.ndarray]:
        left = bytes(self._kept)
        if self._large:
            cut = self._end_of_rows(left)
            if not TAIL(left, cut):
                raise self._wrong(left)
            yield self._read(left[:cut])
            return
        rows = reader(BatchRequest)(left, self._max_depth).instances
        if not rows:
            raise Problem("invalid-input", "expected one row or more, got none")
        yield np.array(check_features(rows, self._serving), np.float64)

    def _last_row(self) -> int:
        """Where the last row begins that has begun."""
        if not self._mixed:
            return self._kept.rfind(b"[")
        kept = without_texts(bytes(self._kept))
        return max(kept.rfind(b"["), kept.rfind(b"{"))

    def _end_of_rows(self, left: bytes) -> int:
        """Where the last row has ended: before the bracket that ends all of them."""
        kept = without_texts(left) if self._mixed else left
        last = max(kept.rfind(b"]"), 0)
        return max(kept.rfind(b"]", 0, last), kept.rfind(b"}", 0, last)) + 1

    def _read_mixed(self, block: bytes) -> np.ndarray:
        """The rows of a block, lists and objects of anything that a feature may be, with commas between."""
        try:
            found = self._rows_in(block)
        except Problem:
            raise self._wrong_mixed(block) from None
        self._rows += len(found)
        return np.array(found, np.float64)

    def _rows_in(self, block: bytes) -> list[list[float]]:
        rows = reader(BatchRequest)(b'{"instances":[' + block + b"]}", self._max_depth).instances
        return check_features(rows, self._serving, first=self._rows)

    def _wrong_mixed(self, block: bytes) -> Problem:
        """As _wrong."""
        bare, end = without_texts(block), 0
        while row := MIXED_ROW(bare, end):
            try:
                self._rows_in(block[row.start(1) : row.end(1)])
            except Problem as problem:
                if problem.detail.startswith("expected one JSON") or "instances[0]" in problem.detail:
                    break
                return problem
            self._rows += 1
            end = row.end()
            if not row[2]:
                break
        return self._not_right()

    def _read(self, block: bytes) -> np.ndarray:
        """The rows of a block, which are numbers in brackets with commas between."""
        if not block or block.isspace():
            raise self._not_right()
        if self._mixed:
            return self._read_mixed(block)
        try:
            if block.translate(None, b"0123456789+-.eE,[] \t\r\n"):
                raise ValueError("there is something else")
            rows = from_json(b"[" + block + b"]", allow_inf_nan=False)
            found = np.array(rows, np.float64)
        except (ValueError, OverflowError, TypeError):
            raise self._wrong(block) from None
        if found.ndim != 2 or found.shape[1] != len(self._serving.features):
            raise self._wrong(block)
        if not ((found >= self._low) & (found <= self._high) & np.isfinite(found)).all():
            raise self._wrong(block)
        self._rows += len(rows)
        return found

    def _wrong(self, block: bytes) -> Problem:
        """What to tell of a block with a mistake: looked at row by row, so that it does not depend on where
        it was cut."""
        if self._mixed:
            return self._wrong_mixed(block)
        end = 0
        while row := ROW(block, end):
            try:
                found = from_json(row[1], allow_inf_nan=False)
            except ValueError:
                break
            if not all(type(cell) in (int, float) for cell in found):
                break
            try:
                check_features([found], self._serving, first=self._rows)
            except Problem as problem:
                return problem
            self._rows += 1
            end = row.end()
            if not row[2]:
                break
        return self._not_right()

    def _not_right(self) -> Problem:
        return Problem(
            "invalid-input",
            f"expected {BatchRequest.shape}; the first {self._rows} rows are right, what follows is not",
        )


def without_texts(block: bytes) -> bytes:
    """As long, with nothing in its texts: what looks like a bracket in one is none."""
    return TEXTS.sub(lambda text: b'"' * len(text[0]), block)
