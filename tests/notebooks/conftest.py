"""Runs each lesson once in one kernel, trying every answer where its exercise stands."""

import copy
import functools

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell

from tests.notebooks.lessons import NOTEBOOKS, Answer, Lesson, text_of

REMEMBER = "_names = dict(get_ipython().user_ns)"
FORGET = """
for _name in set(get_ipython().user_ns) - set(_names):
    if not _name.startswith("_"):
        del get_ipython().user_ns[_name]
get_ipython().user_ns.update({k: v for k, v in _names.items() if k not in ("In", "Out") and k[0] != "_"})
"""


@functools.cache
def verdicts_of(lesson: Lesson) -> dict[Answer, str]:
    """What the check says of each answer, given at the exercise's place in the running lesson.

    Each answer meets the names as the lesson left them. The solution comes last and stays, so that the
    rest of the lesson runs with it: a lesson must also work for those who do the exercises. An answer
    whose own cell raises gets that error for a verdict, for no check has seen it."""
    client = NotebookClient(
        copy.deepcopy(lesson.notebook),
        kernel_name="python3",
        timeout=120,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    position_of, verdicts = lesson.exercise_cells, {}

    def run(source: str) -> str:
        """What the code printed, on one line. Raises CellExecutionError."""
        cell = new_code_cell(source)
        client.execute_cell(cell, 0)
        return " ".join(text_of(cell).split())

    with client.setup_kernel():
        for position, cell in enumerate(list(client.nb.cells)):
            if cell.cell_type == "code" and position not in position_of.values():
                client.execute_cell(cell, position)
                continue
            answers = [each for each in lesson.answers if position_of.get(each.exercise) == position]
            if answers:
                run(REMEMBER)
            for answer in answers:
                run(FORGET)
                try:
                    run(f"# exercise {answer.exercise}\n{answer.code}")
                    verdicts[answer] = run(f'check("{answer.exercise}")')
                except CellExecutionError as error:
                    verdicts[answer] = f"the answer's own cell raised {error.ename}: {error.evalue}"
    return verdicts


@pytest.fixture
def verdict():
    """Called with a lesson and an answer: what the check said, on one line."""
    return lambda lesson, answer: verdicts_of(lesson)[answer]
