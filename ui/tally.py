"""What the answers of a job are, counted as they come: the page never holds more than a piece of them."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

FIRST = 100  # answers that are kept to be shown
BEGINNING = 1_000_000  # bytes of the answers that are read without being asked


@dataclass
class Tally:
    """Of `rows` answers: how often each class came, or, of a model that answers with a number, the numbers
    of the beginning. `head` and `first`: the names of the columns, and the first answers as they came."""

    rows: int = 0
    whole: bool = False
    head: list[str] = field(default_factory=list)
    first: list[list[str]] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)
    numbers: list[float] = field(default_factory=list)


def count(pieces: Iterable[bytes], named: bool, most: int | None = None) -> Iterator[Tally]:
    """Read result.csv in pieces, of at most so many bytes if `most` is given, and yield what has been counted
    after each. `named`: that the model is known to answer with classes. ValueError for any other text."""
    tally = Tally()
    for lines in _lines(pieces, most):
        if lines is None:
            tally.whole = True
            break
        found = csv.reader(lines)
        if not tally.head:
            tally.head = next(found, [])
            counted = answer_in(tally.head)
            named = (
                named
                or counted.startswith("label")
                or any(name.startswith("probability") for name in tally.head)
            )
        column = tally.head.index(counted)
        cells = [cells for cells in found if cells]
        if any(len(row) != len(tally.head) for row in cells):
            raise ValueError("its lines are not of one length")
        tally.rows += len(cells)
        tally.first += cells[: FIRST - len(tally.first)]
        if named:
            tally.classes.update(row[column] for row in cells)
        elif len(tally.numbers) < 50_000:
            tally.numbers += [float(row[column]) for row in cells]
        yield tally
    yield tally


def answer_in(head: list[str]) -> str:
    """The column that is counted: of several targets, the first one's. ValueError where there is none."""
    for start in ("label", "prediction"):
        for name in head:
            if name == start or name.startswith(f"{start}_"):
                return name
    raise ValueError("it has no column named prediction")


def _lines(pieces: Iterable[bytes], most: int | None) -> Iterator[list[str] | None]:
    """The complete lines of each piece, and None after the last of all."""
    rest, read = b"", 0
    for piece in pieces:
        read += len(piece)
        whole, newline, rest = (rest + piece).rpartition(b"\n")
        if newline:
            yield whole.decode("utf-8-sig").splitlines()
        if most is not None and read > most:
            return
    if rest:
        yield rest.decode("utf-8-sig").splitlines()
    yield None
