"""Typed views are compiled, never lose what somebody added to them, and answer alike compiled or not."""

import asyncio
import json
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, HTTPException, Request
from flask import Flask, g, has_request_context

from apps import fastapi_app
from apps.servers.fastapi_views import Application, CompiledRoute
from apps.servers.flask_views import Application as FlaskApplication
from apps.servers.flask_views import typed
from apps.service.bodies import Answer


class Context(Answer):
    context: bool


def ask(app: Flask) -> dict:
    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://t") as client:
        return client.get("/context").json()


def flask(**options) -> FlaskApplication:
    app = FlaskApplication(__name__)

    @app.get("/context")
    @typed(**options)
    def context() -> Context:
        return Context(context=has_request_context())

    return app


def test_flask_makes_no_context_for_a_view_that_does_without_and_one_for_any_other():
    assert ask(flask(without_context=True)) == {"context": False}
    assert ask(flask()) == {"context": True}


@pytest.mark.parametrize("hook", ["before_request", "after_request", "teardown_request"])
def test_flask_hooks_see_every_request(hook):
    app, seen = flask(without_context=True), []

    @getattr(app, hook)
    def look(*given):
        g.seen = True
        seen.append(hook)
        return given[0] if given else None

    assert ask(app) == {"context": True}
    assert seen == [hook]


async def refuse():
    raise HTTPException(401)


def get(app, path: str = "/") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=with_exchange(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.get(path)

    return asyncio.run(ask())


def with_exchange(app):
    async def call(scope, receive, send):
        await app({**scope, "exchange": None}, receive, send)

    return call


@pytest.mark.parametrize("where", ["app", "router", "route", "view", "nowhere"])
def test_fastapi_dependencies_guard_every_route(where):
    guard = [Depends(refuse)]
    router = APIRouter(route_class=CompiledRoute, dependencies=guard if where == "router" else [])
    options = {"dependencies": guard if where == "route" else []}
    if where == "view":

        @router.get("/", **options)
        async def read(_: Annotated[None, Depends(refuse)]) -> Context:
            return Context(context=True)
    else:

        @router.get("/", **options)
        async def read() -> Context:
            return Context(context=True)

    app = Application(dependencies=guard if where == "app" else [])
    app.add_router(router)
    assert get(app).status_code == (200 if where == "nowhere" else 401)


def test_a_test_of_an_app_may_override_its_dependencies():
    async def who(request: Request) -> str:
        return "somebody"

    router = APIRouter(route_class=CompiledRoute)

    class Name(Answer):
        name: str

    @router.get("/")
    async def read(name: Annotated[str, Depends(who)]) -> Name:
        return Name(name=name)

    app = Application()
    assert app.add_router(router) == []
    assert get(app).json() == {"name": "somebody"}
    app.dependency_overrides[who] = lambda: "a fake"
    assert get(app).json() == {"name": "a fake"}


def test_a_signature_that_the_compiler_does_not_know_is_left_to_fastapi():
    router = APIRouter(route_class=CompiledRoute)

    @router.get("/query")
    async def query(number: int) -> Context:
        return Context(context=number > 1)

    @router.get("/thread")
    def thread() -> Context:
        return Context(context=True)

    @router.get("/known")
    async def known() -> Context:
        return Context(context=True)

    app = Application()
    assert app.add_router(router) == ["/query", "/thread"]
    assert get(app, "/query?number=2").json() == {"context": True}
    assert get(app, "/thread").json() == get(app, "/known").json() == {"context": True}


ROW = [5.1, 3.5, 1.4, 0.2]
TENSOR = {"name": "features", "shape": [1, 4], "datatype": "FP64", "data": ROW}
VALID = {
    "/predict": {"features": ROW},
    "/predict/batch": {"instances": [ROW, ROW]},
    "/v2/models/iris/infer": {"inputs": [TENSOR], "id": "mine"},
}
READS = [
    "/model",
    "/models",
    "/health/live",
    "/v2",
    "/v2/models/iris",
    "/v2/models/other",
    "/problems/overloaded",
]
READS += ["/docs/start.js", "/docs/nothing", "/problems/nothing", "/v2/models/iris/ready"]


def corpus(valid: dict) -> list[bytes]:
    """Bodies: the right one, each of its characters left out, and what JSON parsers disagree about."""
    text = json.dumps(valid)
    bodies = [text[:place] + text[place + 1 :] for place in range(len(text))]
    for value in ("NaN", "1e999", "-0", "1" * 400, "true", "null", '"5.1"', '"\\ud800"', "[5.1]", "{}", "5"):
        bodies.append(text.replace("5.1", value, 1))
    name = next(iter(valid))
    bodies += [
        text[:-1] + f', "{name}": 1' + "}",
        text[:-1] + ', "more": 1}',
        text + "x",
        "",
        "[]",
        "[" * 5000,
    ]
    return [text.encode(), *(body.encode() for body in bodies), b"\xff" + text.encode(), b'{"a": "\xff"}']


def test_compiled_or_fastapis_own_way_a_route_answers_alike(iris_root, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(iris_root / "models" / "iris"))
    monkeypatch.setenv("METRICS_PORT", "0")
    compiled = fastapi_app.create_app()
    monkeypatch.setattr(Application, "add_router", lambda app, router: app.include_router(router) or [])
    own = fastapi_app.create_app()
    requests = [("POST", path, body) for path, valid in VALID.items() for body in corpus(valid)]
    requests += [("GET", path, None) for path in READS] + [("HEAD", path, None) for path in READS]

    async def answers(app) -> list[tuple]:
        found = []
        transport = httpx.ASGITransport(app=app)
        client = httpx.AsyncClient(transport=transport, base_url="http://t")
        async with app.router.lifespan_context(app), client:
            while (await client.get("/health")).status_code == 503:
                await asyncio.sleep(0.02)
            for number, (method, path, body) in enumerate(requests):
                headers = {"Content-Type": "application/json", "X-Request-ID": str(number)}
                answer = await client.request(method, path, content=body, headers=headers)
                found.append((method, path, body, answer.status_code, answer.content))
        return found

    first, second = asyncio.run(answers(compiled)), asyncio.run(answers(own))
    assert first == second
    assert {answer[3] for answer in first} == {200, 400, 404}
