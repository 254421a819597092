"""The checks of lesson 02."""

import hashlib
import io
import os
import pickle
import pickletools
import tempfile
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np

from ..exercises import NotYet, exercise, shown

_ran = []


def record(note):
    """What the booby-trapped files of these checks call when somebody loads them."""
    _ran.append(note)
    return note


class Trap:
    """Pickles as a call of `record`."""

    def __init__(self, note):
        self.note = note

    def __reduce__(self):
        return record, (self.note,)


@exercise(
    "2.1",
    hints=(
        "Which loop at the top of this lesson printed the names without loading anything?",
        "`pickletools.genops(data)` gives a step, its argument and its place. Which steps import a name?",
        "For a step called GLOBAL, what is its argument?",
    ),
)
def look_without_touching(answers):
    names_in = answers.function("names_in")
    for thing in (Trap("loaded"), ["builtins eval", "GLOBAL", np.arange(2.0)], {"no": "imports"}):
        data = pickle.dumps(thing, protocol=2)
        expected = [name for step, name, _ in pickletools.genops(data) if step.name == "GLOBAL"]
        _ran.clear()
        got = names_in(data)
        if _ran:
            raise NotYet(
                "your function loaded the file, and the file ran a function of its own choosing on your "
                "machine. What reads a pickle's steps without following them?"
            )
        if got is None:
            raise NotYet("`names_in` gave None, expected a list. Does it end in `return`?")
        if isinstance(got, str | bytes) or not hasattr(got, "__iter__"):
            raise NotYet(f"expected a list of names, got {shown(got)}. What collects several names?")
        got = list(got)
        if "GLOBAL" in got and "GLOBAL" not in expected:
            raise NotYet(
                f"expected the names that are imported, {expected}, got the names of the steps: "
                f"{shown(got)}. Which part of a step holds what it imports?"
            )
        if sorted(map(str, got)) != sorted(expected):
            question = "Which steps import a name?"
            if len(got) == len(expected):
                question = "Is each entry a text like those that the lesson printed, module and name?"
            raise NotYet(f"expected {expected}, got {shown(got)}. {question}")
    return "every name is there, and nothing was loaded to find them."


STARTER_2_2 = """
import io

def load_checked(path, expected):
    model = joblib.load(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise ValueError("these are not the bytes that were exported")
    return model
"""


class ReplacedMeanwhile(io.BytesIO):
    """An open file whose content is another one when somebody goes back to read it again."""

    def __init__(self, first: bytes, later: bytes):
        super().__init__(first)
        self._later = later

    def seek(self, *args):
        if self.tell():
            super().seek(0)
            self.truncate()
            self.write(self._later)
        return super().seek(*args)


class ChangesBetweenReadings(os.PathLike):
    """The path of one file at the first use, and of another from then on."""

    def __init__(self, first: Path, later: Path):
        self._paths = [first, later]

    def __fspath__(self):
        return str(self._paths.pop(0) if len(self._paths) > 1 else self._paths[0])

    __str__ = __fspath__

    def read_bytes(self):
        return Path(self).read_bytes()

    def open(self, *args, **kwargs):
        return ReplacedMeanwhile(self.read_bytes(), self._paths[-1].read_bytes())


@exercise(
    "2.2",
    hints=(
        "In which line does the file's own code run, and in which line is its hash compared?",
        "How often does the function read the file? What if somebody replaces the file between two readings?",
        "If `data = path.read_bytes()` comes first, what can the hash and `joblib.load` both be given?",
    ),
)
def check_first_then_load(answers):
    answers.not_tried_if_cell_is(STARTER_2_2)
    load_checked = answers.function("load_checked")
    with tempfile.TemporaryDirectory() as scratch:
        good, bad = Path(scratch, "good.pkl"), Path(scratch, "bad.pkl")
        joblib.dump({"weights": [1, 2, 3]}, good)
        joblib.dump(Trap("the stowaway"), bad)
        expected = hashlib.sha256(good.read_bytes()).hexdigest()

        if isinstance(_error_of(answers["load_checked"], good, expected), ValueError):
            raise NotYet(
                "the right file was refused, although its hash is the expected one, a text of 64 digits. "
                "What do you compare that text with?"
            )
        loaded = load_checked(good, expected)
        if loaded != {"weights": [1, 2, 3]}:
            raise NotYet(f"the right file: expected what it holds, got {shown(loaded)}. What is returned?")

        _ran.clear()
        refused = _error_of(answers["load_checked"], bad, expected)
        if _ran:
            raise NotYet(
                "a file with other bytes was refused, but too late: its code had already run. Which must "
                "come first, loading or comparing?"
            )
        if refused is None:
            raise NotYet("a file with other bytes: expected a ValueError, got none. What tells the caller?")
        if not isinstance(refused, ValueError):
            raise NotYet(
                f"a file with other bytes: expected ValueError, got {type(refused).__name__}. Which line "
                "raised it?"
            )

        _ran.clear()
        _error_of(answers["load_checked"], ChangesBetweenReadings(good, bad), expected)
        if _ran:
            raise NotYet(
                "the hash is compared first, good. But the file is read twice, and here it was replaced in "
                "between: the bytes that were hashed are not the bytes that were loaded. How can both "
                "use one reading?"
            )
    return "the bytes that were hashed are the bytes that were loaded, and no others run."


