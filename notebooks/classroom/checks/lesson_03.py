"""The checks of lesson 03."""

import asyncio
import json
import tempfile
from pathlib import Path

import joblib
from fastapi import FastAPI
from pydantic import ValidationError

from ..answers import named
from ..exercises import NotTried, NotYet, exercise, shown

# --- 3.1

LIFESPAN = """
@asynccontextmanager
async def surviving_lifespan(app):
    app.state.model = joblib.load(app.state.path)
    yield
"""
BROKEN = {"a path with no file": None, "a file that is no model": b"not a model\n", "an empty file": b""}


class WhileServing(Exception):
    """An error of the app, which is none of the lifespan's business."""


async def _enter(lifespan, path: Path, raises: Exception | None = None):
    """What `app.state` holds after startup; the app then raises, if asked to."""
    app = FastAPI()
    app.state.path = path
    async with lifespan(app):
        state = dict(app.state._state)
        if raises:
            raise raises
    return state


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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pkl"
        joblib.dump("a model", path)
        _check_whole(lifespan, path)
        path.unlink()
        for what, content in BROKEN.items():
            if content is not None:
                path.write_bytes(content)
            _check_broken(lifespan, path, what)
        joblib.dump("a model", path)
        _check_serving(lifespan, path)
    return "it starts whatever the file is like, says why it has no model, and leaves later errors alone."


def _check_broken(lifespan, path, what):
    try:
        state = asyncio.run(_enter(lifespan, path))
    except Exception as error:
        raise NotYet(
            f"with {what}, the startup raised {named(error)}; expected a server that starts. "
            "Which errors does your `except` let through?"
        ) from error
    if state.get("model", ...) is not None:
        value = "missing" if "model" not in state else shown(state["model"])
        raise NotYet(
            f"with {what}, `app.state.model` is {value}; expected None. "
            "Which line sets it when loading fails?"
        )
    reason = state.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise NotYet(
            f"with {what}, `app.state.reason` is {shown(reason)}; expected a text that says something. "
            "What can you say of an error whose own text is empty?"
        )


def _check_whole(lifespan, path):
    try:
        state = asyncio.run(_enter(lifespan, path))
    except Exception as error:
        raise NotYet(f"with a good file, it raised {named(error)}. Where does it come from?") from error
    if state.get("model") != "a model":
        raise NotYet(
            "with a good file, the model was not in `app.state.model` when the first request came. "
            "Does it come into memory before the `yield`, or after?"
        )
    if state.get("reason") != "":
        raise NotYet(
            f"with a good file, `app.state.reason` is {shown(state.get('reason'))}; expected ''. "
            "Where do you set it when all is well?"
        )


def _check_serving(lifespan, path):
    try:
        asyncio.run(_enter(lifespan, path, raises=WhileServing()))
    except WhileServing:
        return
    except Exception:  # such as the RuntimeError of a generator that yields twice
        pass
    raise NotYet(
        "an error that came up while the app was serving did not come out again: your lifespan took it for a "
        "failed load. Which lines have to be inside the `try`?"
    )


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
    "Is every field required?": {"humidity": None},
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
    return f"{len(TAKE)} right bodies taken, {len(REFUSE)} wrong ones refused, and nothing was converted."


def _refusal(model_class, body: dict) -> str:
    """Why the class refuses the body; "" if it takes it."""
    try:
        model_class.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}"
    return ""


# --- 3.3


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
}
ASK = {
    "a server with a warning in its log": "Which lines are JSON, and what do you do with the others?",
    "a server that failed twice, for two reasons": "Which of the two holds now, the first or the last?",
    "a server that failed and then recovered": "What does `model loaded` say about the failure before it?",
}


@exercise(
    "3.3",
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
            raise NotYet(f"for the log of {what}, expected {shown(expected)}, got {shown(got)}. {question}")
    return f"{len(LOGS)} logs read, and what was mended is not reported as broken."


# --- 3.4


@exercise(
    "3.4",
    seconds=30,
    hints=(
        "Which file does the reason name, how many bytes has it, and how many has `MODEL`?",
        "Which function put a file in its place in the section before?",
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
    answer = patient.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]})
    if answer.status_code != 200 or answer.json() != {"prediction": [0]}:
        raise NotYet(
            f"it has a model again, but for a setosa it answers {answer.status_code} {answer.text.strip()}, "
            'expected 200 {"prediction":[0]}. Is that the model of lesson 01?'
        )
    return "the same process that could not predict now does; its log has the failure and the recovery."
