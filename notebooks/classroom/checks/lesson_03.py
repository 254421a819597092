"""The checks of lesson 03."""

import json

from pydantic import ValidationError

from ..exercises import NotTried, NotYet, exercise, shown
from . import lifespans, routes

# --- 3.1

LIFESPAN = """
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model = joblib.load(app.state.path)
    yield
"""


@exercise(
    "3.1",
    hints=(
        "Which line can fail, and with how many kinds of error?",
        "What has to be in `app.state.model` and in `app.state.reason` at the `yield`, in either case?",
        "What is the text of an `EOFError()`? Which part of an error always says something?",
        "Is the `yield` inside your `try`? What would it catch there?",
    ),
)
def a_lifespan_that_survives(answers):
    answers.not_tried_if_cell_is(LIFESPAN)
    lifespan = answers["surviving_lifespan"]
    lifespans.expect_one(lifespan)
    lifespans.expect_it_survives(lifespan)
    return "it starts whatever the file is like, says why it has no model, and leaves later errors alone."


# --- 3.2

CLIMATE = """
class Climate(BaseModel):
    celsius: float
    humidity: int
    open: bool
"""
RIGHT = {"celsius": 21.5, "humidity": 40, "open": False}
TAKE = {
    "the example": {},
    "a whole number of degrees": {"celsius": 21},
    "the lower ends": {"celsius": -40, "humidity": 0, "open": True},
    "the upper ends": {"celsius": 60, "humidity": 100},
}
REFUSE = {
    "What turns a text into a number, and how is that switched off?": {"celsius": "21.5"},
    "When is the number 1 a `true`?": {"open": 1},
    "Is 40.0 a whole number, or a number that happens to be whole?": {"humidity": 40.0},
    "What does pydantic do with a field that the class does not have, unless told otherwise?": {"lamp": 3},
    "What is the lowest temperature?": {"celsius": -41},
    "What is the highest temperature?": {"celsius": 61},
    "What is the lowest humidity?": {"humidity": -1},
    "What is the highest humidity?": {"humidity": 101},
    "Which type is a number that is neither NaN nor infinite?": {"celsius": float("nan")},
    "Is null a whole number?": {"humidity": None},
}


@exercise(
    "3.2",
    hints=(
        "What did `StrictFlower` have that `Climate` has not?",
        "Which of the three fields need a range, and how does `Field(ge=…, le=…)` give them one?",
        'After `model_config = ConfigDict(strict=True, extra="forbid")`, which wrong bodies still pass?',
    ),
)
def types_for_a_greenhouse(answers):
    answers.not_tried_if_cell_is(CLIMATE)
    climate = answers["Climate"]
    if not hasattr(climate, "model_validate"):
        raise NotYet(f"`Climate` is {shown(climate)}, expected a class with BaseModel behind it. Is it one?")
    for what, change in TAKE.items():
        body = RIGHT | change
        if error := _refusal(climate, body):
            raise NotYet(
                f"{json.dumps(body)} ({what}) was refused: {error}. Which of your rules is too strict?"
            )
    for question, change in REFUSE.items():
        body = RIGHT | change
        if not _refusal(climate, body):
            raise NotYet(f"{json.dumps(body)} was taken, expected a refusal. {question}")
    for field in RIGHT:
        body = {name: value for name, value in RIGHT.items() if name != field}
        if not _refusal(climate, body):
            raise NotYet(
                f"{json.dumps(body)} was taken, although `{field}` is missing, expected a refusal. What does "
                "pydantic take for a field that has a default and did not come?"
            )
    return f"{len(TAKE)} right bodies taken, {len(REFUSE) + len(RIGHT)} wrong ones refused."


def _refusal(model_class, body: dict) -> str:
    """Why the class refuses the body; "" if it takes it."""
    try:
        model_class.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}"
    return ""


# --- 3.3

GARDEN = """
MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
garden = FastAPI()

class Length(BaseModel):
    name: str
    value: float
    unit: str

# your route
"""


@exercise(
    "3.3",
    hints=(
        "Which two parameters has the function, and which of them stands in the path?",
        "Which type and which default make `unit` a query parameter that may be left out?",
        "What does the function do before `MEDIANS[name]`, and does it `raise` or `return` there?",
    ),
)
def a_route_of_your_own(answers):
    answers.not_tried_if_cell_is(GARDEN)
    garden = answers["garden"]
    routes.expect_medians(garden)
    return "four names in two units, and each mistake has the status that it should."


