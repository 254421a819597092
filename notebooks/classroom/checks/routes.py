"""What the routes of a learner's app have to answer: exercises 3.3 and 4.5."""

import math

from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask

from ..answers import NotYet, shown

MEDIANS = {"sepal length": 5.8, "sepal width": 3.0, "petal length": 4.35, "petal width": 1.3}
ROUTE = "/medians/{name}"


def expect_medians(garden):
    """NotYet unless the FastAPI app answers the medians of exercise 3.3."""
    if not isinstance(garden, FastAPI):
        raise NotYet(f"`garden` is {shown(garden)}, expected a FastAPI app. Was the name used again?")
    route = garden.openapi()["paths"].get(ROUTE, {}).get("get")
    if route is None:
        found = ", ".join(garden.openapi()["paths"]) or "none"
        raise NotYet(f"expected the route GET {ROUTE}, found: {found}. What stands in `@garden.get(…)`?")
    ask = TestClient(garden, raise_server_exceptions=False).get
    for name, value in MEDIANS.items():
        _expect_length(ask(f"/medians/{name}"), name, value, "cm")
        _expect_length(ask(f"/medians/{name}?unit=mm"), name, 10 * value, "mm")
    _expect_refusal(ask("/medians/stem length"), 404, "/medians/stem length")
    _expect_refusal(ask("/medians/stem length?unit=mm"), 404, "/medians/stem length?unit=mm")
    _expect_refusal(ask("/medians/petal width?unit=inch"), 422, "/medians/petal width?unit=inch")
    answer = route["responses"]["200"]["content"]["application/json"]["schema"]
    if not answer.get("$ref", "").endswith("/Length"):
        raise NotYet(
            "it answers rightly, but promises nothing: expected the return type `Length` in the "
            "documentation. What stands between `)` and `:` of your `def`?"
        )


def _expect_length(answer, name, value, unit):
    asked = f"GET /medians/{name}" + ("?unit=mm" if unit == "mm" else "")
    if answer.status_code == 422:
        missing = answer.json()["detail"][0]["loc"]
        raise NotYet(
            f"{asked} gave 422 for {missing}, expected 200. Which of your parameters has that name, and is "
            "its type or its default the reason?"
        )
    if answer.status_code != 200:
        raise NotYet(
            f"{asked} gave {answer.status_code}, expected 200. What does your function return or raise for "
            "a name that is in MEDIANS?"
        )
    got = answer.json()
    if not isinstance(got, dict) or set(got) != {"name", "value", "unit"}:
        raise NotYet(f"{asked} gave {shown(got)}, expected name, value and unit. What do you return?")
    if got["unit"] != unit or got["name"] != name:
        raise NotYet(
            f"{asked} gave name {shown(got['name'])} and unit {shown(got['unit'])}, expected {name!r} and "
            f"{unit!r}. Where do these two come from in your function?"
        )
    if not isinstance(got["value"], float | int) or not math.isclose(got["value"], value):
        raise NotYet(
            f"{asked} gave the value {shown(got['value'])}, expected {value:g}. How many millimetres are a "
            "centimetre, and in which case do you convert?"
        )


def _expect_refusal(answer, status: int, path: str):
    if answer.status_code == status:
        return
    if answer.status_code == 200 and isinstance(answer.json(), list):
        raise NotYet(
            f"GET {path} gave 200 and a list of two, expected {status}: FastAPI took what you returned for a "
            "body. What ends a request with a status of its own?"
        )
    question = {
        (404, 500): "Was the name looked up before anybody asked whether it is there?",
        (404, 200): "Was the HTTPException returned, or raised?",
        (422, 200): 'Which type has only the values "cm" and "mm"?',
    }.get((status, answer.status_code), "Which line decides that?")
    raise NotYet(f"GET {path} gave {answer.status_code}, expected {status}. {question}")


def expect_factory(create_app):
    """NotYet unless what it makes are the Flask apps of exercise 4.5."""
    loads = []

    def load_sum():
        loads.append("a load")
        return sum

    def no_file():
        raise FileNotFoundError("model.pkl")

    app = create_app(load_sum)
    if not isinstance(app, Flask):
        raise NotYet(f"create_app gave {shown(app)}, expected a Flask app. Does it end in `return app`?")
    if not loads:
        raise NotYet(
            "when create_app returned, load() had not been called, expected once: the first caller would "
            "wait. What calls it in your version?"
        )
    first = _client(app)
    _expect_answer(first.get("/health"), 200, {"status": "ok"}, "GET /health")
    second = _client(create_app(lambda: max))
    for client, expected in ((second, 2), (first, 3), (first, 3)):
        answer = client.post("/predict", json={"features": [1, 2]})
        if answer.status_code == 200 and answer.json == {"prediction": {2: 3, 3: 2}[expected]}:
            raise NotYet(
                "of two apps with two models, one answered with the other's. Where does your model live: in "
                "the app, or in a name that all apps share?"
            )
        _expect_answer(answer, 200, {"prediction": expected}, "POST /predict")
    if len(loads) != 1:
        raise NotYet(f"load() was called {len(loads)} times, expected once. Which requests call it again?")
    for method, path, status in (("GET", "/nowhere", 404), ("GET", "/predict", 405)):
        answer = first.open(path, method=method)
        if answer.status_code != status or not answer.is_json or "detail" not in answer.json:
            raise NotYet(
                f"{method} {path} gave {answer.status_code} as {answer.mimetype}, expected {status} as JSON "
                "with a `detail`. Which errors does your handler take?"
            )
    broken = _client(create_app(no_file))
    for answer, asked in (
        (broken.get("/health"), "GET /health"),
        (broken.post("/predict", json={"features": [1, 2]}), "POST /predict"),
    ):
        if answer.status_code != 503 or not answer.is_json or "detail" not in answer.json:
            raise NotYet(
                f"where load() raised, {asked} gave {answer.status_code} as {answer.mimetype}, expected 503 "
                "as JSON with a `detail`. What does this route do when there is no model?"
            )


def _client(app: Flask):
    """A client to which an error in a view comes out, so that it can be named."""
    app.config["PROPAGATE_EXCEPTIONS"] = True
    return app.test_client()


def _expect_answer(answer, status: int, body: dict, asked: str):
    if (answer.status_code, answer.json if answer.is_json else None) != (status, body):
        raise NotYet(
            f"{asked} gave {answer.status_code} {shown(answer.text.strip())}, expected {status} {body}. What "
            "does that view return?"
        )
