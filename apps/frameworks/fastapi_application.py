"""A FastAPI app whose compiled views (fastapi_views.py) are called with as little before them as may be."""

import copy
from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute, request_response
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware

from apps.frameworks.fastapi_views import compiled, is_model
from apps.service.problems import PHRASES


class Application(FastAPI):
    """FastAPI without what has nothing to do here: the service has telemetry and pages of its own, and
    `Middleware` answers for every error and limits every body, so the layers for these can go."""

    def __init__(self, **options) -> None:
        off = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
        self._direct: dict[tuple[str, str], Callable] = {}  # by method and path
        super().__init__(openapi_url=None, redirect_slashes=False, telemetry=off, **options)

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
            call = direct.get((scope.get("method"), scope["path"])) if "path" in scope else None
            if call is None or scope.get("root_path") or self.dependency_overrides:
                await own(scope, receive, send)
                return
            try:
                await call(scope, receive, send)
            except Exception as error:
                await failed({**scope, "error": error}, receive, send)

        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app

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
                        self._direct.setdefault((method, route.path), direct)
        return left


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
