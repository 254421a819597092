"""The checks of lesson 04."""

import os
import tempfile
import time
from pathlib import Path

from flask import Flask, request

from .. import ROOT
from ..exercises import NotYet, exercise, shown
from ..servers import serve
from . import routes
from .locks import CALLERS, LOCKS, CountingLock, call_together, taken
from .openings import opened_for_reading

FLOWER = {"features": [5.1, 3.5, 1.4, 0.2]}

# --- 4.1


def _lazy_app(loads: list, *, model_is_there: bool = True, features: int = 4) -> Flask:
    """An app with the guide's two routes; a load takes 0.2 s and leaves its mark in `loads`."""
    app, model = Flask("lazy"), []

    def has_model():
        if model_is_there and not model:
            time.sleep(0.2)
            model.append("a model")
            loads.append("a load")
        return bool(model)

    @app.post("/predict")
    def predict():
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or "features" not in body:
            return {"detail": "expected features"}, 400
        if not has_model():
            return {"detail": "no model"}, 503
        if len(body["features"]) != features:
            return {"detail": f"expected {features} features"}, 400
        return {"prediction": [0]}

    @app.get("/health")
    def health():
        return ({"status": "ok"}, 200) if has_model() else ({"status": "unavailable"}, 503)

    return app


@exercise(
    "4.1",
    hints=(
        "What does a load balancer do with every server, before it sends anyone there?",
        "How did this lesson call an app without any network?",
        "Which status does `/health` give with a model, and which without?",
    ),
)
def let_nobody_be_the_first(answers):
    warm_up = answers.function("warm_up")
    loads = []
    app = _lazy_app(loads)
    said = warm_up(app)
    if len(loads) != 1:
        raise NotYet(
            f"when warm_up(app) returned, the model had been loaded {len(loads)} times, expected 1. "
            "Which request makes this app load, and has it been answered when you return?"
        )
    app.test_client().post("/predict", json=FLOWER)
    if len(loads) != 1:
        raise NotYet("the first client after the warm-up loaded again. Which app did you warm up?")
    if said is not True:
        raise NotYet(
            f"with its model in memory, warm_up(app) returned {shown(said)}, expected True. "
            "What does the status of the answer tell you?"
        )
    said = warm_up(_lazy_app([], features=13))
    if said is not True:
        raise NotYet(
            f"for an app whose model takes 13 features, warm_up(app) returned {shown(said)}, expected True: "
            "the app has its model. Which of the two routes needs no features?"
        )
    said = warm_up(_lazy_app([], model_is_there=False))
    if said is not False:
        raise NotYet(
            f"for an app that cannot load its model, warm_up(app) returned {shown(said)}, expected False. "
            "What does the status of the answer tell you?"
        )
    return "one load, before anyone came, and the answer says whether it worked."


# --- 4.2

LAZY_MODEL = """
class LazyModel:
    def __init__(self, load):
        self.load, self.model, self.lock = load, None, threading.Lock()

    def get(self):
        with self.lock:
            if self.model is None:
                self.model = self.load()
            return self.model
"""


@exercise(
    "4.2",
    hints=(
        "Once the model is in memory, does a caller need the lock at all?",
        "Which question may be asked outside the lock, and has to be asked inside it once more?",
        "How many lines of the lesson's third `get_model` stand between `global model` and `return model`?",
    ),
    seconds=20,
)
def the_lock_in_the_right_place(answers):
    answers.not_tried_if_cell_is(LAZY_MODEL)
    loads, model = [], object()

    def load():
        time.sleep(0.2)
        loads.append("a load")
        return model

    lazy = answers["LazyModel"](load)
    locks = {name: CountingLock() for name, value in vars(lazy).items() if isinstance(value, LOCKS)}
    vars(lazy).update(locks)
    _check_first_callers(call_together(lazy.get), model, len(loads), taken(locks))
    before = taken(locks)
    for _ in range(CALLERS):
        if lazy.get() is not model:
            raise NotYet(
                "a later caller did not get the model. What does `get` return when it is there already?"
            )
    if taken(locks) > before:
        raise NotYet(
            f"the model is loaded once, good. But with it in memory, {CALLERS} requests took the lock "
            f"{taken(locks) - before} times, expected 0. They are queueing for it. Do they all need it?"
        )
    return f"{CALLERS} requests together made one load, and the next {CALLERS} never saw the lock."


def _check_first_callers(got: list, model, loads: int, taken: int):
    errors = [each for each in got if isinstance(each, Exception)]
    if errors:
        raise NotYet(f"`get` raised {errors[0]!r}. Which line does that come from?")
    if len(got) < CALLERS:
        raise NotYet(
            f"after 5 seconds only {len(got)} of {CALLERS} callers had an answer. "
            "Who holds the lock, and when is it let go?"
        )
    if loads != 1 and not taken:
        raise NotYet(
            f"{CALLERS} requests together loaded the model {loads} times, expected 1, and nobody took "
            "the lock that `__init__` made for all of them. What keeps the second one out while the first "
            "is loading?"
        )
    if loads != 1:
        raise NotYet(
            f"{CALLERS} requests together loaded the model {loads} times, expected 1. "
            "Each had seen None before it got the lock. What should it ask once it is inside?"
        )
    without = sum(each is not model for each in got)
    if without:
        raise NotYet(
            f"one load, but {without} of {CALLERS} callers came away without the model. "
            "What did they see while it was still loading?"
        )


