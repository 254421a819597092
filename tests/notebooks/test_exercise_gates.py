"""The four gates of every exercise. That the lesson runs as committed is strict nbval's part of the first:

python -m pytest --nbval --nbval-current-env --nbval-sanitize-with tests/notebooks/sanitize.cfg notebooks
"""

import re
import symtable
from pathlib import Path

import pytest
from classroom.exercises import SOLUTIONS, exercises_of

from tests.notebooks.lessons import (
    EVERY_ANSWER,
    EVERY_EXERCISE,
    LESSONS,
    NOTEBOOKS,
    WRONG_ANSWERS,
    tags,
    text_of,
)

HERE = [re.escape(str(folder)) for folder in (NOTEBOOKS.parent, Path.home())]
MACHINE_PATH = re.compile("|".join([*HERE, r"/home/|/tmp/|/Users/|/private/|[A-Z]:\\|ipykernel_\d"]))
every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=str)
every_exercise = pytest.mark.parametrize("lesson, id", EVERY_EXERCISE, ids=str)


# --- 1 · the notebook as committed


@every_lesson
def test_it_ran_from_top_to_bottom_in_a_fresh_kernel(lesson):
    counts = [cell.execution_count for cell in lesson.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


@every_lesson
def test_it_names_the_kernel_that_every_machine_has(lesson):
    assert lesson.notebook.metadata.kernelspec.name == "python3"


@every_lesson
def test_its_outputs_name_no_machine(lesson):
    for cell in lesson.cells:
        for output in cell.get("outputs", []):
            shown = [output.get("text", ""), *output.get("data", {}).values(), *output.get("traceback", [])]
            for text in (text for text in shown if isinstance(text, str) and len(text) < 20_000):
                assert not MACHINE_PATH.search(text), text


@every_lesson
def test_it_raises_only_where_it_says_so(lesson):
    for cell in lesson.cells:
        raised = any(output.output_type == "error" for output in cell.get("outputs", []))
        assert raised == ("raises-exception" in tags(cell)), cell.source


@every_exercise
def test_an_untouched_exercise_is_not_tried_yet(lesson, id):
    check = lesson.cells[lesson.exercise_cells[id] + 1]
    assert check.source == f'check("{id}")'
    assert text_of(check).startswith(f"{id} · not tried yet: ")


# --- 2 and 3 · the solution is right, and each known wrong answer is told why it is not


@pytest.mark.parametrize("lesson, answer", EVERY_ANSWER, ids=str)
def test_the_check_says_of_each_answer_what_it_should(lesson, answer, verdict):
    said = verdict(lesson, answer)
    if answer.phrase is None:
        assert said.startswith(f"{answer.exercise} · right: ")
    else:
        assert f"{answer.exercise} · not yet: " in said
        assert answer.phrase in said
        assert said.endswith("?"), "a 'not yet' ends in a question"


# --- 4 · nothing is missing


@every_lesson
def test_a_lesson_has_three_exercises_or_more(lesson):
    assert len(lesson.exercise_cells) >= 3


@every_lesson
def test_nothing_belongs_to_an_exercise_that_is_not_there(lesson):
    ids = list(lesson.exercise_cells)
    assert ids == [f"{lesson.number}.{n}" for n in range(1, len(ids) + 1)]
    assert sorted(exercises_of(lesson.number)) == ids
    assert sorted(lesson.solutions) == ids
    assert {answer.exercise for answer in lesson.answers} == set(ids)


@every_exercise
def test_an_exercise_has_its_cells_hints_and_wrong_answers(lesson, id):
    position = lesson.exercise_cells[id]
    title, cell, check, help_cell = lesson.cells[position - 1 : position + 3]
    assert re.search(rf"^### Exercise {re.escape(id)} · \S", title.source, re.MULTILINE)
    assert cell.source.startswith(f"# exercise {id}\n")
    assert help_cell.source == f'# hint("{id}")\n# solution("{id}")'
    hints = exercises_of(lesson.number)[id].hints
    assert len(hints) >= 2
    assert all(hint.endswith("?") for hint in hints), "hints are questions"
    wrong = [answer for answer in lesson.answers if answer.exercise == id and answer.phrase is not None]
    assert len(wrong) >= 2
    assert all(answer.phrase for answer in wrong), "a wrong answer's title says what the check must say"


@every_exercise
def test_the_rest_of_a_lesson_is_the_same_with_the_exercise_done_and_undone(lesson, id):
    """Both learners must get through it, and it is run with the exercise undone: so no name of a solution is
    used afterwards, unless a cell makes it anew."""
    position = lesson.exercise_cells[id]
    made, _ = names_of(lesson.solutions[id])
    for cell in lesson.cells[position + 2 :]:
        if cell.cell_type == "code" and cell.source != f'check("{id}")':
            anew, used = names_of(cell.source)
            assert not (made - anew) & used, cell.source
            made -= anew


def names_of(source: str) -> tuple[set[str], set[str]]:
    """The names that a cell makes, without what it imports, and those that it uses, in its functions
    too."""
    table = symtable.symtable(source, "cell", "exec")
    made = {name.get_name() for name in table.get_symbols() if name.is_assigned() and not name.is_imported()}
    used, tables = set(), [table]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {
            name.get_name()
            for name in table.get_symbols()
            if name.is_referenced() and (name.is_global() or table.get_type() == "module")
        }
    return made, used


@every_exercise
def test_a_solution_says_why(lesson, id):
    assert "#" in lesson.solutions[id]
    assert lesson.solutions[id].strip() not in lesson.cells[lesson.exercise_cells[id]].source


def test_no_answers_are_left_without_a_lesson():
    numbers = {f"{lesson}.py" for lesson in LESSONS}
    for folder in (NOTEBOOKS / "solutions", WRONG_ANSWERS, NOTEBOOKS / "classroom" / "checks"):
        assert {path.name for path in Path(folder).glob("lesson_*.py")} <= numbers


@every_lesson
def test_no_answer_hides_another_of_the_same_title(lesson):
    for file in (SOLUTIONS / f"{lesson}.py", WRONG_ANSWERS / f"{lesson}.py"):
        titles = re.findall(r"^# %% (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert len(titles) == len(set(titles))
