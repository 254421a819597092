"""The arguments of compiled views (fastapi_views.py), and their dependencies, which are called directly.

FastAPI reads the signature of a function once, into a `Dependant`, and goes through it for every request.
https://fastapi.tiangolo.com/tutorial/dependencies/"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields
from typing import Any

from fastapi import params
from fastapi.dependencies.models import Dependant
from starlette.requests import Request

KNOWN = {"name", "call", "path", "path_params", "body_params", "request_param_name", "dependencies"}
NO_MATTER = {"use_cache", "scope", "concurrency"}  # of a coroutine function that is called once


def solver(dependant: Dependant) -> Callable[[Request], Awaitable[dict[str, Any]]] | None:
    """What gives a function its arguments, but for the body: the request, parts of the path, and what its
    dependencies return. None where it asks for more."""
    asked = {one.name for one in fields(dependant) if getattr(dependant, one.name)}
    parts = [(one.name, one.alias) for one in dependant.path_params if is_text(one.field_info)]
    if not asked <= KNOWN | NO_MATTER or len(parts) < len(dependant.path_params):
        return None
    others = [(one.name, caller(one)) for one in dependant.dependencies]
    if not all(name and call for name, call in others):  # a route's own dependencies have no name
        return None
    if not inspect.iscoroutinefunction(dependant.call):  # FastAPI calls it in a thread, since it might wait
        return None
    own = dependant.request_param_name

    async def get_arguments(request: Request) -> dict[str, Any]:
        arguments = {name: request.path_params[alias] for name, alias in parts}
        if own:
            arguments[own] = request
        for name, call in others:
            arguments[name] = await call(request)
        return arguments

    return get_arguments


def caller(dependant: Dependant) -> Callable[[Request], Awaitable[Any]] | None:
    """A dependency, called directly."""
    function, get_arguments = dependant.call, solver(dependant)
    if get_arguments is None or dependant.body_params:
        return None
    if not (dependant.path_params or dependant.dependencies):  # one coroutine where it would be three
        only = dependant.request_param_name
        return lambda request: function(**{only: request} if only else {})

    async def call(request: Request) -> Any:
        return await function(**await get_arguments(request))

    return call


def called(dependant: Dependant) -> Iterator[Callable]:
    """The dependencies of a function, and theirs."""
    for one in dependant.dependencies:
        yield one.call
        yield from called(one)


def is_text(part: params.Path) -> bool:
    return part.annotation is str and not part.metadata
