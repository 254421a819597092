"""A Flask app that calls typed views (flask_views.py) without a request context where they need none."""

from collections.abc import Callable, Iterable

from flask import Flask, Response, request, request_finished, request_started, request_tearing_down
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed, default_exceptions

from apps.frameworks.flask_views import JSON
from apps.frameworks.wsgi import RAISED, current_context
from apps.service.problems import Problem
from apps.service.requests import ClientGone


class Application(Flask):
    """Flask, which calls typed views that do `without_context` without a request context, as long as nothing
    in the app wants one (before_request and its like, a signal): to make and end one takes 40 µs."""

    def __init__(self, *args, **options) -> None:
        self._direct: dict[tuple[str, str], str] = {}  # by method and path, the name of a view
        self._problem_handlers = 0
        self.routes_added = 0
        super().__init__(*args, **options)

    def add_url_rule(self, rule, endpoint=None, view_func=None, *args, methods=None, **options) -> None:
        super().add_url_rule(rule, endpoint, view_func, *args, methods=methods, **options)
        self.routes_added += 1
        if getattr(view_func, "answer_of", None) and "<" not in rule:
            name = endpoint or view_func.__name__
            self._direct |= {(method, rule): name for method in methods or ["GET"]}

    def register_error_handler(self, code_or_exception, f) -> None:
        super().register_error_handler(code_or_exception, f)
        self._problem_handlers += code_or_exception is Problem

    def wsgi_app(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        name = self._direct.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        answer_of = getattr(self.view_functions[name], "answer_of", None) if name else None
        if answer_of is None or self.wants_context():
            return super().wsgi_app(environ, start_response)
        try:
            found = answer_of({})
        except Exception as error:
            if isinstance(error, Problem) and self._problem_handlers <= 1:
                raise  # the middleware answers as the server's own handler would
            with self.request_context(environ):
                found = self.answer_to(error)
        if type(found) is not bytes:
            return found(environ, start_response)
        start_response("200 OK", [("Content-Type", JSON), ("Content-Length", str(len(found)))])
        return [found]

    def wants_context(self) -> bool:
        hooks = self.before_request_funcs or self.after_request_funcs or self.teardown_request_funcs
        hooks = hooks or self.teardown_appcontext_funcs or self.url_value_preprocessors
        heard = request_started.receivers or request_finished.receivers or request_tearing_down.receivers
        return bool(hooks or heard)

    def dispatch_request(self) -> ResponseReturnValue:
        """What a browser asks before it sends is answered by Flask itself where there is a hook, Flask-CORS's
        say, that then tells what may be sent; elsewhere it is a method that the route has not."""
        if self.after_request_funcs and is_preflight():
            return self.make_default_options_response()
        return super().dispatch_request()

    def answer_to(self, error: Exception) -> Response:
        """What Flask does with an exception of a view."""
        try:
            return self.make_response(self.handle_user_exception(error))
        except Exception as unhandled:
            return self.handle_exception(unhandled)

    def handle_exception(self, error: Exception) -> Response:
        if isinstance(error, ClientGone):
            raise error  # the middleware knows what that is
        if self.testing:
            current_context().fault = RAISED
        return super().handle_exception(error)

    def log_exception(self, exc_info: tuple) -> None:
        """As the middleware does, under the request's id."""
        context = current_context()
        context.service.requests.broke(context, exc_info[1])


def is_preflight() -> bool:
    """https://fetch.spec.whatwg.org/#cors-preflight-request, of a route that does not answer it itself."""
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    return asks and isinstance(request.routing_exception, MethodNotAllowed)


def told(error: HTTPException) -> tuple[int, str, list[tuple[str, str]]]:
    """The status of an error, the words that a view has given it, and its headers."""
    usual = getattr(default_exceptions.get(error.code), "description", "")
    words = "" if error.description in (None, usual) else str(error.description)
    return error.code, words, [pair for pair in error.get_headers() if pair[0] != "Content-Type"]
