"""The checks of lesson 08. What they compare are counts, results and ratios with wide margins."""

import asyncio
import inspect
import math
import threading
import time

from fastapi.routing import APIRoute

from ..answers import named
from ..exercises import NotYet, exercise, shown
from . import views

# --- 8.1

COSTS = {"model": 300.0, "framework": 100.0}
WHOLE = {"model": 10, "framework": 5, "network": 2}  # whole numbers, which // and / divide differently
MANY = {"read": 10.0, "model": 30.0, "write": 40.0, "framework": 120.0}


@exercise(
    "8.1",
    hints=(
        "How long does the whole take before the change? What adds up a dictionary's values?",
        "Which part of that sum changes, and what does it become when it is `factor` times faster?",
        "A gain of 2 means half the time. Which of the two sums is divided by which?",
    ),
)
def what_it_would_gain(answers):
    gain = answers.function("gain")
    for costs, part, factor in (
        (COSTS, "model", 3),
        (MANY, "write", 4),
        (MANY, "read", 1_000_000),
        (MANY, "model", 1),
        (WHOLE, "model", 4),
        (WHOLE, "framework", 1.5),
    ):
        given = dict(costs)
        before, rest = sum(costs.values()), sum(costs.values()) - costs[part]
        expected = before / (rest + costs[part] / factor)
        said = gain(given, part, factor)
        case = f"for {costs}, `{part}` made {factor} times faster"
        if said is None:
            raise NotYet("expected a number, got None. Does your function end in a `return`?")
        if given != costs:
            raise NotYet(f"your function changed the dictionary it was given to {given}. Who else reads it?")
        if isinstance(said, (int, float)) and math.isclose(said, expected, rel_tol=1e-6):
            continue
        if isinstance(said, (int, float)) and said in divided_whole(before, rest, costs[part], factor):
            question = "That is what `//` gives, which drops what is behind the point. What does `/` give?"
        elif said == factor:
            question = "That is what the part gains. How much of the whole is the part?"
        elif isinstance(said, (int, float)) and math.isclose(said, 1 / expected, rel_tol=1e-6):
            question = "That is the new time as a share of the old. Which way round is a gain?"
        elif isinstance(said, (int, float)) and math.isclose(said, rest + costs[part] / factor, rel_tol=1e-6):
            question = "Those are microseconds after the change. Compared with what?"
        elif isinstance(said, (int, float)) and math.isclose(said, before / rest, rel_tol=1e-6):
            question = "You took the part away entirely. What is left of it?"
        else:
            question = "What is the whole before, and after?"
        raise NotYet(f"{case}, expected {expected:.3g}, got {shown(said)}. {question}")
    return "the whole before, divided by the whole after. No part can gain more than it has."