# --- 4.3


@exercise(
    "4.3",
    hints=(
        "What does the real `get_model` keep in `failed`?",
        "What do `path.exists()` and `path.stat()` tell, and what does `stat()` do when there is no file?",
        "Which of the times in `path.stat()` changes when a file is written, and not when it is read?",
    ),
)
def when_is_it_worth_trying_again(answers):
    fingerprint = answers.function("fingerprint")
    with tempfile.TemporaryDirectory() as folder, opened_for_reading() as opened:
        path = Path(folder) / "model.pkl"
        missing = fingerprint(path)
        _same("the file was missing, and still is", missing, fingerprint(path))
        path.write_bytes(b"first model")
        os.utime(path, (1_000_000, 1_000_000))
        first = fingerprint(path)
        if str(path) in opened:
            raise NotYet(
                "the fingerprint read the file to make it, expected not a byte of it to be read: with 2 GB, "
                "each request would wait for that. Who knows something about a file without opening it?"
            )
        _other("the file has appeared", missing, first)
        time.sleep(0.05)
        _same("nothing has happened", first, fingerprint(path))
        os.utime(path, (2_000_000, 1_000_000))
        _same("somebody only read the file", first, fingerprint(path))
        path.write_bytes(b"other model")  # of the same size
        os.utime(path, (3_000_000, 3_000_000))
        later = fingerprint(path)
        _other("the file was replaced by another of the same size", first, later)
        os.utime(path, ns=(3_000_000_250_000_000, 3_000_000_250_000_000))
        _other("the file was replaced again a quarter of a second later", later, fingerprint(path))
        path.unlink()
        _other("the file has disappeared", first, fingerprint(path))
    return "it changes when the file does, and only then."


def _same(what: str, before, after):
    if before != after:
        raise NotYet(
            f"{what}, and the fingerprint changed from {shown(before)} to {shown(after)}; expected the same. "
            "What is in it that has nothing to do with the file's content?"
        )


def _other(what: str, before, after):
    if before == after:
        raise NotYet(
            f"{what}, and the fingerprint is still {shown(after)}; expected another. What does change then?"
        )


# --- 4.4

BROKEN = ROOT / ".kit" / "lesson_04" / "broken.pkl"


@exercise(
    "4.4",
    hints=(
        "Who wrote down that the model was loaded, and where?",
        'How does `server.log.read_text(encoding="utf-8")` look for each of the servers in this lesson?',
        'In which line of a log would `"loaded" in line` be true, although nothing was loaded?',
    ),
    seconds=60,
)
def look_without_touching(answers):
    is_loaded = answers.function("is_loaded")
    model = {"MODEL_PATH": str(ROOT / "models" / "iris" / "model.joblib")}
    with serve("minimal_flask", env=model, wait="port") as server:
        _expect(is_loaded(server), False, "that was started a moment ago and asked nothing")
        if "model loaded" in server.log.read_text(encoding="utf-8"):
            raise NotYet(
                "before you looked, the model was not loaded; now it is. What did your look set off?"
            )
        server.get("/health")
        _expect(is_loaded(server), True, "whose /health was asked, so that it loaded")
        for _ in range(60):
            server.post("/predict", json=FLOWER)
        _expect(is_loaded(server), True, "that loaded its model some while ago, and has predicted since")
    BROKEN.parent.mkdir(parents=True, exist_ok=True)
    BROKEN.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with serve("minimal_flask", env={"MODEL_PATH": str(BROKEN)}) as server:
        _expect(is_loaded(server), False, "whose file is no model, so that loading failed")
    return "three servers looked at, and none of them noticed."


def _expect(got, expected: bool, which: str):
    if got is None:
        raise NotYet(
            f"for a server {which}, is_loaded(server) gave None, expected {expected}. Does each way through "
            "it end in a `return`?"
        )
    if got is not expected:
        raise NotYet(
            f"for a server {which}, is_loaded(server) is {shown(got)}, expected {expected}. "
            "Which line of its log decides?"
        )


# --- 4.5


@exercise(
    "4.5",
    hints=(
        "Where does `load()` stand: in the factory, or in a view?",
        "What can a view see that was defined inside the factory, beside it?",
        "Which handler of this lesson answered for every refusal, the 405 included?",
    ),
)
def a_factory_that_loads_at_once(answers):
    create_app = answers.function("create_app")
    routes.expect_factory(create_app)
    return "loaded once, before anybody asked; two apps keep two models; every refusal is JSON."
