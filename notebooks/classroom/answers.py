"""What a check sees of a learner's work, and the words it answers with."""

import ast
import dis
import linecache
import math
import numbers
import reprlib
import traceback
from collections.abc import Callable


class NotTried(Exception):
    """The learner has not begun."""


class NotYet(Exception):
    """The answer is not right; the message says why, expected against got, and ends in a question."""


class Stop(BaseException):
    """Raised inside a check that has run out of time."""


class Answers:
    """What the learner has made so far: the notebook's names, and the text of the exercise's cell."""

    def __init__(self, id: str, namespace: dict):
        self._namespace = namespace
        self.running = None
        first_line = f"# exercise {id}"
        run = [cell for cell in namespace.get("In", ()) if cell.lstrip().startswith(first_line)]
        self.cell = run[-1] if run else ""

    def __getitem__(self, name):
        value = self._namespace.get(name, ...)
        if value is ...:
            raise NotTried
        return value

    def number(self, name: str) -> float:
        """The number called `name`; a NotYet for anything that is not a finite number."""
        value = self[name]
        if hasattr(value, "item") and getattr(value, "size", 0) == 1:
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise NotYet(f"`{name}` is {shown(value)}, expected one number. What does your cell store in it?")
        return float(value)

    def function(self, name: str) -> Callable:
        """The function called `name`, made safe to call: what it raises becomes a NotYet that names it."""
        function = self[name]
        if not callable(function):
            raise NotYet(
                f"`{name}` is {shown(function)}, expected a function. Has another line reused the name?"
            )
        if _is_stub(function):
            raise NotTried

        def call(*args, **kwargs):
            self.running = f"{name}({_arguments(args, kwargs)})"
            try:
                result = function(*args, **kwargs)
            except (Stop, NotYet, NotTried):
                raise
            except BaseException as error:
                raise NotYet(
                    f"`{self.running}` raised {named(error)}{_where(error)}. What did that line expect?"
                ) from error
            self.running = None
            return result

        return call

    def names_in(self, name: str) -> set[str]:
        """The names that the function called `name` uses, and those that functions inside it use."""
        code = getattr(self[name], "__code__", None)
        return _names_in(code) if code else set()

    def not_tried_if_cell_is(self, starter: str):
        """NotTried where the cell is still the one the lesson came with (comments and spaces aside)."""
        if not self.cell or _code(self.cell) == _code(starter):
            raise NotTried


def shown(value) -> str:
    """A value as a learner can read it: its repr, cut short, with the type where that helps."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    try:
        text = " ".join(short.repr(value).split())
    except Exception:
        text = "an object that cannot be printed"
    return text if isinstance(value, (bool, int, float, type(None))) else f"{text} (a {type(value).__name__})"


def _names_in(code) -> set[str]:
    inside = (constant for constant in code.co_consts if hasattr(constant, "co_names"))
    return set(code.co_names).union(*map(_names_in, inside))


def _arguments(args, kwargs) -> str:
    values = [reprlib.repr(value) for value in args]
    values += [f"{name}={reprlib.repr(value)}" for name, value in kwargs.items()]
    return " ".join(", ".join(values).split())[:80]


def named(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _where(error: BaseException) -> str:
    """The learner's line that raised: the innermost one that is in a notebook cell, without its path."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if "ipykernel_" in frame.filename or frame.filename.startswith("<ipython-input"):
            line = linecache.getline(frame.filename, frame.lineno or 0).strip()
            return f", at `{line}`" if line else ""
    return ""


def _is_stub(function) -> bool:
    """True where the body is `...`, `pass` or a docstring: nothing but returning None."""
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    steps = list(dis.get_instructions(code))
    loads = [step.argval for step in steps if step.opname in ("LOAD_CONST", "RETURN_CONST")]
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    return all(step.opname in idle for step in steps) and loads in ([None], [...])


def _code(cell: str) -> str:
    try:
        return ast.dump(ast.parse(cell))
    except SyntaxError:
        return cell
