"""Exercises: `check("4.2")`, `hint("4.2")` and `solution("4.2")`.

How to add an exercise, say 4.2
1. In the lesson: a markdown cell `### Exercise 4.2 · …`; a code cell tagged `exercise-4.2` whose first line
   is `# exercise 4.2` and whose gaps are `...`; a code cell `check("4.2")`; and a code cell of two comments,
   `# hint("4.2")` and `# solution("4.2")`. The exercise cell must run as it stands.
2. In `checks/lesson_04.py` a function, which gets the learner's `Answers`:

       from ..exercises import NotYet, exercise

       @exercise("4.2", hints=("Who waits while the lock is held?", "Which line may be outside it?"))
       def lock_in_the_right_place(answers):
           get_model = answers.function("get_model")
           loads = ...
           if loads != 1:
               raise NotYet(f"8 requests loaded the model {loads} times, expected 1. What did each see?")
           return "one load, and nobody waits once it is done."

   `answers["name"]`, `answers.number("name")` and `answers.function("name")` say *not tried yet* by
   themselves where the name is missing or still `...` (or the function's body is). Where the cell starts
   with a working but faulty version, begin with `answers.not_tried_if_cell_is(STARTER)`. `answers.cell` is
   the text of the cell. Name the likely mistakes first: `NotYet` says what was expected and what came, and
   ends in a question. A check that starts a server gets `seconds=30` in its decorator.
3. In `solutions/lesson_04.py` a cell `# %% 4.2`, with comments that say why.
4. In `tests/notebooks/wrong_answers/lesson_04.py` three cells or more `# %% 4.2 | what the check must say`.
   A file of answers has `# ruff: noqa` at its top: its names are the notebook's.
5. `.venv/bin/python notebooks/classroom/store_outputs.py 04`, then
   `python kit.py test tests/notebooks -k lesson_04`.

A check never raises and never hangs: what the learner's code does wrong becomes a *not yet* that names it.
"""

import contextlib
import ctypes
import importlib
import importlib.util
import io
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .answers import Answers, NotTried, NotYet, Stop, named, shown

__all__ = ["NotTried", "NotYet", "check", "exercise", "hint", "judge", "shown", "solution"]

SOLUTIONS = Path(__file__).resolve().parents[1] / "solutions"
WIDTH = 96


@dataclass(frozen=True)
class Exercise:
    id: str
    check: Callable
    hints: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """What a check found: `state` is "not tried yet", "not yet", "right" or "no such exercise"."""

    state: str
    message: str
    printed: str = ""


_exercises: dict[str, Exercise] = {}
_hints_given: dict[str, int] = {}


def exercise(id: str, *, hints: tuple[str, ...], seconds: float = 10):
    """Register the decorated function as the check of exercise `id`; it may run for `seconds`."""

    def register(check):
        _exercises[id] = Exercise(id, check, tuple(hints), seconds)
        return check

    return register


def exercises_of(lesson: int) -> dict[str, Exercise]:
    """Every exercise of a lesson, by id. A lesson without a checks file has none."""
    name = f"{__package__}.checks.lesson_{lesson:02d}"
    if importlib.util.find_spec(name) is None:
        return {}
    importlib.import_module(name)
    return {id: found for id, found in _exercises.items() if id.startswith(f"{lesson}.")}


def cells_by_id(path: Path) -> dict[str, str]:
    """The cells of a file of answers: what follows `# %% ` on its first line → the cell's code."""
    if not path.is_file():
        return {}
    _, *cells = ("\n" + path.read_text(encoding="utf-8")).split("\n# %% ")
    return {title.strip(): code.strip() for title, _, code in (cell.partition("\n") for cell in cells)}


def judge(id: str, namespace: dict) -> Verdict:
    """What the check of exercise `id` says of these names. Never raises; ends within the check's seconds."""
    known = _known(id)
    if str(id) not in known:
        listed = ", ".join(known) or "none"
        return Verdict("no such exercise", f"the exercises of this lesson are: {listed}.")
    return _in_time(known[str(id)], Answers(str(id), namespace))


def check(id: str) -> None:
    """Say how the exercise stands: not tried yet, not yet (and why), or right."""
    verdict = judge(id, _notebook_names())
    if verdict.printed:
        print("your code printed:")
        print(textwrap.indent("\n".join(verdict.printed.splitlines()[-8:]), "    "))
    _say(f"{id} · {verdict.state}: {verdict.message}")


def hint(id: str) -> None:
    """Give the next hint; after the last one, start again."""
    id, known = str(id), _known(id)
    if id not in known:
        return check(id)
    hints = known[id].hints
    number = _hints_given.get(id, 0) % len(hints) + 1
    _hints_given[id] = number
    more = f'hint("{id}") again for the next' if number < len(hints) else "this was the last"
    _say(f"{id} · hint {number} of {len(hints)}: {hints[number - 1]} ({more})")


def solution(id: str) -> None:
    """Print the exercise's solution."""
    id = str(id)
    if id not in _known(id):
        return check(id)
    lesson = int(id.split(".")[0])
    print(f"{id} · one solution:\n")
    print(cells_by_id(SOLUTIONS / f"lesson_{lesson:02d}.py").get(id, "(its file is missing)"))


def _known(id) -> dict[str, Exercise]:
    """The exercises of the lesson that `id` belongs to; none where no lesson has such a number."""
    try:
        return exercises_of(int(str(id).split(".")[0]))
    except ValueError:
        return {}


def _in_time(exercise: Exercise, answers: Answers) -> Verdict:
    """Run the check in a thread of its own, so that a learner's endless loop ends when time is up."""
    found, printed = [], io.StringIO()

    def run():
        with contextlib.suppress(Stop):
            found.append(_verdict(exercise, answers))

    thread = threading.Thread(target=run, daemon=True, name=f"check {exercise.id}")
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        deadline = time.monotonic() + exercise.seconds
        ended = f"was still running after {exercise.seconds:g} seconds. What makes it stop?"
        try:
            thread.start()
            while thread.is_alive() and time.monotonic() < deadline:
                thread.join(0.05)
        except KeyboardInterrupt:
            ended = "was still running when you stopped the check. Was it about to end?"
        running = f"`{answers.running}`" if answers.running else "your code"
        for _ in range(20):  # a bare `except:` in the learner's loop can swallow one Stop, so send several
            if not thread.is_alive():
                break
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stop))
            thread.join(0.05)
    state, message = (found or [("not yet", f"{running} {ended}")])[0]
    return Verdict(state, message, printed.getvalue())


def _verdict(exercise: Exercise, answers: Answers) -> tuple[str, str]:
    try:
        return "right", exercise.check(answers)
    except NotTried:
        return "not tried yet", "change the cell above, run it, then run this one again."
    except NotYet as reason:
        return "not yet", str(reason)
    except Stop:
        raise
    except BaseException as error:
        return "not yet", (
            f"the check could not make sense of your answer and stopped with {named(error)}. "
            "Is each value of the kind the text asks for?"
        )


def _notebook_names() -> dict:
    from IPython import get_ipython

    shell = get_ipython()
    return shell.user_ns if shell else {}


def _say(text: str) -> None:
    print(
        textwrap.fill(text, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    )
