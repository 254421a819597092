"""Typed views of FastAPI, compiled: a view's signature is read once, and not at each request.

FastAPI solves a view's dependencies anew for every request, opens two exit stacks for it, and looks an
included router's routes up anew: half of the time of a request that ONNX answers (benchmarks/README.md).
`CompiledRoute` calls a view directly where it knows everything in its signature: a body, `Request`, parts of
the path, `async def` dependencies of the same; and an answer that is a pydantic model or a Response. All
others are served by FastAPI itself. https://fastapi.tiangolo.com/how-to/custom-request-and-route/"""

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.encoders import jsonable_encoder
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from apps.frameworks.fastapi_dependencies import called, solver
from apps.service.bodies import check_content_type, reader
from apps.service.tracing import UNTRACED

JSON = (b"content-type", b"application/json")


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
        handler, body = super().get_route_handler(), body_of(self)
        if body is None:
            return handler
        read, strict = reader(body.annotation), self.strict_content_type is not False

        async def strictly(request: Request) -> Response:
            context = request.scope["context"]
            check_content_type(context.content_type, context.content_encoding, strict)
            read(await request.body(), context.service.settings.max_json_depth)
            return await handler(request)

        return strictly


def compiled(route: APIRoute, own: Callable) -> Callable | None:
    """The ASGI app of a route, or None where FastAPI is to serve it. `own` is FastAPI's way of serving it,
    for the tests of an app, which override dependencies."""
    if not isinstance(route, CompiledRoute):
        return None
    view, get_arguments, gives = route.endpoint, solver(route.dependant), answer_of(route)
    takes, calls = [one.name for one in route.dependant.body_params], [*called(route.dependant)]
    if get_arguments is None or gives is None or (takes and body_of(route) is None):
        return None
    if len(calls) > len({*calls}):
        return None  # FastAPI calls it once for both
    read = reader(body_of(route).annotation) if takes else None
    status, by_alias = route.status_code or 200, route.response_model_by_alias
    to_json = gives.__pydantic_serializer__.to_json if is_model(gives) else None
    validate = gives.__pydantic_validator__.validate_python if is_model(gives) else None
    strict = route.strict_content_type is not False

    async def call(scope, receive, send) -> None:
        if scope["app"].dependency_overrides:
            await own(scope, receive, send)
            return
        request, context = Request(scope, receive, send), scope["context"]
        trace = context.trace if read else UNTRACED
        with trace.span("validate"):
            if read:  # who asks for what, before a byte of the body is looked at
                check_content_type(context.content_type, context.content_encoding, strict)
            arguments = await get_arguments(request)
            if read:
                arguments[takes[0]] = read(context.body, context.service.settings.max_json_depth)
        answer = await view(**arguments)
        if to_json is None or isinstance(answer, Response):
            await response_of(answer, status, scope)(scope, receive, send)
            return
        if type(answer) is not gives:
            answer = validate(answer, from_attributes=True)  # as FastAPI does with a dict, say
        with trace.span("encode"):
            body = to_json(answer, by_alias=by_alias, exclude_none=True, warnings=False)
        headers = [(b"content-length", str(len(body)).encode()), JSON]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return call


def response_of(answer: Any, status: int, scope) -> Response:
    """Of a view that says it gives one. For HEAD, what comes in parts is not made: nobody would read it."""
    if scope["method"] == "HEAD" and isinstance(answer, StreamingResponse):
        answer.body_iterator = iterate_in_threadpool(())
    return answer if isinstance(answer, Response) else JSONResponse(jsonable_encoder(answer), status)


def body_of(route: APIRoute) -> params.Body | None:
    """The parameter that is the body, where it is a pydantic model as it comes: no form, and no part of a
    larger object."""
    found = [one.field_info for one in route.dependant.body_params]
    if len(found) != 1 or type(found[0]) is not params.Body or found[0].embed or found[0].metadata:
        return None
    return found[0] if is_model(found[0].annotation) and found[0].is_required() else None


def answer_of(route: APIRoute) -> type | None:
    """The pydantic model, or the Response, that a view returns and nothing is done to."""
    gives = inspect.signature(route.endpoint, eval_str=True).return_annotation
    if isinstance(gives, type) and issubclass(gives, Response):
        return gives
    left_out = (route.response_model_include, route.response_model_exclude)
    narrowed = route.response_model_exclude_unset or route.response_model_exclude_defaults
    rendered = not isinstance(route.response_class, DefaultPlaceholder)
    done = any(part is not None for part in left_out) or narrowed or rendered
    return gives if is_model(gives) and route.response_model is gives and not done else None


def is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)
