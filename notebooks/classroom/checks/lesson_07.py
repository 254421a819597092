"""The checks of lesson 07."""

import math

from ..collector import Span
from ..exercises import NotYet, exercise, shown

# --- 7.1

LINES = [
    {"event": "model loaded", "model": "iris"},
    {"event": "request", "route": "/predict", "status": 200},
    {"event": "request", "route": "/predict", "status": 400, "problem": "invalid-json"},
    {"event": "request", "route": "/predict", "status": 400, "problem": "out-of-range"},
    {"event": "fault", "problem": "not one of a request"},
    {"event": "request", "route": "other", "status": 404, "problem": "not-found"},
    {"event": "request", "route": "/predict", "status": 400, "problem": "out-of-range"},
    {"event": "request", "route": "other", "status": 404, "problem": "not-found"},
    {"event": "request", "route": "/predict", "status": 400, "problem": "out-of-range"},
]
COUNTED = {"out-of-range": 3, "not-found": 2, "invalid-json": 1}


@exercise(
    "7.1",
    hints=(
        "Which lines have a problem at all, and how do you ask a dictionary for a name that it may lack?",
        "`collections.Counter` counts what you give it. Which of its methods gives the most frequent first?",
        "Is every line with a problem a request? What does its `event` say?",
    ),
)
def what_went_wrong(answers):
    problems = answers.function("problems")
    given = [dict(line) for line in LINES]
    said = problems(given)
    if said is None:
        raise NotYet("expected a dictionary, got None. Does your function end in a `return`?")
    if not hasattr(said, "items"):
        raise NotYet(f"expected a dictionary, got {shown(said)}. `dict(…)` makes one of pairs: of which?")
    said = dict(said)
    if None in said or "" in said:
        raise NotYet("you count requests that went well, as a problem without a name. Which lines have none?")
    if "not one of a request" in said:
        raise NotYet("you count a line whose event is 'fault'. Which event do requests have?")
    if set(said) != set(COUNTED):
        raise NotYet(
            f"expected the problems {sorted(COUNTED)}, got {shown(sorted(map(str, said)))}. Which differ?"
        )
    if said != COUNTED:
        raise NotYet(f"expected {COUNTED}, got {shown(said)}. Is each line counted once?")
    if list(said) != list(COUNTED):
        raise NotYet(f"the counts are right, and their order is {list(said)}. Which comes first?")
    if problems([]) not in ({}, None):
        raise NotYet(f"for no line at all expected {{}}, got {shown(problems([]))}. What is there to count?")
    return "counted by problem, the most frequent first, and nothing that went well."


# --- 7.2

STEADY = [(0, 100), (10, 150), (20, 200)]
UNEVEN = [(5, 0), (6, 8), (15, 10)]
RESTARTED = [(0, 990), (10, 1000), (20, 5), (30, 15)]
TWICE = [(0, 50), (10, 20), (20, 10)]


@exercise(
    "7.2",
    hints=(
        "How much did the counter gain between two neighbouring readings, if nothing was started again?",
        "`zip(readings, readings[1:])` gives each reading with the next. What is the gain where the next is "
        "smaller?",
        "Per second of what time: between two readings, or from the first to the last?",
    ),
)
def a_rate_that_survives(answers):
    rate = answers.function("rate")
    for readings, expected, question in (
        (STEADY, 5.0, "What does one divide by: the readings, or the seconds?"),
        (UNEVEN, 1.0, "Are the readings equally far apart, and does the time begin at 0?"),
        (RESTARTED, 25 / 30, "After a restart the counter went from 0 to the new value: what did it gain?"),
        (TWICE, 30 / 20, "It was started again twice here. What was gained each time?"),
    ):
        said = rate(list(readings))
        if said is None:
            raise NotYet("expected a number, got None. Does your function end in a `return`?")
        if isinstance(said, (int, float)) and said < 0:
            raise NotYet(f"{readings} gave a negative rate, {said:g}. Can a counter lose what it counted?")
        if not isinstance(said, (int, float)) or not math.isclose(said, expected, rel_tol=1e-6):
            raise NotYet(f"for {readings} expected {expected:g}, got {shown(said)}. {question}")
    return "right on steady and uneven readings, and through two restarts."


