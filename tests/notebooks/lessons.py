"""The lessons as the tests see them: notebooks, their cells, and the answers to their exercises."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from classroom.exercises import SOLUTIONS, cells_by_id

NOTEBOOKS = SOLUTIONS.parent
WRONG_ANSWERS = Path(__file__).with_name("wrong_answers")


@dataclass(frozen=True)
class Answer:
    """One way to fill an exercise's cell; `phrase` is what the check must say; None: the solution."""

    exercise: str
    code: str
    phrase: str | None

    def __str__(self):
        return f"{self.exercise} {self.phrase or 'solution'}"


@dataclass(frozen=True)
class Lesson:
    path: Path

    def __str__(self):
        return f"lesson_{self.number:02d}"

    @property
    def number(self) -> int:
        return int(self.path.name[:2])

    @cached_property
    def notebook(self):
        return nbformat.read(self.path, as_version=4)

    @property
    def cells(self) -> list:
        return self.notebook.cells

    @property
    def markdown(self) -> str:
        return "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")

    @property
    def exercise_cells(self) -> dict[str, int]:
        """Exercise id -> the position of the cell that the learner edits."""
        tagged = re.compile(r"exercise-(\d+\.\d+)")
        return {
            tagged.fullmatch(tag)[1]: position
            for position, cell in enumerate(self.cells)
            for tag in tags(cell)
            if tagged.fullmatch(tag)
        }

    @property
    def solutions(self) -> dict[str, str]:
        return cells_by_id(SOLUTIONS / f"{self}.py")

    @property
    def answers(self) -> list[Answer]:
        """Every wrong answer, then every solution."""
        wrong = cells_by_id(WRONG_ANSWERS / f"{self}.py").items()
        split = [(title.partition(" | "), code) for title, code in wrong]
        return [Answer(id, code, phrase) for (id, _, phrase), code in split] + [
            Answer(id, code, None) for id, code in self.solutions.items()
        ]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def text_of(cell) -> str:
    """What a code cell printed, showed or raised, as plain text."""
    texts = []
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            texts.append(f"{output.ename}: {output.evalue}")
        else:
            texts.append(output.get("text") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(texts)


LESSONS = [Lesson(path) for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))]
EVERY_ANSWER = [(lesson, answer) for lesson in LESSONS for answer in lesson.answers]
EVERY_EXERCISE = [(lesson, id) for lesson in LESSONS for id in lesson.exercise_cells]
