"""The full server, with Flask. Lay it beside fastapi_app.py: what differs is the framework.

    python -m apps.flask_app                                    (HOST, PORT, MODEL_PATH and more: README.md)
    flask --app apps.flask_app run --reload                     (while you write it)"""

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from apps.servers import waitress_server
from apps.servers.wsgi import Middleware
from apps.service import Problem, Service, build

READ = ["GET", "HEAD"]


def create_app(service: Service | None = None) -> Flask:
    service = service or build("flask_app", port=5000)
    service.start()

    app = Flask(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.wsgi_app = Middleware(app.wsgi_app, gate=service.gate)

    # --- errors
    @app.errorhandler(Problem)
    def refuse(problem: Problem) -> Response:
        status, headers, body = service.gate.refuse(request.environ["exchange"], problem)
        return Response(body, status, headers=headers)

    @app.errorhandler(HTTPException)
    def refuse_route(error: HTTPException) -> Response:
        return refuse(service.problem_of(error.code, request.path))

    # --- predictions
    @app.post("/predict")
    def predict() -> Response:
        prediction = service.predict(request.environ["exchange"], request.get_data())
        return json(prediction.now())

    @app.post("/predict/batch")
    def predict_batch() -> Response:
        prediction = service.predict_batch(request.environ["exchange"], request.get_data())
        return json(prediction.now())

    # --- the model
    @app.route("/model", methods=READ)
    def model() -> Response:
        return json(service.card())

    @app.route("/models", methods=READ)
    def models() -> Response:
        return json(service.models())

    # --- health
    @app.route("/health", methods=READ)
    def health() -> Response:
        return json(service.health())

    @app.route("/health/live", methods=READ)
    def live() -> Response:
        return json(service.live())

    @app.route("/health/ready", methods=READ)
    def ready() -> Response:
        return json(service.ready())

    # --- the Open Inference Protocol
    @app.route("/v2", methods=READ)
    def v2() -> Response:
        return json(service.v2())

    @app.route("/v2/health/live", methods=READ)
    def v2_live() -> Response:
        return json(service.v2_live())

    @app.route("/v2/health/ready", methods=READ)
    def v2_ready() -> Response:
        return json(service.v2_ready())

    @app.route("/v2/models/<name>", methods=READ)
    @app.route("/v2/models/<name>/versions/<version>", methods=READ)
    def v2_model(name: str, version: str | None = None) -> Response:
        return json(service.v2_model(name, version))

    @app.route("/v2/models/<name>/ready", methods=READ)
    @app.route("/v2/models/<name>/versions/<version>/ready", methods=READ)
    def v2_model_ready(name: str, version: str | None = None) -> Response:
        return json(service.v2_model_ready(name, version))

    @app.post("/v2/models/<name>/infer")
    @app.post("/v2/models/<name>/versions/<version>/infer")
    def v2_infer(name: str, version: str | None = None) -> Response:
        prediction = service.v2_infer(request.environ["exchange"], request.get_data(), name, version)
        return json(prediction.now())

    # --- documents
    @app.route("/openapi.json", methods=READ)
    def openapi() -> Response:
        return json(service.openapi())

    @app.route("/docs", methods=READ)
    @app.route("/docs/<file>", methods=READ)
    def docs(file: str = "index.html") -> Response:
        body, media_type = service.docs(file)
        return Response(body, mimetype=media_type)

    @app.route("/problems", methods=READ)
    @app.route("/problems/<slug>", methods=READ)
    def problem(slug: str | None = None) -> Response:
        return Response(service.problem_page(slug), mimetype="text/html")

    return app


def json(body: bytes) -> Response:
    return Response(body, mimetype="application/json")


def main() -> None:
    service = build("flask_app", port=5000)
    waitress_server.run(create_app(service), service)


if __name__ == "__main__":
    main()
