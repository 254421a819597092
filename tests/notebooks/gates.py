"""A plugin for pytest, beside nbval (tests/conftest.py has it): while a lesson is run, the answers to each
exercise are tried in the same kernel, where the exercise stands.

What the checks said is kept for the tests of the gates, which then need not run the lesson once more. They
come after the lessons, in the same process (kit/progress.py)."""

from collections import defaultdict

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from tests.notebooks.lessons import LESSONS, NOTEBOOKS, Answer, Lesson

REMEMBER = "{} = dict(get_ipython().user_ns)"
RESTORE = """
for _name in set(get_ipython().user_ns) - set({0}):
    if not _name.startswith("_"):
        del get_ipython().user_ns[_name]
get_ipython().user_ns.update({{k: v for k, v in {0}.items() if k not in ("In", "Out") and k[0] != "_"}})
"""
SECONDS = 120

_verdicts: dict[str, dict[Answer, str]] = defaultdict(dict)
_lessons = {lesson.path: lesson for lesson in LESSONS}


class CellError(Exception):
    """What a cell raised."""


class Trial:
    """Tries the answers of a lesson that somebody else runs, cell by cell, in the kernel of `client`."""

    def __init__(self, lesson: Lesson, client: BlockingKernelClient) -> None:
        self._lesson, self._client = lesson, client
        self._exercises = {position: id for id, position in lesson.exercise_cells.items()}
        self.verdicts: dict[Answer, str] = {}

    def before(self, position: int) -> None:
        if position in self._exercises:
            self.run(REMEMBER.format("_before"))

    def after(self, position: int) -> None:
        """Each answer meets the names as they were before its exercise, and after its check, which the lesson
        has run with the exercise untouched, the names are as the lesson left them. An answer whose own cell
        raises gets that error for a verdict, for no check has seen it."""
        id = self._exercises.get(position - 1)
        if id is None:
            return
        self.run(REMEMBER.format("_after"))
        for answer in self._lesson.answers:
            if answer.exercise == id:
                self.run(RESTORE.format("_before"))
                try:
                    self.run(f"# exercise {id}\n{answer.code}")
                    self.verdicts[answer] = self.run(f'check("{id}")')
                except CellError as error:
                    self.verdicts[answer] = f"the answer's own cell raised {error}"
        self.run(RESTORE.format("_after"))

    def run(self, source: str) -> str:
        """What the code printed, on one line. Raises CellError."""
        printed = []

        def hear(message: dict) -> None:
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self._client.execute_interactive(
            source, timeout=SECONDS, output_hook=hear, allow_stdin=False, stop_on_error=False
        )["content"]
        if reply["status"] != "ok":
            raise CellError(f"{reply.get('ename')}: {reply.get('evalue')}")
        return " ".join("".join(printed).split())


def verdicts_of(lesson: Lesson) -> dict[Answer, str]:
    """What the check says of each answer: heard while nbval ran the lesson, or else in a run of its own."""
    if len(_verdicts[str(lesson)]) < len(lesson.answers):
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(NOTEBOOKS))
        try:
            trial = Trial(lesson, client)
            for position, cell in enumerate(lesson.cells):
                if cell.cell_type == "code":
                    trial.before(position)
                    try:
                        trial.run(cell.source)
                    except CellError:
                        if "raises-exception" not in cell.metadata.get("tags", []):
                            raise
                    trial.after(position)
        finally:
            client.stop_channels()
            manager.shutdown_kernel()
        _verdicts[str(lesson)] = trial.verdicts
    return _verdicts[str(lesson)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path not in _lessons)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    lesson = _lessons.get(item.path)
    if lesson is None or not hasattr(item, "cell"):
        return (yield)
    trial = item.parent.__dict__.setdefault("trial", Trial(lesson, item.parent.kernel.kc))
    position = item.parent.nb.cells.index(item.cell)
    trial.before(position)
    try:
        return (yield)
    finally:
        trial.after(position)
        _verdicts[str(lesson)] = trial.verdicts
