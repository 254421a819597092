"""The full server, with Flask. Lay this folder beside fastapi_app: what differs is the framework.

python -m apps.flask_app                                    (HOST, PORT, MODEL_PATH and more: settings.py)
flask --app apps.flask_app run --reload                     (while you write it)"""

import sys
from multiprocessing.util import Finalize

from flask import Flask, Response
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from apps.flask_app import documents, health, inference, models, predictions
from apps.frameworks.flask_application import Application, told
from apps.frameworks.flask_routes import listed
from apps.frameworks.wsgi import Middleware, current_context
from apps.service import Problem, Service, build
from apps.service.problems import invalid
from apps.service.templates import Templates


def create_app(service: Service | None = None) -> Flask:
    service = service or build("flask_app", port=5000)
    service.start()
    Finalize(None, service.stop, exitpriority=0)  # WSGI does not tell the end; atexit misses that of a worker

    app = Application(__name__, static_folder=None)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    app.extensions["service"] = service
    app.wsgi_app = Middleware(app.wsgi_app, requests=service.requests)
    service.requests.routes = Templates(lambda: listed(app), lambda: app.routes_added)

    @app.errorhandler(Problem)
    def refuse(problem: Problem) -> Response:
        status, headers, body = service.requests.refuse(current_context(), problem)
        return Response(body, status, headers=headers)

    @app.errorhandler(HTTPException)
    def refuse_status(error: HTTPException) -> Response:
        return refuse(service.requests.problem_of(current_context(), *told(error)))

    @app.errorhandler(ValidationError)
    def refuse_input(error: ValidationError) -> Response:
        return refuse(invalid())

    for area in areas(service.requests.settings):
        app.register_blueprint(area.router)
    service.requests.check_access()
    return app


def areas(settings) -> list:
    """The modules whose views are served; those about access and jobs where there is such a thing."""
    found = [predictions, models, health, inference, documents]
    if settings.guarded:
        from apps.flask_app import access

        found.append(access)
    if settings.follows:
        from apps.flask_app import registry

        found.append(registry)
    if settings.jobs == "on":
        from apps.flask_app import jobs

        found.append(jobs)
    if settings.generates:
        from apps.flask_app import generation

        found.append(generation)
    if settings.prediction_log == "on":
        from apps.flask_app import feedback

        found.append(feedback)
    if settings.explains:
        from apps.flask_app import explanations

        found.append(explanations)
    return found


def main() -> None:
    service = build("flask_app", port=5000)
    if service.settings.server == "granian" and service.settings.generates:
        sys.exit(
            "flask_app: SERVER: with GENERATION=on it has to be waitress: granian does not tell a view that "
            "its client has left, and the model would go on for nobody"
        )
    if service.settings.server == "granian":
        from apps.servers import granian_server as server
    else:
        from apps.servers import waitress_server as server
    server.run(create_app, service)
