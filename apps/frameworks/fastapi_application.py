"""A FastAPI app whose compiled views (fastapi_views.py) are called with as little before them as may be."""

import copy
import json

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute, request_response
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from apps.frameworks.asgi import UNANSWERED
from apps.frameworks.fastapi_routes import describe
from apps.frameworks.fastapi_views import compiled, is_model
from apps.service.problems import PHRASES, fault


class Application(FastAPI):
    """FastAPI without what has nothing to do here: the service has telemetry and pages of its own, and
    `Middleware` limits every body and tells of every error, so the layers for these can go."""

    def __init__(self, **options) -> None:
        off = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
        self._direct: dict[tuple[str, str], APIRoute] = {}  # by method and path
        super().__init__(openapi_url=None, redirect_slashes=False, telemetry=off, **options)

    def openapi(self) -> dict:
        """What /openapi.json has: where somebody puts another in its place, that.
        https://fastapi.tiangolo.com/how-to/extending-openapi/"""
        documents = self.state.service.documents
        return json.loads(documents.openapi(lambda: describe(self), len(self.routes), self.root_path))

    def build_middleware_stack(self):
        last = self.exception_handlers.get(Exception) or self.exception_handlers.get(500)
        handlers = {of: one for of, one in self.exception_handlers.items() if of not in (500, Exception)}

        def handled(app):
            """As Starlette has it: what only a handler for all handles is raised all the same, and logged."""
            app = ExceptionMiddleware(app, handlers)
            return ServerErrorMiddleware(app, handler=last) if last else app

        own, failed, direct = handled(AsyncExitStackMiddleware(self.router)), handled(fail), self._direct

        async def app(scope, receive, send) -> None:
            """A compiled view on a fixed path is called at once: no routes to go through, and no layer that
            waits for an exception before there is one."""
            route = direct.get((scope.get("method"), scope["path"])) if "path" in scope else None
            if route is None or scope.get("root_path") or self.dependency_overrides:
                await own(scope, receive, send)
                return
            scope["route"], scope["endpoint"], scope["path_params"] = route, route.endpoint, {}
            try:
                await route.app(scope, receive, send)
            except Exception as error:
                await failed({**scope, "error": error}, receive, send)

        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return Outermost(app, answer_to_fault)

    def add_router(self, router: APIRouter) -> list[str]:
        """`include_router`, which would look a compiled route up anew for each request. Returns the paths of
        those that are not compiled. Where the app has dependencies, it is `include_router`."""
        if self.router.dependencies:
            self.include_router(router)
            return [route.path for route in router.routes]
        left = []
        for route in router.routes:
            route = copy.copy(route)
            self.router.routes.append(route)
            if isinstance(route, APIRoute):
                route.dependency_overrides_provider = self
                own = request_response(route.get_route_handler())
                direct = compiled(route, own)
                route.app = direct or own
                left += [] if direct else [route.path]
                if direct and is_model(route.response_model) and not route.param_convertors:
                    for method in route.methods:
                        self._direct.setdefault((method, route.path), route)
        return left


class Outermost(ServerErrorMiddleware):
    """Starlette's layer for faults, which instruments of others look for, and which raises them again. What
    is raised around `Middleware` it leaves to the server: so it need not look at each message."""

    async def __call__(self, scope, receive, send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            context = scope.get("context")
            if scope["type"] == "http" and context is not None and context.fault is UNANSWERED:
                answer = await self.handler(Request(scope), error)
                await answer(scope, receive, send)
            raise


async def answer_to_fault(request: Request, error: Exception) -> Response:
    context = request.scope.get("context")
    if context is None:  # raised around `Middleware`
        return PlainTextResponse("Internal Server Error", 500)
    requests = context.service.requests
    status, headers, body = requests.refuse(context, fault())
    return Response(body, status, headers=dict([*headers, *requests.marks(context)]))


async def fail(scope, receive, send) -> None:
    """What the handlers of exceptions are put around when a view that was called at once has failed."""
    raise scope.pop("error")  # left there it would hold, by its traceback, the scope and so itself


def is_no_problem(error: HTTPException) -> bool:
    """Whether a view has answered by raising it: with a redirect, or with an object of its own."""
    return error.status_code < 400 or not isinstance(error.detail, str)


def told(error: HTTPException) -> tuple[int, str, list[tuple[str, str]]]:
    """The status of an error, the words that a view has given it, and its headers."""
    words = "" if error.detail == PHRASES.get(error.status_code) else error.detail
    return error.status_code, words, [*(error.headers or {}).items()]
