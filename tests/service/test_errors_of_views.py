"""What a view of somebody's own raises, and the handlers that they add, do as on the bare frameworks."""

import json

import pytest
from fastapi import HTTPException, WebSocket
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from flask import abort
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import HTTPException as FlaskHTTPException

from apps import fastapi_app, flask_app
from apps.service.problems import Problem
from tests.waiting import until


class OfNoStandard(FlaskHTTPException):
    code, description = 460, "the client closed its eyes"


def later():
    abort(503, "later", retry_after=30)


def sign_in():
    abort(401, www_authenticate=WWWAuthenticate("basic", {"realm": "seats"}))


def of_no_standard():
    raise OfNoStandard


SIGN_IN = {"WWW-Authenticate": 'Basic realm="seats"'}
RAISED = {
    "words": (lambda: abort(409, "no such seat"), HTTPException(409, "no such seat")),
    "headers": (later, HTTPException(503, "later", {"Retry-After": "30"})),
    "sign in": (sign_in, HTTPException(401, headers=SIGN_IN)),
    "no words": (lambda: abort(403), HTTPException(403)),
    "bad": (lambda: abort(400), HTTPException(400)),
    "of no standard": (of_no_standard, HTTPException(460, "the client closed its eyes")),
}
EXPECTED = {
    "words": (409, "about:blank", "no such seat"),
    "headers": (503, "about:blank", "later"),
    "sign in": (401, "/problems/unauthorized", None),
    "no words": (403, "/problems/forbidden", None),
    "bad": (400, "/problems/invalid-input", None),
    "of no standard": (460, "about:blank", "the client closed its eyes"),
}


def fastapi(view, **handlers):
    """The answer of the full server to GET /own, which is the view."""
    app = fastapi_app.create_app()
    app.get("/own")(view)
    for kind, handler in handlers.items():
        app.exception_handler(Exception if kind == "any" else 500)(handler)
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        return client.get("/own")


def flask(view, **handlers):
    app = flask_app.create_app()
    app.get("/own")(view)
    if handlers:
        app.errorhandler(500)(handlers["status"])
    app.after_request(marked)
    return app.test_client().get("/own")


def marked(response):
    response.headers["X-Mark"] = "seen"
    return response


def raising(error):
    async def view():
        raise error

    return view


@pytest.mark.parametrize("case", RAISED)
def test_an_error_of_a_views_own_keeps_its_status_words_and_headers(model, case):
    of_flask, of_fastapi = RAISED[case]
    status, type_, words = EXPECTED[case]
    answers = fastapi(raising(of_fastapi)), flask(of_flask)
    for answer in answers:
        problem = json.loads(answer.text)
        assert (answer.status_code, problem["status"], problem["type"]) == (status, status, type_)
        assert words in (None, problem["detail"])
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers.get("Retry-After") == ("30" if case == "headers" else None)
        assert answer.headers.get("WWW-Authenticate", "").replace('"', "") in ("", "Basic realm=seats")
    assert ("WWW-Authenticate" in answers[0].headers) == ("WWW-Authenticate" in answers[1].headers)
    assert json.loads(answers[0].text)["detail"] == json.loads(answers[1].text)["detail"]


def test_a_view_of_fastapis_may_redirect_or_tell_an_object_by_an_exception(model):
    moved = fastapi(raising(HTTPException(307, headers={"Location": "/there"})))
    assert (moved.status_code, moved.headers["Location"]) == (307, "/there")
    nothing = fastapi(raising(HTTPException(304)))
    assert (nothing.status_code, nothing.content) == (304, b"")
    told = fastapi(raising(HTTPException(409, {"seat": 7}, {"X-Seat": "7"})))
    assert (told.status_code, told.json(), told.headers["X-Seat"]) == (409, {"detail": {"seat": 7}}, "7")


def faults(text: str) -> list[dict]:
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] == "error"]


def broken():
    raise RuntimeError("no such luck")


@pytest.mark.parametrize("kind", ["any", "status"])
def test_a_handler_of_fastapis_for_all_errors_answers_and_the_fault_is_logged(model, capfd, kind):
    async def told(request, error):
        return JSONResponse({"sorry": type(error).__name__}, 500)

    answer = fastapi(raising(RuntimeError("no such luck")), **{kind: told})
    assert (answer.status_code, answer.json()) == (500, {"sorry": "RuntimeError"})
    [line] = faults(capfd.readouterr().err)
    assert (line["event"], line["request_id"]) == ("fault", answer.headers["X-Request-ID"])


def test_a_handler_of_flasks_for_all_errors_answers_and_the_fault_is_logged(model, capfd):
    answer = flask(broken, status=lambda error: ({"sorry": type(error.original_exception).__name__}, 500))
    assert (answer.status_code, answer.json) == (500, {"sorry": "RuntimeError"})
    [line] = faults(capfd.readouterr().err)
    assert (line["event"], line["request_id"]) == ("fault", answer.headers["X-Request-ID"])


def test_a_handler_in_the_place_of_the_servers_own_tells_of_its_problems(model):
    """Also of the views that are called by a shorter way."""
    of_fastapi, of_flask = fastapi_app.create_app(), flask_app.create_app()

    @of_fastapi.exception_handler(Problem)
    async def tell(request, problem):
        return JSONResponse({"sorry": problem.title}, problem.status)

    @of_flask.errorhandler(Problem)
    def tell_too(problem):
        return {"sorry": problem.title}, problem.status

    wrong = {"features": "none"}
    with TestClient(of_fastapi) as client:
        until(lambda: client.get("/health/ready").status_code == 200)
        answers = [client.post("/predict", json=wrong)]
    client = of_flask.test_client()
    until(lambda: client.get("/health/ready").status_code == 200)
    answers.append(client.post("/predict", json=wrong))
    for answer in answers:
        assert (answer.status_code, json.loads(answer.text)) == (400, {"sorry": "Invalid input"})


def test_a_fault_that_nothing_handles_is_logged_once_and_the_hooks_of_flask_see_its_answer(model, capfd):
    for serve, view in ((fastapi, raising(RuntimeError("no such luck"))), (flask, broken)):
        answer = serve(view)
        problem = json.loads(answer.text)
        assert (answer.status_code, problem["type"]) == (500, "/problems/internal-error")
        assert "its log has the details" in problem["detail"] and "luck" not in answer.text
        [line] = faults(capfd.readouterr().err)
        assert line["request_id"] == answer.headers["X-Request-ID"] and "no such luck" in line["exception"]
    assert answer.headers["X-Mark"] == "seen"


def test_a_test_client_gets_what_nothing_handles_itself(model):
    of_fastapi, of_flask = fastapi_app.create_app(), flask_app.create_app()
    of_fastapi.get("/own")(raising(RuntimeError("no such luck")))
    of_flask.get("/own")(broken)
    of_flask.testing = True
    for client in (TestClient(of_fastapi), of_flask.test_client()):
        with pytest.raises(RuntimeError, match="no such luck"):
            client.get("/own")


def test_a_socket_of_fastapis_that_fails_raises_it_too(model):
    app = fastapi_app.create_app()

    @app.websocket("/own")
    async def own(socket: WebSocket):
        await socket.accept()
        raise RuntimeError("no such luck")

    with (
        pytest.raises(RuntimeError, match="no such luck"),
        TestClient(app).websocket_connect("/own") as socket,
    ):
        assert socket.receive() == {"type": "websocket.close", "code": 1011, "reason": ""}
