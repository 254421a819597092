"""What a lifespan has to do: exercise 3.1."""

import asyncio
import inspect
import tempfile
from pathlib import Path

import joblib
from fastapi import FastAPI

from ..answers import NotYet, named, shown

BROKEN = {"a path with no file": None, "a file that is no model": b"not a model\n", "an empty file": b""}


class WhileServing(Exception):
    """An error of the app, which is none of the lifespan's business."""


async def _enter(lifespan, path: Path, raises: Exception | None = None):
    """What `app.state` holds while the app serves, and what it holds afterwards; the app raises if asked."""
    app = FastAPI()
    app.state.path = path
    async with lifespan(app):
        state = dict(app.state._state)
        if raises:
            raise raises
    return state, dict(app.state._state)


def expect_it_survives(lifespan):
    """NotYet unless it loads a good file, survives a bad one, and leaves the app's own errors alone."""
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


def expect_one(lifespan):
    """What FastAPI can use: an `async def` with a `yield`, decorated."""
    if inspect.isasyncgenfunction(lifespan) or inspect.iscoroutinefunction(lifespan):
        raise NotYet(
            "`surviving_lifespan` cannot be opened and closed: expected `@asynccontextmanager` on the line "
            "above `async def`. Where did it go?"
        )
    undecorated = getattr(lifespan, "__wrapped__", None)
    if inspect.isasyncgenfunction(undecorated):
        return
    if inspect.iscoroutinefunction(undecorated):
        raise NotYet(
            "your lifespan has no `yield`, so it has no second half: expected a `yield` where the app "
            "serves. What did you write in its place, a `return`?"
        )
    if inspect.isgeneratorfunction(undecorated or lifespan):
        raise NotYet(
            "your lifespan is a plain `def`, which FastAPI cannot open in its event loop: expected "
            "`async def`. Which decorator goes with that?"
        )
    raise NotYet(
        f"`surviving_lifespan` is {shown(lifespan)}; expected an `async def` with a `yield`, decorated with "
        "`@asynccontextmanager`. Which of the three is another?"
    )


def _check_broken(lifespan, path, what):
    try:
        state, _ = asyncio.run(_enter(lifespan, path))
    except Exception as error:
        if "didn't yield" in str(error):
            raise NotYet(
                f"with {what}, the lifespan ended without coming to a `yield`; expected a server that "
                "starts. Which way does it take when loading fails?"
            ) from error
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
    if isinstance(reason, BaseException):
        raise NotYet(
            f"with {what}, `app.state.reason` is the error itself, {shown(reason)}; expected a text. What "
            "makes a text of an error?"
        )
    if not isinstance(reason, str) or not reason.strip():
        raise NotYet(
            f"with {what}, `app.state.reason` is {shown(reason)}; expected a text that says something. "
            "What can you say of an error whose own text is empty?"
        )


def _check_whole(lifespan, path):
    try:
        state, afterwards = asyncio.run(_enter(lifespan, path))
    except Exception as error:
        raise NotYet(f"with a good file, it raised {named(error)}. Where does it come from?") from error
    if state.get("model") != "a model" and afterwards.get("model") == "a model":
        raise NotYet(
            "with a good file, the model was not in `app.state.model` when the first request came. "
            "Does it come into memory before the `yield`, or after?"
        )
    if state.get("model") != "a model":
        value = "was never set" if "model" not in state else f"is {shown(state['model'])}"
        raise NotYet(
            f"with a good file, `app.state.model` {value}; expected the model that was loaded. What name "
            "did your lifespan give it, and can the routes find it there?"
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
