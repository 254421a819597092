"""The exercise machinery: a check never raises, never hangs, and says which of three states it found."""

import _thread
import time

import pytest
from classroom import exercises
from classroom.exercises import NotYet, exercise, judge


@pytest.fixture
def register(monkeypatch):
    """Registers a check as exercise 99.1."""
    monkeypatch.setattr(exercises, "_exercises", {})
    monkeypatch.setattr(exercises, "_hints_given", {})
    monkeypatch.setattr(exercises, "exercises_of", lambda lesson: exercises._exercises)

    def register(check, seconds=5):
        exercise("99.1", hints=("First?", "Second?"), seconds=seconds)(check)

    return register


def doubles(answers):
    double = answers.function("double")
    if double(3) != 6:
        raise NotYet(f"double(3) is {double(3)}, expected 6. Which operation doubles?")
    return "it doubles."


def state_of(function, register):
    register(doubles)
    verdict = judge("99.1", {"double": function})
    return verdict.state, verdict.message


def test_right(register):
    assert state_of(lambda x: 2 * x, register) == ("right", "it doubles.")


def test_wrong_says_expected_and_got(register):
    assert state_of(lambda x: x, register) == (
        "not yet",
        "double(3) is 3, expected 6. Which operation doubles?",
    )


def empty(x): ...


def documented(x):
    """Twice x."""


def passing(x):
    pass


@pytest.mark.parametrize("untouched", [..., empty, documented, passing])
def test_what_nobody_has_touched_is_not_tried_yet(untouched, register):
    assert state_of(untouched, register)[0] == "not tried yet"


def test_a_missing_name_is_not_tried_yet(register):
    register(doubles)
    assert judge("99.1", {}).state == "not tried yet"


def leaves(x):
    raise SystemExit


def never_returns_to_itself(x):
    return never_returns_to_itself(x)


@pytest.mark.parametrize(
    "function, named",
    [
        (lambda x: x / 0, "ZeroDivisionError"),
        (lambda: 1, "TypeError"),
        (leaves, "SystemExit"),
        (never_returns_to_itself, "RecursionError"),
        (6, "expected a function"),
    ],
)
def test_what_goes_wrong_in_the_answer_is_named(function, named, register):
    state, message = state_of(function, register)
    assert state == "not yet"
    assert named in message and message.endswith("?")


class Junk:
    def __eq__(self, other):
        raise RuntimeError("compared")

    def __repr__(self):
        raise RuntimeError("printed")

    __str__ = __repr__
    __hash__ = None


def test_an_answer_that_cannot_even_be_compared_is_not_yet(register):
    state, message = state_of(lambda x: Junk(), register)
    assert state == "not yet" and "RuntimeError" in message and message.endswith("?")


def stubborn(x):
    while True:
        try:
            while True:
                x += 1
        except Exception:
            pass


@pytest.mark.parametrize("loop", [stubborn, lambda x: [0 for _ in iter(int, 1)]])
def test_an_endless_loop_is_ended_and_named(loop, register):
    register(doubles, seconds=0.3)
    verdict = judge("99.1", {"double": loop})
    assert verdict.state == "not yet"
    assert "`double(3)` was still running" in verdict.message


def test_a_check_that_is_interrupted_ends_with_a_verdict(register):
    def interrupts_and_waits(x):
        _thread.interrupt_main()
        while True:
            time.sleep(0.01)

    register(doubles)
    verdict = judge("99.1", {"double": interrupts_and_waits})
    assert verdict.state == "not yet" and "when you stopped the check" in verdict.message


def test_what_the_answer_prints_is_kept_apart_from_the_verdict(register):
    register(doubles)
    verdict = judge("99.1", {"double": lambda x: print("x is", x) or 2 * x})
    assert (verdict.state, verdict.printed) == ("right", "x is 3\n")


@pytest.mark.parametrize("value", [True, "0.5", None, float("nan"), float("inf"), [1, 2], {}])
def test_a_number_is_one_finite_number(value, register):
    register(lambda answers: f"{answers.number('score')}")
    verdict = judge("99.1", {"score": value})
    assert verdict.state == "not yet" and "expected one number" in verdict.message


def test_a_cell_that_differs_only_in_comments_is_still_untouched(register):
    def changed(answers):
        answers.not_tried_if_cell_is("limit = 3\n")
        return "changed."

    register(changed)
    starter, spaced, edited = (
        "# exercise 99.1\nlimit = 3",
        "# exercise 99.1\n\nlimit  =  3  # mine",
        "# exercise 99.1\nlimit = 4",
    )
    for cells, state in (
        ([starter], "not tried yet"),
        ([spaced], "not tried yet"),
        ([edited], "right"),
        ([edited, starter, "print(1)"], "not tried yet"),
        ([], "not tried yet"),
    ):
        assert judge("99.1", {"In": cells}).state == state


def test_hints_come_one_after_the_other(register, capsys):
    register(doubles)
    for _ in range(3):
        exercises.hint("99.1")
    first, second, again = capsys.readouterr().out.splitlines()
    assert "hint 1 of 2: First?" in first and "hint 2 of 2: Second?" in second and again == first


@pytest.mark.parametrize("call", [exercises.check, exercises.hint, exercises.solution])
@pytest.mark.parametrize("id", ["98.7", "1.99", "", "x.y", 98.7, None])
def test_an_unknown_exercise_is_said_to_be_unknown(call, id, capsys):
    call(id)
    assert "no such exercise" in capsys.readouterr().out
