"""Typed views of Flask: called without a request context where nobody wants one, and never past what does."""

import httpx
import pytest
from flask import Flask, g, has_request_context, request_finished, request_started, request_tearing_down
from flask import Response as FlaskResponse
from pydantic import Field

from apps.frameworks.flask_application import Application
from apps.frameworks.flask_views import typed
from apps.service.bodies import Answer


class Context(Answer):
    context: bool


class Person(Answer):
    name: str


class Account(Person):
    password: str


def ask(app: Flask) -> dict:
    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://localhost") as client:
        return client.get("/context").json()


def flask(**options) -> Application:
    app = Application(__name__)

    @app.get("/context")
    @typed(**options)
    def context() -> Context:
        return Context(context=has_request_context())

    return app


def test_flask_makes_no_context_for_a_view_that_does_without_and_one_for_any_other():
    assert ask(flask(without_context=True)) == {"context": False}
    assert ask(flask()) == {"context": True}


HOOKS = ["before_request", "after_request", "teardown_request", "teardown_appcontext"]


@pytest.mark.parametrize("hook", HOOKS)
def test_flask_hooks_see_every_request(hook):
    app, seen = flask(without_context=True), []

    @getattr(app, hook)
    def look(*given):
        g.seen = True
        seen.append(hook)
        return given[0] if given else None

    assert ask(app) == {"context": True}
    assert seen == [hook]


@pytest.mark.parametrize("signal", [request_started, request_finished, request_tearing_down])
def test_flask_signals_see_every_request(signal):
    app, seen = flask(without_context=True), []

    def look(sender, **told):
        seen.append(sender)

    with signal.connected_to(look, app):
        assert ask(app) == {"context": True}
    assert seen == [app] and ask(app) == {"context": False}


def test_flask_values_of_a_path_are_seen_by_who_asked_for_them():
    app, seen = flask(without_context=True), []
    app.url_value_preprocessor(lambda endpoint, values: seen.append((endpoint, values)))
    assert ask(app) == {"context": True} and seen == [("context", {})]


def test_a_view_of_flasks_may_be_put_in_the_place_of_another():
    app = flask(without_context=True)
    first = app.view_functions["context"]
    app.view_functions["context"] = lambda: first() or None
    assert ask(app) == {"context": True}


def test_a_path_that_spells_a_rule_of_flasks_out_is_a_path_like_another():
    app = Application(__name__)

    @app.get("/named/<name>")
    @typed(without_context=True)
    def named(name: str) -> Person:
        return Person(name=name)

    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://localhost") as client:
        assert client.get("/named/%3Cname%3E").json() == {"name": "<name>"}


class Renamed(Answer):
    full_name: str = Field(serialization_alias="name")


def returning(answer):
    def view() -> Person:
        return answer

    return view


def test_flask_validates_a_dict_and_lets_a_response_pass():
    app = Application(__name__)
    gives = {"/right": {"name": "Ada"}, "/subclass": Account(name="Ada", password="secret")}
    gives["/response"] = FlaskResponse('{"name": "Ada"}', content_type="application/json")
    for path, answer in gives.items():
        app.add_url_rule(path, path, typed()(returning(answer)))

    @app.get("/alias")
    @typed()
    def renamed() -> Renamed:
        return Renamed(full_name="Ada")

    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://localhost") as client:
        for path in (*gives, "/alias"):
            assert client.get(path).json() == {"name": "Ada"}, path


class Refused(Exception):
    pass


def test_a_view_without_a_context_has_the_handlers_of_its_app():
    app = Application(__name__)

    @app.get("/context")
    @typed(without_context=True)
    def view() -> Person:
        raise Refused

    @app.errorhandler(Refused)
    def refused_too(error):
        return {"refused": "/"}, 403

    assert ask(app) == {"refused": "/"}
