"""Typed views of Flask: what FastAPI makes of a signature, with a decorator, read once.

`@typed()` stands between the route and the view. A parameter that is a pydantic model is the body, one that
is `Annotated[…, Depends(…)]` is what that function returns, others are the path's; a pydantic model that the
view returns is sent as JSON. flask-openapi3 does so too and takes longer (benchmarks/README.md)."""

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Annotated, Any

from flask import Response
from pydantic import BaseModel

from apps.frameworks.wsgi import current_context
from apps.service.bodies import check_content_type, reader
from apps.service.tracing import UNTRACED

JSON = "application/json"


@dataclass(frozen=True)
class Depends:
    """As FastAPI's: what the function returns is the parameter's value."""

    dependency: Callable[[], Any]


@dataclass
class Signature:
    """What a typed view takes and gives."""

    summary: str
    body: type[BaseModel] | None = None
    gives: type[BaseModel] | None = None
    status: int = 200
    extra: dict[str, Any] = field(default_factory=dict)
    responses: dict[int, dict] = field(default_factory=dict)


def typed(
    responses: dict[int, dict] | None = None,
    *,
    response_model: type[BaseModel] | None = None,
    status_code: int = 200,
    openapi_extra: dict[str, Any] | None = None,
    strict_content_type: bool = True,
    without_context: bool = False,
) -> Callable:
    """`responses` are the view's problems, for the document, `response_model` what its Response holds, and
    `openapi_extra` what else is to stand there. `status_code` is that of an answer that is a model.
    Without `strict_content_type` the header may be missing. A view `without_context` uses neither `request`
    nor `current_app`, nor anything else of Flask's that needs a request context, and is a fifth faster."""

    def decorate(view: Callable) -> Callable:
        hints = typing.get_type_hints(view, include_extras=True)
        names = [*inspect.signature(view).parameters]
        bodies = [name for name in names if is_model(hints.get(name))]
        depends = [(name, found) for name in names if (found := dependency(hints.get(name)))]
        parts = [name for name in names if name not in bodies and not dependency(hints.get(name))]
        gives = hints.get("return")
        signature = Signature(inspect.getdoc(view) or "", gives=response_model, responses=responses or {})
        signature.status, signature.extra = status_code, openapi_extra or {}
        to_json = None
        if is_model(gives):
            signature.gives, to_json = gives, gives.__pydantic_serializer__.to_json
            validate = gives.__pydantic_validator__.validate_python

        if bodies:
            (body,) = bodies
            signature.body, read = hints[body], reader(hints[body])

        def answer_of(path: dict[str, str]) -> bytes | Any:
            """The answer as JSON, or what the view returned where that is none of its type."""
            values = {name: path[name] for name in parts} if parts else {}  # the others are for dependencies
            current = current_context() if bodies else None
            trace = current.trace if bodies else UNTRACED
            with trace.span("validate"):
                if bodies:  # who asks for what, before a byte of the body is looked at
                    check_content_type(current.content_type, current.content_encoding, strict_content_type)
                for name, get in depends:
                    values[name] = get()
                if bodies:
                    values[body] = read(current.body, current.service.settings.max_json_depth)
            answer = view(**values)
            if to_json is None or isinstance(answer, Response):
                return answer
            if type(answer) is not gives:
                answer = validate(answer, from_attributes=True)  # a dict, say
            with trace.span("encode"):
                return to_json(answer, by_alias=True, exclude_none=True, warnings=False)

        @wraps(view)
        def call(**path):
            found = answer_of(path)
            return Response(found, status_code, content_type=JSON) if type(found) is bytes else found

        call.answer_of = answer_of if without_context and status_code == 200 else None
        call.signature = signature
        return call

    return decorate


def is_model(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def dependency(hint: Any) -> Callable | None:
    if typing.get_origin(hint) is not Annotated:
        return None
    return next((one.dependency for one in hint.__metadata__ if isinstance(one, Depends)), None)