# --- 3.4


def _line(event: str, **fields) -> str:
    return json.dumps({"time": "2026-01-05 09:00:00,000", "level": "INFO", "event": event, **fields})


STARTED, LOADED = _line("Application startup complete."), _line("model loaded", version="3b0138498c8c")
MISSING, BROKEN_FILE = (
    _line("model not loaded", error="No such file: 'model.pkl'"),
    _line("model not loaded", error="EOFError()"),
)
NO_JSON = "UserWarning: Trying to unpickle estimator from version 1.0\n  warnings.warn(\n"
LOGS = {
    "a server that has a model": ([LOADED, STARTED], None),
    "a server that has not tried yet": ([STARTED], None),
    "an empty log": ([], None),
    "a server that found no file": ([MISSING, STARTED], "No such file: 'model.pkl'"),
    "a server with a warning in its log": ([NO_JSON, MISSING, STARTED], "No such file: 'model.pkl'"),
    "a server that failed twice, for two reasons": ([MISSING, STARTED, BROKEN_FILE], "EOFError()"),
    "a server that failed and then recovered": ([MISSING, STARTED, LOADED, _line("predicted", ms=0.7)], None),
    "a server that had a model, was started again, and then had none": (
        [LOADED, STARTED, _line("Shutting down"), MISSING, STARTED],
        "No such file: 'model.pkl'",
    ),
}
ASK = {
    "a server with a warning in its log": "Which lines are JSON, and what do you do with the others?",
    "a server that failed twice, for two reasons": "Which of the two holds now, the first or the last?",
    "a server that failed and then recovered": "What does `model loaded` say about the failure before it?",
    "a server that had a model, was started again, and then had none": (
        "Does `model loaded` say anything about a failure that comes after it?"
    ),
}


@exercise(
    "3.4",
    hints=(
        "What does `log.splitlines()` give, and with which character does every JSON line begin?",
        "If you walk through the lines with a variable `error = None`, when do you set it, and when do you "
        "set it back?",
    ),
)
def read_the_log(answers):
    why_no_model = answers.function("why_no_model")
    for what, (lines, expected) in LOGS.items():
        got = why_no_model("\n".join(lines))
        if got != expected:
            question = ASK.get(what, "Which line of that log decides?")
            if isinstance(got, dict):
                question = "Which part of that line is asked for?"
            if expected is None and not got:
                question = "What is asked for where nothing failed?"
            raise NotYet(f"for the log of {what}, expected {shown(expected)}, got {shown(got)}. {question}")
    return f"{len(LOGS)} logs read, and what was mended is not reported as broken."


# --- 3.5

FLOWERS = {
    "setosa": [5.1, 3.5, 1.4, 0.2],
    "versicolor": [7.0, 3.2, 4.7, 1.4],
    "virginica": [6.3, 3.3, 6.0, 2.5],
}


@exercise(
    "3.5",
    seconds=30,
    hints=(
        "Which file does the reason name, how many bytes has it, and how many has `MODEL`?",
        "What in the module `shutil` copies a file, and which path must the copy have?",
        "After you have done it, what makes the server look at the file again?",
    ),
)
def mend_it_while_it_runs(answers):
    answers.not_tried_if_cell_is("")
    patient = answers["patient"]
    if not getattr(patient, "alive", False):
        raise NotTried
    health = patient.get("/health").json()
    if health["status"] != "ok":
        raise NotYet(
            f"/health still says: {health['reason']}. Which file could it load, and is all of it there?"
        )
    log = patient.log.read_text(encoding="utf-8")
    if '"model not loaded"' not in log:
        raise NotYet(
            "this server never failed to load: it is another process, and who used the first was cut off. "
            "What can you change without starting anything?"
        )
    for number, (species, features) in enumerate(FLOWERS.items()):
        answer = patient.post("/predict", json={"features": features})
        if answer.status_code != 200 or answer.json() != {"prediction": [number]}:
            raise NotYet(
                f"it has a model again, but for a {species} it answers {answer.status_code} "
                f'{answer.text.strip()}, expected 200 {{"prediction":[{number}]}}. This server keeps '
                "the model that it has, so run the cell that starts `patient` again. Which file is the model "
                "of lesson 01?"
            )
    return "the same process that could not predict now does; its log has the failure and the recovery."
