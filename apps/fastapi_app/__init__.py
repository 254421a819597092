"""The full server, with FastAPI. Lay this folder beside flask_app: what differs is the framework.

python -m apps.fastapi_app                                  (HOST, PORT, MODEL_PATH and more: settings.py)
uvicorn --factory apps.fastapi_app:create_app --reload      (while you write it)"""

from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from apps.fastapi_app import documents, health, inference, models, predictions
from apps.frameworks.asgi import Middleware
from apps.frameworks.fastapi_application import Application, is_no_problem, told
from apps.frameworks.fastapi_routes import listed
from apps.servers import uvicorn_server
from apps.service import Problem, Service, build
from apps.service.problems import invalid
from apps.service.templates import Templates


def create_app(service: Service | None = None) -> FastAPI:
    service = service or build("fastapi_app", port=8000)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        service.requests.check_access()
        service.start()
        yield
        service.stop()

    app = Application(lifespan=lifespan)
    app.state.service = service
    app.add_middleware(Middleware, requests=service.requests)
    service.requests.routes = Templates(lambda: listed(app), lambda: len(app.routes))

    @app.exception_handler(Problem)
    async def refuse(request: Request, problem: Problem) -> Response:
        status, headers, body = service.requests.refuse(request.scope["context"], problem)
        return Response(body, status, headers=dict(headers))

    @app.exception_handler(HTTPException)
    async def refuse_status(request: Request, error: HTTPException) -> Response:
        if is_no_problem(error):  # a redirect, say
            return await http_exception_handler(request, error)
        return await refuse(request, service.requests.problem_of(request.scope["context"], *told(error)))

    @app.exception_handler(RequestValidationError)
    async def refuse_input(request: Request, error: RequestValidationError) -> Response:
        return await refuse(request, invalid())

    @app.exception_handler(WebSocketRequestValidationError)
    async def refuse_socket(socket: WebSocket, error: WebSocketRequestValidationError) -> None:
        raise invalid()  # the middleware answers

    for area in areas(service.requests.settings):
        for path in app.add_router(area.router):
            service.log.info("served by FastAPI's own way, which is slower", route=path)
    service.requests.check_access()
    return app


def areas(settings) -> list:
    """The modules whose views are served; those about access and jobs where there is such a thing."""
    found = [predictions, models, health, inference, documents]
    if settings.guarded:
        from apps.fastapi_app import access

        found.append(access)
    if settings.follows:
        from apps.fastapi_app import registry

        found.append(registry)
    if settings.jobs == "on":
        from apps.fastapi_app import jobs

        found.append(jobs)
    if settings.generates:
        from apps.fastapi_app import generation

        found.append(generation)
    if settings.prediction_log == "on":
        from apps.fastapi_app import feedback

        found.append(feedback)
    if settings.explains:
        from apps.fastapi_app import explanations

        found.append(explanations)
    return found


def main() -> None:
    service = build("fastapi_app", port=8000)
    uvicorn_server.run(create_app, service)
