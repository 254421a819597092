"""The full server, with FastAPI. Lay it beside flask_app.py: what differs is the framework.

    python -m apps.fastapi_app                                  (HOST, PORT, MODEL_PATH and more: README.md)
    uvicorn --factory apps.fastapi_app:create_app --reload      (while you write it)"""

from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from apps.servers import uvicorn_server
from apps.servers.asgi import Middleware
from apps.service import Problem, Service, build

READ = ["GET", "HEAD"]


def create_app(service: Service | None = None) -> FastAPI:
    service = service or build("fastapi_app", port=8000)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        service.start()
        yield
        service.stop()

    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.add_middleware(Middleware, gate=service.gate)

    # --- errors
    @app.exception_handler(Problem)
    async def refuse(request: Request, problem: Problem) -> Response:
        status, headers, body = service.gate.refuse(request.scope["exchange"], problem)
        return Response(body, status, headers=dict(headers))

    @app.exception_handler(HTTPException)
    async def refuse_route(request: Request, error: HTTPException) -> Response:
        return await refuse(request, service.problem_of(error.status_code, request.url.path))

    # --- predictions
    @app.post("/predict")
    async def predict(request: Request) -> Response:
        prediction = service.predict(request.scope["exchange"], await request.body())
        return json(await prediction.soon())

    @app.post("/predict/batch")
    async def predict_batch(request: Request) -> Response:
        prediction = service.predict_batch(request.scope["exchange"], await request.body())
        return json(await prediction.soon())

    # --- the model
    @app.api_route("/model", methods=READ)
    async def model() -> Response:
        return json(service.card())

    @app.api_route("/models", methods=READ)
    async def models() -> Response:
        return json(service.models())

    # --- health
    @app.api_route("/health", methods=READ)
    async def health() -> Response:
        return json(service.health())

    @app.api_route("/health/live", methods=READ)
    async def live() -> Response:
        return json(service.live())

    @app.api_route("/health/ready", methods=READ)
    async def ready() -> Response:
        return json(service.ready())

    # --- the Open Inference Protocol
    @app.api_route("/v2", methods=READ)
    async def v2() -> Response:
        return json(service.v2())

    @app.api_route("/v2/health/live", methods=READ)
    async def v2_live() -> Response:
        return json(service.v2_live())

    @app.api_route("/v2/health/ready", methods=READ)
    async def v2_ready() -> Response:
        return json(service.v2_ready())

    @app.api_route("/v2/models/{name}", methods=READ)
    @app.api_route("/v2/models/{name}/versions/{version}", methods=READ)
    async def v2_model(name: str, version: str | None = None) -> Response:
        return json(service.v2_model(name, version))

    @app.api_route("/v2/models/{name}/ready", methods=READ)
    @app.api_route("/v2/models/{name}/versions/{version}/ready", methods=READ)
    async def v2_model_ready(name: str, version: str | None = None) -> Response:
        return json(service.v2_model_ready(name, version))

    @app.post("/v2/models/{name}/infer")
    @app.post("/v2/models/{name}/versions/{version}/infer")
    async def v2_infer(request: Request, name: str, version: str | None = None) -> Response:
        prediction = service.v2_infer(request.scope["exchange"], await request.body(), name, version)
        return json(await prediction.soon())

    # --- documents
    @app.api_route("/openapi.json", methods=READ)
    async def openapi() -> Response:
        return json(service.openapi())

    @app.api_route("/docs", methods=READ)
    @app.api_route("/docs/{file}", methods=READ)
    async def docs(file: str = "index.html") -> Response:
        body, media_type = service.docs(file)
        return Response(body, media_type=media_type)

    @app.api_route("/problems", methods=READ)
    @app.api_route("/problems/{slug}", methods=READ)
    async def problem(slug: str | None = None) -> Response:
        return Response(service.problem_page(slug), media_type="text/html")

    return app


def json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def main() -> None:
    service = build("fastapi_app", port=8000)
    uvicorn_server.run(create_app(service), service)


if __name__ == "__main__":
    main()
