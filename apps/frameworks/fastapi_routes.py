"""What the routes of a FastAPI app are, and their OpenAPI document."""

import copy
import warnings
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount, WebSocketRoute

from apps.frameworks.fastapi_views import CompiledRoute


def listed(app: FastAPI) -> list[tuple[str, set[str], Any]]:
    """Every route's template, methods and view; a mounted app takes all methods, and a WebSocket is a GET."""
    found = []
    for context in iter_route_contexts(app.routes):
        route = getattr(context, "original_route", context)
        if isinstance(route, Mount):
            found += [(f"{route.path}/{{path:path}}", {"GET", "HEAD", "POST"}, route.app)]
        elif getattr(context, "methods", None):
            found.append((context.path, context.methods, route.endpoint))
        elif isinstance(route, WebSocketRoute):
            found.append((context.path, {"GET"}, route.endpoint))
    return found


def describe(app: FastAPI) -> dict:
    """The app's OpenAPI document, as FastAPI generates it; of HEAD, GET's twin, it says nothing yet."""
    routes = [copy.copy(route) for route in app.routes]
    for route in routes:
        if isinstance(route, CompiledRoute):
            route.methods = route.methods - {"HEAD"} or route.methods
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two routes with one view have one operation id, until completed
        return get_openapi(title="", version="", routes=routes, separate_input_output_schemas=False)
