"""Typed views of FastAPI, compiled: a view's signature is read once, and not at each request.

FastAPI solves a view's dependencies anew for every request, opens two exit stacks for it, and looks an
included router's routes up anew: half of the time of a request that ONNX answers (benchmarks/README.md).
`CompiledRoute` calls a view directly where it knows everything in its signature: a body, `Request`, parts of
the path, `async def` dependencies of the same; and an answer that is a pydantic model or a Response. All
others are served by FastAPI itself. https://fastapi.tiangolo.com/how-to/custom-request-and-route/"""

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from apps.service.bodies import check_content_type, reader
from apps.service.tracing import UNTRACED

JSON = (b"content-type", b"application/json")
Get = Callable[[Request], Awaitable[Any]]


class CompiledRoute(APIRoute):
    """A route whose view is called directly where that is possible. The view's docstring is its summary; a
    GET answers HEAD too; what is None in an answer is left out; bodies are read as `bodies` has it."""

    def __init__(self, path: str, endpoint: Callable, **options) -> None:
        if "GET" in (options.get("methods") or ["GET"]):
            options["methods"] = {*(options.get("methods") or ["GET"]), "HEAD"}
        options["summary"] = options.get("summary") or inspect.getdoc(endpoint)
        options["response_model_exclude_none"] = True
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable:
        """FastAPI's own, with the body read as strictly as ever."""
        handler = super().get_route_handler()
        hints = typing.get_type_hints(self.endpoint, include_extras=True)
        parameters = [hints.get(name) for name in inspect.signature(self.endpoint).parameters]
        models = [hint for hint in parameters if is_model(hint)]  # a form is annotated as one
        if len(models) != 1:
            return handler
        read, strict = reader(models[0]), self.strict_content_type is not False

        async def strictly(request: Request) -> Response:
            context = request.scope["context"]
            check_content_type(context.content_type, context.content_encoding, strict)
            read(await request.body(), context.service.settings.max_json_depth)
            return await handler(request)

        return strictly


def compiled(route: APIRoute, own: Callable) -> Callable | None:
    """The ASGI app of a route, or None where FastAPI is to serve it. `own` is FastAPI's way of serving it,
    for the tests of an app, which override dependencies."""
    view, get_body, getters = route.endpoint, None, []
    hints = typing.get_type_hints(view, include_extras=True)
    gives = hints.get("return")
    if not isinstance(route, CompiledRoute) or not inspect.iscoroutinefunction(view) or has_options(route):
        return None
    if len(calls := [*called(route.dependant)]) > len({*calls}):
        return None  # FastAPI calls it once for both
    if not is_a(gives, Response) and (not is_model(gives) or route.response_model is not gives):
        return None
    for name in inspect.signature(view).parameters:
        if is_model(hints.get(name)) and get_body is None:
            get_body, read = name, reader(hints[name])
        elif (get := getter(route, name, hints.get(name))) is not None:
            getters.append((name, get))
        else:
            return None
    status = route.status_code or 200
    to_json = gives.__pydantic_serializer__.to_json if is_model(gives) else None
    validate = gives.__pydantic_validator__.validate_python if is_model(gives) else None
    strict = route.strict_content_type is not False

    async def call(scope, receive, send) -> None:
        if scope["app"].dependency_overrides:
            await own(scope, receive, send)
            return
        request, context, values = Request(scope, receive, send), scope["context"], {}
        trace = context.trace if get_body else UNTRACED
        with trace.span("validate"):
            if get_body:  # who asks for what, before a byte of the body is looked at
                check_content_type(context.content_type, context.content_encoding, strict)
            for name, get in getters:
                values[name] = await get(request)
            if get_body:
                values[get_body] = read(context.body, context.service.settings.max_json_depth)
        answer = await view(**values)
        if to_json is None or isinstance(answer, Response):
            await without_parts(answer, scope)(scope, receive, send)
            return
        if type(answer) is not gives:
            answer = validate(answer, from_attributes=True)  # as FastAPI does with a dict, say
        with trace.span("encode"):
            body = to_json(answer, exclude_none=True, warnings=False)
        headers = [(b"content-length", str(len(body)).encode()), JSON]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return call


def without_parts(answer: Response, scope) -> Response:
    """For HEAD, what comes in parts is not made: nobody would read it."""
    if scope["method"] == "HEAD" and isinstance(answer, StreamingResponse):
        answer.body_iterator = iterate_in_threadpool(())
    return answer


def has_options(route: APIRoute) -> bool:
    """Whether a route asks for more than its signature says: dependencies, parts left out."""
    left_out = (route.response_model_include, route.response_model_exclude)
    narrowed = route.response_model_exclude_unset or route.response_model_exclude_defaults
    return bool(route.dependencies or any(part is not None for part in left_out) or narrowed)


def called(dependant: Dependant) -> Iterator[Callable]:
    """The dependencies of a view, and theirs."""
    for other in dependant.dependencies:
        yield other.call
        yield from called(other)


def getter(route: APIRoute, name: str, hint: Any) -> Get | None:
    """What gives a parameter its value, or None for one that only FastAPI knows."""
    if hint is Request:
        return itself
    if name in route.param_convertors and hint is str:
        return path_part(name)
    if typing.get_origin(hint) is Annotated:
        depends = [one for one in hint.__metadata__ if isinstance(one, params.Depends)]
        if len(depends) == 1 and type(depends[0]) is params.Depends and depends[0].dependency:
            return dependency(route, depends[0].dependency)
    return None


def dependency(route: APIRoute, function: Callable) -> Get | None:
    """A dependency, called directly: a coroutine function, whose own parameters are known too."""
    if not inspect.iscoroutinefunction(function):
        return None  # FastAPI calls a plain function in a thread, since it might wait
    hints = typing.get_type_hints(function, include_extras=True)
    getters = {name: getter(route, name, hints.get(name)) for name in inspect.signature(function).parameters}
    if None in getters.values():
        return None
    if [*getters.values()] == [itself]:
        (only,) = getters
        return lambda request: function(**{only: request})

    async def get(request: Request):
        return await function(**{name: await one(request) for name, one in getters.items()})

    return get


async def itself(request: Request) -> Request:
    return request


def path_part(name: str) -> Get:
    async def get(request: Request) -> str:
        return request.path_params[name]

    return get


def is_model(hint: Any) -> bool:
    return is_a(hint, BaseModel)


def is_a(hint: Any, kind: type) -> bool:
    return isinstance(hint, type) and issubclass(hint, kind)
