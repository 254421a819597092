"""The full server, with FastAPI. Lay it beside flask_app.py: what differs is the framework.

python -m apps.fastapi_app                                  (HOST, PORT, MODEL_PATH and more: README.md)
uvicorn --factory apps.fastapi_app:create_app --reload      (while you write it)"""

from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from apps.servers import at_once, uvicorn_server
from apps.servers.asgi import Door, Middleware
from apps.service import Exchange, Problem, Service, build
from apps.service.problems import invalid


def create_app(service: Service | None = None) -> FastAPI:
    service = service or build("fastapi_app", port=8000)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        service.start()
        yield
        service.stop()

    app = Door(lifespan=lifespan)
    app.add_middleware(Middleware, gate=service.gate)

    def read(path: str):
        return app.api_route(path, methods=["GET", "HEAD"])

    # --- errors
    @app.exception_handler(Problem)
    async def refuse(request: Request, problem: Problem) -> Response:
        status, headers, body = service.gate.refuse(exchange(request), problem)
        return Response(body, status, headers=dict(headers))

    @app.exception_handler(HTTPException)
    async def refuse_route(request: Request, error: HTTPException) -> Response:
        return await refuse(request, service.problem_of(error.status_code, request.url.path))

    @app.exception_handler(RequestValidationError)
    async def refuse_input(request: Request, error: RequestValidationError) -> Response:
        return await refuse(request, invalid())

    @app.exception_handler(WebSocketRequestValidationError)
    async def refuse_socket(socket: WebSocket, error: WebSocketRequestValidationError) -> None:
        raise invalid()  # the middleware answers

    # --- predictions
    @app.post("/predict")
    @at_once
    async def predict(request: Request) -> Response:
        return answer(await service.predict(exchange(request)).soon())

    @app.post("/predict/batch")
    @at_once
    async def predict_batch(request: Request) -> Response:
        return answer(await service.predict_batch(exchange(request)).soon())

    # --- the model
    @read("/model")
    def model() -> Response:
        return answer(service.card())

    @read("/models")
    def models() -> Response:
        return answer(service.models())

    # --- health
    @read("/health")
    def health() -> Response:
        return answer(service.health())

    @read("/health/live")
    def live() -> Response:
        return answer(service.live())

    @read("/health/ready")
    def ready() -> Response:
        return answer(service.ready())

    # --- the Open Inference Protocol
    @read("/v2")
    def v2() -> Response:
        return answer(service.v2())

    @read("/v2/health/live")
    def v2_live() -> Response:
        return answer(service.v2_live())

    @read("/v2/health/ready")
    def v2_ready() -> Response:
        return answer(service.v2_ready())

    @read("/v2/models/{name}")
    @read("/v2/models/{name}/versions/{version}")
    def v2_model(name: str, version: str | None = None) -> Response:
        return answer(service.v2_model(name, version))

    @read("/v2/models/{name}/ready")
    @read("/v2/models/{name}/versions/{version}/ready")
    def v2_model_ready(name: str, version: str | None = None) -> Response:
        return answer(service.v2_model_ready(name, version))

    @app.post("/v2/models/{name}/infer")
    @app.post("/v2/models/{name}/versions/{version}/infer")
    async def v2_infer(request: Request, name: str, version: str | None = None) -> Response:
        return answer(await service.v2_infer(exchange(request), name, version).soon())

    # --- documents
    @read("/openapi.json")
    def openapi() -> Response:
        return answer(service.openapi())

    @read("/docs")
    @read("/docs/{file}")
    def docs(file: str = "index.html") -> Response:
        body, media_type = service.docs(file)
        return answer(body, media_type)

    @read("/problems")
    @read("/problems/{slug}")
    def problem(slug: str | None = None) -> Response:
        return answer(service.problem_page(slug), "text/html")

    return app


def exchange(request: Request) -> Exchange:
    """What the middleware knows of this request."""
    return request.scope["exchange"]


def answer(body: bytes, media_type: str = "application/json") -> Response:
    return Response(body, media_type=media_type)


def main() -> None:
    service = build("fastapi_app", port=8000)
    uvicorn_server.run(create_app, service)


if __name__ == "__main__":
    main()
