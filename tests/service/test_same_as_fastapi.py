"""What people write on FastAPI, in whichever style, answers on a compiled route as it does there."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Annotated

import httpx
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    Security,
    UploadFile,
)
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import SecurityScopes
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from apps.frameworks.fastapi_application import Application
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.tracing import UNTRACED


class Person(BaseModel):
    name: str = "nobody"


class Other(BaseModel):
    age: int = 1


class Renamed(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    kind: str = Field(alias="class")


class SerializedOtherwise(BaseModel):
    when: str = Field(serialization_alias="at")


async def somebody(request: Request) -> Person:
    return Person(name=request.headers["user-agent"])


def in_a_thread() -> Person:
    return Person(name="in a thread")


async def by_name(*, request: Request) -> str:
    return request.url.path


async def opened():
    yield Person(name="opened")


async def counted() -> object:
    return object()


async def lower(part: str) -> str:
    return part.lower()


async def scopes(found: SecurityScopes) -> str:
    return found.scope_str


SomebodyDep = Annotated[Person, Depends(somebody)]


async def body(person: Person) -> Person:
    return person


async def body_by_default(person: Person = Body()) -> Person:  # noqa: B008 - as many write it
    return person


async def body_embedded(person: Annotated[Person, Body(embed=True)]) -> Person:
    return person


async def body_embedded_by_default(person: Person = Body(embed=True)) -> Person:  # noqa: B008
    return person


async def body_that_may_be_missing(person: Person = Person(name="missing")) -> Person:  # noqa: B008
    return person


async def body_or_none(person: Person | None = None) -> Person:
    return person or Person(name="none")


def check(person: Person) -> Person:
    return Person(name="checked")


async def body_checked(person: Annotated[Person, AfterValidator(check)]) -> Person:
    return person


async def bodies(person: Person, other: Other) -> Person:
    return Person(name=f"{person.name} {other.age}")


async def body_and_a_number(person: Person, number: Annotated[int, Body()]) -> Person:
    return Person(name=f"{person.name} {number}")


async def form(person: Annotated[Person, Form()]) -> Person:
    return person


async def form_by_default(person: Person = Form()) -> Person:  # noqa: B008
    return person


async def query_model(person: Annotated[Person, Query()]) -> Person:
    return person


async def depends(person: SomebodyDep) -> Person:
    return person


async def depends_by_default(person: Person = Depends(somebody)) -> Person:  # noqa: B008
    return person


async def depends_on_a_thread(person: Annotated[Person, Depends(in_a_thread)]) -> Person:
    return person


async def depends_on_a_class(other: Annotated[Other, Depends()]) -> Person:
    return Person(name=f"{other.age}")


async def depends_on_what_is_opened(person: Annotated[Person, Depends(opened)]) -> Person:
    return person


async def depends_by_name(path: Annotated[str, Depends(by_name)]) -> Person:
    return Person(name=path)


async def body_and_dependency(person: Person, other: SomebodyDep) -> Person:
    return Person(name=person.name + other.name)


async def body_in_a_dependency(person: Annotated[Person, Depends(body)]) -> Person:
    return person


async def depends_twice(
    one: Annotated[object, Depends(counted)], other: Annotated[object, Depends(counted)]
) -> Person:
    return Person(name=f"{one == other}")


async def depends_anew(
    one: Annotated[object, Depends(counted, use_cache=False)],
    other: Annotated[object, Depends(counted, use_cache=False)],
) -> Person:
    return Person(name=f"{one == other}")


async def depends_on_a_part(part: Annotated[str, Depends(lower)]) -> Person:
    return Person(name=part)


async def security(path: Annotated[str, Security(scopes, scopes=["read"])]) -> Person:
    return Person(name=path)


async def cookie_by_default(session: str = Cookie("none")) -> Person:
    return Person(name=session)


async def upload(file: UploadFile) -> Person:
    return Person(name=file.filename)


async def connection(connection: HTTPConnection) -> Person:
    return Person(name=connection.url.path)


async def of_any_name(asked: Request) -> Person:
    return Person(name=asked.url.path)


async def header(user_agent: Annotated[str, Header()]) -> Person:
    return Person(name=user_agent)


async def number(number: int = 3) -> Person:
    return Person(name=f"{number}")


async def part(part: str) -> Person:
    return Person(name=part)


async def part_bounded(part: Annotated[str, Path(max_length=3)]) -> Person:
    return Person(name=part)


async def part_renamed(found: Annotated[str, Path(alias="part")]) -> Person:
    return Person(name=found)


async def part_checked(part: Annotated[str, AfterValidator(str.upper)]) -> Person:
    return Person(name=part)


async def part_as_number(part: int) -> Person:
    return Person(name=f"{part + 1}")


async def sets_a_header(response: Response) -> Person:
    response.headers["X-Own"] = "own"
    return Person()


async def in_the_background(tasks: BackgroundTasks) -> Person:
    tasks.add_task(str)
    return Person()


async def renamed() -> Renamed:
    return Renamed(kind="first")


async def renamed_from_a_dict() -> Renamed:
    return {"class": "first"}


async def serialized_otherwise() -> SerializedOtherwise:
    return SerializedOtherwise(when="now")


async def attributes() -> Person:
    return SimpleNamespace(name="of an object")


async def response() -> Person:
    return JSONResponse({"name": "as it is"}, 203)


async def plain() -> PlainTextResponse:
    return PlainTextResponse("plain")


async def text() -> str:
    return "text"


async def nothing() -> None:
    return None


async def in_parts() -> AsyncIterator[Person]:
    yield Person(name="first")
    yield Person(name="second")


async def refused() -> Person:
    raise HTTPException(204)


async def wrong() -> Person:
    return {"name": 1}


async def wrong_for_response() -> Response:
    return {"name": "a dict"}


def quoted(person: "Person") -> "Person":
    return person


async def quoted_too(person: "Person", other: "SomebodyDep") -> "Person":
    return Person(name=person.name + other.name)


async def two(first: str, person: Person) -> Person:
    return Person(name=first + person.name)


class View:
    """An endpoint, too."""

    async def __call__(self, person: Person) -> Person:
        return person


def thread() -> Person:
    return Person(name="of a thread")


async def people() -> list[Person]:
    return [Person(), Person(name="another")]


class Vendors(JSONResponse):
    media_type = "application/vnd.person+json"


NO_VIEWS = (check, counted, somebody, in_a_thread, by_name, lower, opened, scopes, two)
VIEWS = [one for one in vars().copy().values() if inspect.isfunction(one) and one.__module__ == __name__]
OPTIONS = {
    "with its own media type": (body, {"response_class": Vendors}),
    "as text": (plain, {"response_class": PlainTextResponse}),
    "created": (body, {"status_code": 201}),
    "without the alias": (renamed, {"response_model_by_alias": False}),
    "with parts": (body, {"response_model_include": {"name"}}),
    "guarded": (body, {"dependencies": [Depends(somebody)]}),
    "deprecated": (body, {"deprecated": True}),
    "of another model": (body, {"response_model": Other}),
    "of no model": (body, {"response_model": None}),
    "without what is not set": (body_that_may_be_missing, {"response_model_exclude_unset": True}),
    "with nothing": (body, {"response_model_include": set()}),
    "an object": (View(), {}),
    "a partial": (partial(two, "first"), {}),
}
CASES = {view.__name__: (view, {}) for view in VIEWS if view not in NO_VIEWS} | OPTIONS
BODIES = [
    ("application/json", b""),
    ("application/json", b"{"),
    ("application/json", b'{"name": "Ada"}'),
    ("application/json", b'{"person": {"name": "Ada"}, "other": {"age": 3}, "number": 4}'),
    ("application/x-www-form-urlencoded", b"name=Ada"),
    (
        "multipart/form-data; boundary=-",
        b'---\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n-----\r\n',
    ),
]


def answers(app: FastAPI, router: APIRouter, include) -> list[tuple]:
    """To a few requests of each kind: whether it is taken, and then with which status, headers and body. How
    a body is refused that is none, the servers say in their own words."""
    include(router)

    async def ask() -> list[tuple]:
        transport = httpx.ASGITransport(app=with_context(app), raise_app_exceptions=False)
        headers = {"User-Agent": "somebody"}
        found = []
        async with httpx.AsyncClient(transport=transport, base_url="http://a", headers=headers) as client:
            for path in ("/one", "/12"):
                for kind, content in BODIES:
                    answer = await client.post(
                        f"{path}?name=query&number=7", content=content, headers={"Content-Type": kind}
                    )
                    taken = answer.status_code < 400
                    told = answer.status_code, dict(answer.headers), answer.content
                    found.append((taken, *told) if taken else (taken,))
        return found

    return asyncio.run(ask())


def with_context(app):
    """As the middleware hands a request on, its body read."""

    async def call(scope, receive, send):
        headers = {name: value.decode() for name, value in scope["headers"]}
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        context = SimpleNamespace(
            body=body,
            content_type=headers[b"content-type"],
            content_encoding="",
            trace=UNTRACED,
            service=SimpleNamespace(settings=SimpleNamespace(max_json_depth=32)),
        )

        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay():
            return messages.pop() if messages else await asyncio.Event().wait()  # it stays connected

        await app({**scope, "context": context}, replay, send)

    return call


@pytest.mark.parametrize("case", CASES)
def test_a_view_of_any_signature_answers_as_on_fastapi(case):
    view, options = CASES[case]
    theirs, ours = APIRouter(), APIRouter(route_class=CompiledRoute)
    for router in (theirs, ours):
        router.post("/{part}", **options)(view)
    bare, app = FastAPI(), Application()
    expected = answers(bare, theirs, bare.include_router)
    assert answers(app, ours, app.add_router) == expected
    assert any(taken for taken, *_ in expected) or case == "wrong"
