"""The full server, with Flask. Lay it beside fastapi_app.py: what differs is the framework.

python -m apps.flask_app                                    (HOST, PORT, MODEL_PATH and more: README.md)
flask --app apps.flask_app run --reload                     (while you write it)"""

from multiprocessing.util import Finalize

from flask import Flask, Response, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from apps.servers import at_once, waitress_server
from apps.servers.wsgi import Door, Middleware, exchange
from apps.service import Problem, Service, build
from apps.service.problems import invalid


def create_app(service: Service | None = None) -> Flask:
    service = service or build("flask_app", port=5000)
    service.start()
    Finalize(None, service.stop, exitpriority=0)  # WSGI does not tell the end; atexit misses that of a worker

    app = Door(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.config["PROPAGATE_EXCEPTIONS"] = True  # to the middleware, which logs them under the request's id
    app.url_map.merge_slashes = False
    app.wsgi_app = Middleware(app.wsgi_app, gate=service.gate)

    def read(path: str):
        return app.route(path, methods=["GET", "HEAD"])

    # --- errors
    @app.errorhandler(Problem)
    def refuse(problem: Problem) -> Response:
        status, headers, body = service.gate.refuse(exchange(), problem)
        return Response(body, status, headers=headers)

    @app.errorhandler(HTTPException)
    def refuse_route(error: HTTPException) -> Response:
        return refuse(service.problem_of(error.code, request.path))

    @app.errorhandler(ValidationError)
    def refuse_input(error: ValidationError) -> Response:
        return refuse(invalid())

    # --- predictions
    @app.post("/predict")
    @at_once
    def predict() -> Response:
        return answer(service.predict(exchange()).now())

    @app.post("/predict/batch")
    @at_once
    def predict_batch() -> Response:
        return answer(service.predict_batch(exchange()).now())

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

    @read("/v2/models/<name>")
    @read("/v2/models/<name>/versions/<version>")
    def v2_model(name: str, version: str | None = None) -> Response:
        return answer(service.v2_model(name, version))

    @read("/v2/models/<name>/ready")
    @read("/v2/models/<name>/versions/<version>/ready")
    def v2_model_ready(name: str, version: str | None = None) -> Response:
        return answer(service.v2_model_ready(name, version))

    @app.post("/v2/models/<name>/infer")
    @app.post("/v2/models/<name>/versions/<version>/infer")
    def v2_infer(name: str, version: str | None = None) -> Response:
        return answer(service.v2_infer(exchange(), name, version).now())

    # --- documents
    @read("/openapi.json")
    def openapi() -> Response:
        return answer(service.openapi())

    @read("/docs")
    @read("/docs/<file>")
    def docs(file: str = "index.html") -> Response:
        body, media_type = service.docs(file)
        return answer(body, media_type)

    @read("/problems")
    @read("/problems/<slug>")
    def problem(slug: str | None = None) -> Response:
        return answer(service.problem_page(slug), "text/html")

    return app


def answer(body: bytes, media_type: str = "application/json") -> Response:
    return Response(body, mimetype=media_type)


def main() -> None:
    service = build("flask_app", port=5000)
    waitress_server.run(create_app, service)


if __name__ == "__main__":
    main()