def divided_whole(before: float, rest: float, part: float, factor: float) -> tuple:
    """What the gain comes to with // in one place or in both."""
    return (
        before / (rest + part // factor),
        before // (rest + part / factor),
        before // (rest + part // factor),
    )


# --- 8.2

OFF_THE_LOOP = """
async def answer(predict, row):
    return predict([row])[0]
"""
REQUESTS, AT_ONCE = 12, 2
# One for all calls of the check: what a learner's cell makes once may belong to the loop that it met first.
loop = asyncio.new_event_loop()


class Witness:
    """A prediction of 20 ms that notes who runs it, and how many run at once."""

    def __init__(self) -> None:
        self.lock, self.running, self.most, self.threads = threading.Lock(), 0, 0, set()

    def __call__(self, rows: list) -> list:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.threads.add(threading.get_ident())
        time.sleep(0.02)
        with self.lock:
            self.running -= 1
        return [sum(row) for row in rows]


@exercise(
    "8.2",
    hints=(
        "In which thread does `predict` run when you call it in an `async def`?",
        "How large a pool allows two threads at most? Where is it made, if it is made once?",
        "`run_in_executor(pool, predict, [row])` gives something to await. Of what the await gives, which "
        "part is this row's?",
    ),
    seconds=20,
)
def off_the_loop(answers):
    answers.not_tried_if_cell_is(OFF_THE_LOOP)
    answer = answers["answer"]
    if not inspect.iscoroutinefunction(answer):
        raise NotYet(f"`answer` is {shown(answer)}, expected an `async def`. Who would await it?")
    for last in (False, False, True):
        try:
            witness = crowd(answer)
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(f"`answer(predict, row)` raised {named(error)}. Which line was that?") from error
        if witness.most == AT_ONCE:
            return f"{REQUESTS} requests at once, two predictions at a time, and the loop was free."
        if witness.most > AT_ONCE:
            raise NotYet(
                f"{witness.most} predictions ran at the same time, expected {AT_ONCE}. How many threads does "
                "the pool that you use have, and is it one pool for all requests?"
            )
        if last:  # the others may have been a busy moment
            raise NotYet(
                f"the predictions ran one at a time, expected {AT_ONCE} at once. What makes the second wait?"
            )


def crowd(answer) -> Witness:
    """Twelve requests at once; raises NotYet where an answer is wrong or the loop computed it."""
    witness = Witness()

    async def all_at_once() -> list:
        requests = (answer(witness, [number, 1]) for number in range(REQUESTS))
        return await asyncio.wait_for(asyncio.gather(*requests), timeout=10)

    try:
        found = loop.run_until_complete(all_at_once())
    except TimeoutError:
        raise NotYet("after 10 seconds there was still no answer. Which await never ends?") from None
    if inspect.iscoroutine(found[0]) or isinstance(found[0], asyncio.Future):
        raise NotYet("the answer is something that still has to be awaited. Where is the `await`?")
    if found == [[number + 1] for number in range(REQUESTS)]:
        raise NotYet(
            f"the row [0, 1] gave {found[0]}, expected 1. `predict` gives a list: whose is its first?"
        )
    if found != [number + 1 for number in range(REQUESTS)]:
        raise NotYet(
            f"for rows 0 to {REQUESTS - 1} expected 1 to {REQUESTS}, got {shown(found)}. Whose are they?"
        )
    if threading.get_ident() in witness.threads:
        raise NotYet(
            "`predict` ran in the event loop's own thread, expected another. Meanwhile, who was answered?"
        )
    return witness


# --- 8.3


class Bad(ValueError):
    """A row that cannot be predicted from."""


class Predict:
    """Doubles the number in each row; refuses all if one is negative. Counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, rows: list) -> list:
        rows = list(rows)
        self.calls.append(len(rows))
        if any(row[0] < 0 for row in rows):
            raise Bad(min(row[0] for row in rows))
        return [row[0] * 2 for row in rows]


BATCHES = (
    [[1], [2], [3]],
    [[7]],
    [[1], [-2], [3]],
    [[-1], [-5]],
    [[-4]],
    [[0], [1], [2], [3], [-9], [5]],
    [],
)


@exercise(
    "8.3",
    hints=(
        "Try all rows at once first. What do you know when that has worked, and what when it has raised?",
        "When the batch has failed: how do you find out which row it was? What if you ask for each alone?",
        "`except Exception as error:` catches it. What goes into the list in the place of a label?",
    ),
)
def one_bad_row(answers):
    answer_each = answers.function("answer_each")
    for rows in BATCHES:
        predict = Predict()
        said = answer_each([list(row) for row in rows], predict)
        case = f"for the rows {rows}, of which the negative are bad,"
        if said is None:
            raise NotYet("expected a list, got None. Does your function end in a `return`?")
        if not isinstance(said, list):
            raise NotYet(f"{case} expected a list, got {shown(said)}. What do you return?")
        if len(said) != len(rows):
            raise NotYet(f"{case} expected {len(rows)} answers, got {len(said)}. Who gets none?")
        for row, found in zip(rows, said, strict=True):
            if row[0] >= 0 and isinstance(found, Exception):
                raise NotYet(f"{case} the good row {row} got {named(found)}. Whose error is that?")
            if row[0] >= 0 and found != row[0] * 2:
                raise NotYet(f"{case} {row} got {shown(found)}, expected {row[0] * 2}. Is the order kept?")
            if row[0] < 0 and not isinstance(found, Exception):
                raise NotYet(f"{case} {row} got {shown(found)}, expected an exception. Where did it go?")
            if row[0] < 0 and found.args != (row[0],):
                raise NotYet(f"{case} {row} got another row's error, {named(found)}. Which is its own?")
        good = all(row[0] >= 0 for row in rows)
        if good and len(predict.calls) != (1 if rows else 0):
            times = len(predict.calls)
            raise NotYet(
                f"for {len(rows)} good rows `predict` was called {times} times, expected "
                f"{1 if rows else 0}. What was the batch for?"
            )
    return "one call when all is well, and nobody pays for a stranger's mistake."


# --- 8.4

COMPILED = """
class CarefulRoute(APIRoute):
    def get_route_handler(self):
        types, view = get_type_hints(self.endpoint), self.endpoint
        write = TypeAdapter(types.pop("return")).dump_json
        [(name, body_type)] = types.items()
        read = TypeAdapter(body_type).validate_json
        async def handle(request):
            answer = await view(**{name: read(await request.body())})
            return Response(write(answer), media_type="application/json")
        return handle
"""


@exercise(
    "8.4",
    hints=(
        "`own = super().get_route_handler()` is FastAPI's handler of this view. In which cases do you return "
        "it, and in which could your `handle` await it?",
        "`inspect.iscoroutinefunction(view)` knows an `async def`. What knows that a type is a pydantic "
        "model, and that it is a class at all?",
        "Where `read` raises a ValidationError, who knows how FastAPI answers, and has the body still?",
    ),
    seconds=30,
)
def what_the_compiler_does_not_know(answers):
    answers.not_tried_if_cell_is(COMPILED)
    route_class = answers["CarefulRoute"]
    if not (isinstance(route_class, type) and issubclass(route_class, APIRoute)):
        raise NotYet(f"`CarefulRoute` is {shown(route_class)}, expected a class made of APIRoute. Which one?")
    for view, what, path, question in views.VIEWS:
        ours, theirs = views.served(view, route_class, what), views.served(view, APIRoute, what)
        for sent, body in (
            (views.GOOD, "a good body"),
            (views.BAD, "a body that is not as the model wants"),
            (5, "the body 5"),
        ):
            got, expected = (client.post(path, json=sent) for client in (ours, theirs))
            if got.status_code != expected.status_code:
                if view is views.one_body and sent is views.BAD:
                    question = "Who would have known how FastAPI answers?"
                raise NotYet(
                    f"{what} and {body}: expected {expected.status_code} as from FastAPI, got "
                    f"{got.status_code}. {question}"
                )
            if got.json() != expected.json():
                question = "Whose words are these?" if view is views.one_body else question
                raise NotYet(
                    f"{what} and {body}: the status is right ({got.status_code}), and not the answer: "
                    f"expected {shown(expected.json())}, got {shown(got.json())}. {question}"
                )
    views.calls.clear()
    buggy = views.served(views.with_a_bug, route_class, "a view with a bug")
    status, called = buggy.post("/view", json=views.GOOD).status_code, views.calls
    if (status, len(called)) != (500, 1):
        raise NotYet(
            f"a view that raises a ValueError of its own was called {len(called)} times and gave {status}, "
            "expected once and 500: it is a bug, and no bad body. What is inside of your `try`?"
        )
    if views.interpreted(views.served(views.one_body, route_class, "")):
        raise NotYet(
            "every answer is right, and FastAPI gives them all: a view with one model went through "
            "`solve_dependencies`, expected it to be called directly. In which case do you return `handle`?"
        )
    return f"one view compiled, {len(views.VIEWS) - 1} left to FastAPI, and nobody can tell by the answers."
