"""The routes of the full servers, as their frameworks know them."""

from types import SimpleNamespace

from apps import fastapi_app, flask_app
from apps.frameworks import fastapi_routes, flask_routes
from apps.service.settings import Settings


def routes_of(door) -> dict[str, set[str]]:
    """Each template of a door's app with its methods."""
    # The doors ask no more of it until a request comes.
    requests = SimpleNamespace(settings=Settings(), check_access=lambda: None)
    log = SimpleNamespace(info=lambda *_, **__: None)
    app = door.create_app(SimpleNamespace(requests=requests, log=log, start=lambda: None, stop=lambda: None))
    routes = fastapi_routes if door is fastapi_app else flask_routes
    return {path: set(methods) for path, methods, _ in routes.listed(app)}


ROUTES = routes_of(fastapi_app)
FLASK_ROUTES = routes_of(flask_app)