def _error_of(function, *args) -> Exception | None:
    try:
        function(*args)
    except Exception as error:
        return error
    return None


GOLDEN = [
    SimpleNamespace(features=[1.0, 2.0], prediction=0.0, probabilities=[0.9, 0.1]),
    SimpleNamespace(features=[3.0, 4.0], prediction=1.0, probabilities=[0.3, 0.7]),
    SimpleNamespace(features=[5.0, 6.0], prediction=1.0, probabilities=[0.45, 0.55]),
]


def _model(*answers):
    """A `predict` that gives these (prediction, probabilities) for the golden rows."""
    table = {tuple(row.features): answer for row, answer in zip(GOLDEN, answers, strict=True)}

    def predict(rows):
        found = [table[tuple(float(value) for value in row)] for row in rows]
        return np.array([p for p, _ in found]), np.array([share for _, share in found])

    return predict


@exercise(
    "2.3",
    hints=(
        "What do you get from `predict([row.features for row in golden])`?",
        "Two things must hold for each row: the prediction, and that its probabilities are near. Does "
        "`abs(a - b) < 0.001` work on arrays?",
        "How do you say that something holds for all rows, `any` or `all`?",
    ),
)
def golden_rows(answers):
    agrees = answers.function("agrees")
    same = [(row.prediction, row.probabilities) for row in GOLDEN]
    near = [(p, [share + 0.0007, 1 - share - 0.0007]) for p, (share, _) in same]
    cases = [
        (same, True, "the model that wrote the card", "What does your function return?"),
        (
            near,
            True,
            "probabilities that differ by 0.0007, which is within the tolerance",
            "How near is near enough?",
        ),
        (
            [(1.0, [0.1, 0.9]), *same[1:]],
            False,
            "another prediction for the first row",
            "Must all rows agree, or is one enough?",
        ),
        (
            [*same[:2], (0.0, [0.55, 0.45])],
            False,
            "another prediction for the last row",
            "Do you look at every row?",
        ),
        (
            [*same[:2], (1.0, [0.05, 0.95])],
            False,
            "the right predictions with probabilities far from the card's",
            "Do you compare the probabilities too?",
        ),
        (
            [same[0], (1.0, [0.302, 0.698]), same[2]],
            False,
            "one row's probabilities 0.002 from the card's, and all others equal",
            "Must each be near, or all of them on average?",
        ),
    ]
    for answered, expected, what, question in cases:
        got = agrees(_model(*answered), GOLDEN)
        if not isinstance(got, (bool, np.bool_)):
            raise NotYet(f"expected True or False, got {shown(got)}. What turns many comparisons into one?")
        if bool(got) != expected:
            raise NotYet(f"{what}: expected {expected}, got {got}. {question}")
    return "it accepts rounding and refuses another model."


@exercise(
    "2.4",
    hints=(
        "In `load`, which line runs first: the one that hashes, or the one that reads versions?",
        "Does the card's own text have a hash? What does `load` compare it with?",
        "Which error's sentence in the list above mentions a file that is not there?",
    ),
)
def name_the_failure(answers):
    raises = answers["raises"]
    if not isinstance(raises, dict):
        raise NotYet(
            f"expected the dictionary `raises`, got {shown(raises)}. Has another cell reused the name?"
        )
    right = {
        "one bit": ("HashMismatchError", "What is compared before anything reads the bytes?"),
        "the card says": ("VersionMismatchError", "Which check looks at that line of the card?"),
        "somebody edited": ("GoldenRowsError", "The model is the same; what does it no longer agree with?"),
        "only the card": ("FileMissingError", "What is the first thing that cannot be done?"),
    }
    given = {start: next((v for k, v in raises.items() if str(k).startswith(start)), ...) for start in right}
    if all(value is ... for value in given.values()):
        return answers["nothing was filled in"]
    for start, (expected, question) in right.items():
        got = given[start]
        if got is ...:
            raise NotYet(f"'{start} …' has no answer yet. {question}")
        name = getattr(got, "__name__", got)
        if name != expected:
            raise NotYet(f"'{start} …' does not raise {shown(name)}. {question}")
    return "all four. The next cell raises them for real."
