"""Documents: what there is to ask, and what can go wrong."""

from flask import Blueprint, Response, current_app

from apps.flask_app.dependencies import RootDep, ServiceDep
from apps.frameworks.flask_routes import describe
from apps.frameworks.flask_views import typed
from apps.service.access.declared import PUBLIC, access
from apps.service.documents import DOCS, HTML, JSON, PAGE, page_file
from apps.service.problems import problems

router = Blueprint("documents", __name__)


@router.get("/openapi.json")
@typed(JSON)
@access(PUBLIC)
def openapi(service: ServiceDep, root: RootDep) -> Response:
    """This document"""
    app = current_app._get_current_object()
    body = service.documents.openapi(lambda: describe(app), app.routes_added, root)
    return Response(body, mimetype="application/json")


@router.get("/docs")
@typed(HTML)
@access(PUBLIC)
def docs() -> Response:
    """This document as a page, to try it out"""
    return Response(DOCS, mimetype="text/html")


@router.get("/docs/<file>")
@typed(problems("not-found") | PAGE)
@access(PUBLIC)
def docs_file(file: str) -> Response:
    """What the page is made of"""
    body, media_type = page_file(file)
    return Response(body, mimetype=media_type)


@router.get("/problems")
@typed(HTML)
@access(PUBLIC)
def all_problems(service: ServiceDep) -> Response:
    """Every error there is, explained"""
    return Response(service.documents.problem(None), mimetype="text/html")


@router.get("/problems/<slug>")
@typed(problems("not-found") | HTML)
@access(PUBLIC)
def problem(slug: str, service: ServiceDep) -> Response:
    """One error, explained"""
    return Response(service.documents.problem(slug), mimetype="text/html")
