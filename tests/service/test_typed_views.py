"""Typed views of FastAPI are compiled, lose nothing that somebody added, and answer alike compiled or not."""

import asyncio
import json
from datetime import date
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, ValidationError

from apps import fastapi_app
from apps.frameworks.fastapi_application import Application
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.bodies import Answer, Body, reader
from apps.service.problems import Problem


class Context(Answer):
    context: bool


class Person(Answer):
    name: str


async def refuse():
    raise HTTPException(401)


def asked(app, path: str = "/", method: str = "GET") -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=with_exchange(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


def with_exchange(app):
    async def call(scope, receive, send):
        await app({**scope, "context": None}, receive, send)

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
    assert asked(app).status_code == (200 if where == "nowhere" else 401)


def test_a_test_of_an_app_may_override_its_dependencies():
    async def who(*, request: Request) -> str:
        return "somebody"

    router = APIRouter(route_class=CompiledRoute)

    class Name(Answer):
        name: str

    @router.get("/")
    async def read(name: Annotated[str, Depends(who)]) -> Name:
        return Name(name=name)

    app = Application()
    assert app.add_router(router) == []
    assert asked(app).json() == {"name": "somebody"}
    app.dependency_overrides[who] = lambda: "a fake"
    assert asked(app).json() == {"name": "a fake"}


def test_a_dependency_of_two_is_called_once_a_request():
    """As FastAPI has it, unless it is told otherwise: one that pays for a request pays once."""
    paid = []

    async def pay(request: Request) -> int:
        paid.append(request.url.path)
        return len(paid)

    async def who(number: Annotated[int, Depends(pay)]) -> str:
        return f"customer {number}"

    router = APIRouter(route_class=CompiledRoute)

    @router.get("/")
    async def read(number: Annotated[int, Depends(pay)], name: Annotated[str, Depends(who)]) -> Person:
        return Person(name=f"{name} of {number}")

    app = Application()
    assert app.add_router(router) == ["/"]
    assert asked(app).json() == {"name": "customer 1 of 1"} and paid == ["/"]


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
    assert asked(app, "/query?number=2").json() == {"context": True}
    assert asked(app, "/thread").json() == asked(app, "/known").json() == {"context": True}


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


def test_compiled_or_fastapis_own_way_a_route_answers_alike(model, monkeypatch):
    compiled = fastapi_app.create_app()
    monkeypatch.setattr(Application, "add_router", lambda app, router: app.include_router(router) or [])
    own = fastapi_app.create_app()
    requests = [("POST", path, body) for path, valid in VALID.items() for body in corpus(valid)]
    requests += [("GET", path, None) for path in READS] + [("HEAD", path, None) for path in READS]

    async def answers(app) -> list[tuple]:
        found = []
        transport = httpx.ASGITransport(app=app)
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
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


class Account(Person):
    password: str


def test_an_answer_holds_what_its_type_has_and_no_more():
    router = APIRouter(route_class=CompiledRoute)
    stored = {"name": "Ada", "password": "secret"}

    @router.get("/subclass")
    async def subclass() -> Person:
        return Account(**stored)

    @router.get("/model", response_model=Person)
    async def model() -> Account:
        return Account(**stored)

    @router.get("/excluded", response_model_exclude={"password"})
    async def excluded() -> Account:
        return Account(**stored)

    @router.get("/response")
    async def response() -> Person:
        return JSONResponse({"name": "Ada"})

    app = Application()
    assert app.add_router(router) == ["/model", "/excluded"]
    for path in ("/subclass", "/model", "/excluded", "/response"):
        assert asked(app, path).json() == {"name": "Ada"}, path


def test_a_dict_is_validated_before_it_is_an_answer():
    router = APIRouter(route_class=CompiledRoute)

    @router.get("/right")
    async def right() -> Context:
        return {"context": True}

    @router.get("/more")
    async def more() -> Context:
        return {"context": True, "password": "secret"}

    app = Application()
    assert app.add_router(router) == []
    assert asked(app, "/right").json() == {"context": True}
    with pytest.raises(ValidationError):
        asked(app, "/more")


class Token(BaseModel):
    username: str


class Dated(Body):
    """Of types that only pydantic knows, or knows otherwise."""

    day: date
    tags: list[str] = Field(default_factory=list)
    who: str = Field(alias="from", default="nobody")
    secret: bytes = b""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"day": "2026-11-27", "from": "me", "secret": "plain"}', 200),
        (b'{"day": "tomorrow"}', 400),
        (b'{"day": "2026-11-27", "day": "2026-11-27"}', 400),
        (b'{"day": "2026-11-27", "more": 1}', 400),
        (b'{"day": "2026-11-27"', 400),
        (b'{"day": "2026-11-27", "from": "\xff"}', 400),
        (b"[" * 100, 400),
    ],
)
def test_a_body_of_any_pydantic_model_is_read_and_refused_without_its_words(body, status):
    read = reader(Dated)
    if status == 200:
        found = read(body, 32)
        assert (found.who, found.tags, found.secret) == ("me", [], b"plain")
        return
    with pytest.raises(Problem) as refused:
        read(body, 32)
    assert refused.value.status == status
    assert "tomorrow" not in refused.value.detail and "more" not in refused.value.detail


def test_a_form_stays_a_form():
    router = APIRouter(route_class=CompiledRoute)

    @router.post("/token")
    async def token(form: Annotated[Token, Form()]) -> Person:
        return Person(name=form.username)

    app = Application()
    assert app.add_router(router) == ["/token"]

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=with_exchange(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/token", data={"username": "Ada"})

    assert asyncio.run(post()).json() == {"name": "Ada"}


class Refused(Exception):
    pass


def test_a_view_that_is_called_at_once_has_the_handlers_of_its_app():
    router = APIRouter(route_class=CompiledRoute)

    @router.get("/")
    async def read() -> Person:
        raise Refused

    app = Application()
    assert app.add_router(router) == []

    @app.exception_handler(Refused)
    async def refused(request, error):
        return JSONResponse({"refused": request.url.path}, 403)

    answer = asked(app)
    assert (answer.status_code, answer.json()) == (403, {"refused": "/"})


def test_head_makes_nothing_of_what_comes_in_parts():
    made, router = [], APIRouter(route_class=CompiledRoute)

    def parts():
        made.append("part")
        yield b"part"

    @router.get("/any")
    async def anything() -> Response:
        return StreamingResponse(parts(), media_type="text/csv", headers={"X-Kind": "any"})

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts(), media_type="text/csv", headers={"X-Kind": "stream"})

    app = Application()
    assert app.add_router(router) == []
    for path in ("/any", "/stream"):
        head, whole = asked(app, path, "HEAD"), asked(app, path)
        assert (head.content, whole.content) == (b"", b"part") and head.headers == whole.headers
    assert made == ["part"] * 2