# --- 7.3


def spans_of(*rows) -> list[Span]:
    """(name, its id, its parent's id, start, end) → spans of one trace."""
    return [Span(name, "trace", id, parent, start, end, {}) for name, id, parent, start, end in rows]


TRACES = (
    (
        spans_of(("alone", "a", "", 5, 25)),
        {"alone": 20},
        "How long is a span that called nobody?",
    ),
    (
        spans_of(("predict", "c", "a", 4, 9), ("validate", "b", "a", 1, 3), ("request", "a", "", 0, 10)),
        {"predict": 5, "validate": 2, "request": 3},
        "The request lasts 10, and its two children 5 and 2 of that. What is left?",
    ),
    (
        spans_of(("request", "a", "far", 0, 100), ("predict", "b", "a", 30, 90), ("load", "c", "b", 40, 70)),
        {"request": 40, "predict": 30, "load": 30},
        "`load` is the child of `predict`, and not of the request. From whose time is it taken?",
    ),
)


@exercise(
    "7.3",
    hints=(
        "How long is each span, its children included?",
        "For one span: which of the others have its `span_id` as their `parent_id`?",
        "May a grandchild be taken away from its grandparent, if the child has been already?",
    ),
)
def its_own_time(answers):
    own_time = answers.function("own_time")
    for spans, expected, question in TRACES:
        said = own_time(list(spans))
        told = ", ".join(f"{span.name} {span.start} to {span.end}" for span in spans)
        if said is None:
            raise NotYet("expected a dictionary, got None. Does your function end in a `return`?")
        if not hasattr(said, "items"):
            raise NotYet(f"expected a dictionary of names and times, got {shown(said)}. What do you return?")
        if missing := sorted(set(expected) - set(said)):
            raise NotYet(f"for {told}: {' and '.join(missing)} is missing. Which spans do you go through?")
        if said != expected:
            if said == {span.name: span.end - span.start for span in spans}:
                question = "These are whole lengths. What of them did the children take?"
            raise NotYet(f"for {told}: expected {expected}, got {shown(said)}. {question}")
    return "the time of each span, and of none of its children."


# --- 7.4

CASES = (
    ([0, 9, 9, 9, 0], 5, 3, 3, "Three readings in a row are above 5: at which of them is that known?"),
    ([9, 0, 9, 0, 9, 0], 5, 3, None, "Is it three *in a row*?"),
    ([0, 9, 9, 0, 9, 9, 9, 9], 5, 3, 6, "What becomes of a run when a reading is good again?"),
    ([5, 5, 5, 5], 5, 2, None, "Is 5 above 5?"),
    ([0, 9, 9], 5, 3, None, "How many bad readings are there at the end?"),
    ([9], 5, 1, 0, "With `hold` 1, the first bad reading is enough. Which index has it?"),
    ([], 5, 2, None, "What is there to fire at?"),
)


@exercise(
    "7.4",
    hints=(
        "What do you have to remember from one reading to the next?",
        "Count how many in a row were above the limit. What sets that count back to 0?",
        "`enumerate(readings)` gives the index as well. When is the count as long as `hold`?",
    ),
)
def for_five_minutes(answers):
    fires = answers.function("fires")
    for readings, limit, hold, expected, question in CASES:
        said = fires(list(readings), limit, hold)
        if said is False or (said is None) != (expected is None) or said != expected:
            case = f"for {readings}, limit {limit}, hold {hold}"
            raise NotYet(f"{case} expected {expected}, got {shown(said)}. {question}")
    return "it waits for the whole run, and forgets a run that was broken."
