"""What was checked of a model, for a terminal, for a page of the CI's, and for programs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from model_training.card import Card


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was expected, what was found."""

    kind: Literal["files", "quality", "champion", "invariance", "direction", "latency", "contract"]
    what: str
    expected: str
    found: str
    passed: bool


def of_rows(kind: str, what: str, wanted: str, right: np.ndarray, hold: float) -> Check:
    """A check that holds for enough of the rows."""
    share = "all" if hold == 1 else f"{hold:.0%} or more of"
    found = f"{right.sum()} of {len(right)}"
    return Check(kind, what, f"{wanted}, in {share} rows", found, bool(right.mean() >= hold))


def rows_of(checks: list[Check]) -> list[tuple[str, ...]]:
    head = ("", "what", "expected", "found")
    return [head, *((one.kind, one.what, one.expected, one.found) for one in checks)]


def table(checks: list[Check]) -> str:
    """For a terminal."""
    rows = rows_of(checks)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    marks = ["      ", *("passed" if one.passed else "FAILED" for one in checks)]
    return "\n".join(
        "  ".join([mark, *(cell.ljust(width) for cell, width in zip(row, widths, strict=True))]).rstrip()
        for mark, row in zip(marks, rows, strict=True)
    )


def markdown(card: Card, checks: list[Check]) -> str:
    """For a page of the CI's."""
    lines = [f"## {card.name} {card.version}: {summary(checks)}", ""]
    for number, row in enumerate(rows_of(checks)):
        mark = "" if number == 0 else "passed" if checks[number - 1].passed else "**failed**"
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (mark, *row)) + " |")
        if number == 0:
            lines.append("|---" * (len(row) + 1) + "|")
    return "\n".join([*lines, ""])


def summary(checks: list[Check]) -> str:
    failed = sum(not one.passed for one in checks)
    return f"{failed} of {len(checks)} checks failed" if failed else f"all {len(checks)} checks passed"


def write(folder: Path, card: Card, checks: list[Check]) -> None:
    """NAME.json and NAME.md in that folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"name": card.name, "version": card.version, "passed": all(one.passed for one in checks)}
    text = json.dumps(told | {"checks": [asdict(one) for one in checks]}, indent=2)
    (folder / f"{card.name}.json").write_text(text + "\n", encoding="utf-8")
    (folder / f"{card.name}.md").write_text(markdown(card, checks), encoding="utf-8")
