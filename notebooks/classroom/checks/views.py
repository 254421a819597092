"""Views that a compiler of views meets, and who serves them: exercise 8.4."""

from typing import Annotated

import fastapi.routing
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel

from ..answers import named
from ..exercises import NotYet


class Row(BaseModel):
    features: list[float]


class Sum(BaseModel):
    total: float


async def wanted() -> float:
    return 10.0


Wanted = Annotated[float, Depends(wanted)]


async def one_body(row: Row) -> Sum:
    return Sum(total=sum(row.features))


async def with_query(row: Row, times: float = 2.0) -> Sum:
    return Sum(total=times * sum(row.features))


async def only_query(times: float = 2.0) -> Sum:
    return Sum(total=times)


async def with_dependency(row: Row, more: Wanted) -> Sum:
    return Sum(total=more + sum(row.features))


def plain_def(row: Row) -> Sum:
    return Sum(total=sum(row.features))


async def nothing_asked() -> Sum:
    return Sum(total=0)


calls: list[int] = []


async def with_a_bug(row: Row) -> Sum:
    calls.append(1)
    raise ValueError("a bug of the view's")


# A view, what is special about it, its address, a body, and what to ask who serves it otherwise.
GOOD, BAD = {"features": [1.0, 2.0]}, {"feature": [1.0]}
VIEWS = (
    (one_body, "a view with one model", "/view", "What does `handle` do with the body?"),
    (
        with_query,
        "a view with a query parameter beside its body",
        "/view?times=3",
        "How many are in `types`?",
    ),
    (with_dependency, "a view with a dependency", "/view", "How many are in `types`?"),
    (only_query, "a view whose only parameter is no model", "/view?times=3", "Of what type is it?"),
    (nothing_asked, "a view without parameters", "/view", "How many are in `types`?"),
    (plain_def, "a view that is a plain `def`", "/view", "What can one `await`, and how can one tell?"),
)


def served(view, route_class: type[APIRoute], what: str) -> TestClient:
    """A client of an app with this one view. Raises NotYet where no app can be made."""
    app, router = FastAPI(), APIRouter(route_class=route_class)
    try:
        router.post("/view")(view)
        app.include_router(router)
    except Exception as error:
        raise NotYet(
            f"{what}: making its route raised {named(error)}. Is this a view that you know?"
        ) from error
    return TestClient(app, raise_server_exceptions=False)


def interpreted(client: TestClient) -> bool:
    """Whether FastAPI solved the view's dependencies for a good request."""
    own, calls = fastapi.routing.solve_dependencies, []

    def counting(*arguments, **options):
        calls.append(1)
        return own(*arguments, **options)

    fastapi.routing.solve_dependencies = counting
    try:
        client.post("/view", json=GOOD)
    finally:
        fastapi.routing.solve_dependencies = own
    return bool(calls)
