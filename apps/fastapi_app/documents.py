"""Documents: what there is to ask, and what can go wrong."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from apps.fastapi_app.dependencies import RootDep, ServiceDep
from apps.frameworks.fastapi_routes import describe
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.access.declared import PUBLIC, access
from apps.service.documents import DOCS, HTML, JSON, PAGE, page_file
from apps.service.problems import problems

router = APIRouter(route_class=CompiledRoute, tags=["documents"], default_response_class=Response)


@router.get("/openapi.json", responses=JSON)
@access(PUBLIC)
async def openapi(request: Request, service: ServiceDep, root: RootDep) -> Response:
    """This document"""
    app = request.app
    if "openapi" in vars(app):  # somebody's own
        return JSONResponse(app.openapi())
    body = service.documents.openapi(lambda: describe(app), len(app.routes), root)
    return Response(body, media_type="application/json")


@router.get("/docs", responses=HTML)
@access(PUBLIC)
async def docs() -> Response:
    """This document as a page, to try it out"""
    return Response(DOCS, media_type="text/html")


@router.get("/docs/{file}", responses=problems("not-found") | PAGE)
@access(PUBLIC)
async def docs_file(file: str) -> Response:
    """What the page is made of"""
    body, media_type = page_file(file)
    return Response(body, media_type=media_type)


@router.get("/problems", responses=HTML)
@access(PUBLIC)
async def all_problems(service: ServiceDep) -> Response:
    """Every error there is, explained"""
    return Response(service.documents.problem(None), media_type="text/html")


@router.get("/problems/{slug}", responses=problems("not-found") | HTML)
@access(PUBLIC)
async def problem(slug: str, service: ServiceDep) -> Response:
    """One error, explained"""
    return Response(service.documents.problem(slug), media_type="text/html")
