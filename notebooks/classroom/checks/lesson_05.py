"""The checks of lesson 05."""

import contextlib
import io
import math
from collections.abc import Mapping

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from ..exercises import NotYet, exercise, shown
from ..servers import Server
from . import pairs

FLOWER = '{"features": [5.1, 3.5, 1.4, 0.2]}'


@exercise(
    "5.1",
    hints=(
        "Which three things does a program read of an answer, and which of them can you compare with `==` "
        "at once?",
        "Where a header is missing in both, `a.headers.get(name) == b.headers.get(name)` is True. Can one "
        "line do this for all of HEADERS_THAT_MATTER?",
        "`a.json()` raises ValueError where the body is not JSON. What could stand in for the body then?",
    ),
    seconds=20,
)
def the_same_answer(answers):
    same_answer = answers.function("same_answer")
    for difference, a, b, expected, question in pairs.PAIRS:
        for first, second in ((a, b), (b, a)):
            said = same_answer(first, second)
            if said is None:
                raise NotYet("expected True or False, got None. Does every way through end in a `return`?")
            if bool(said) != expected:
                raise NotYet(
                    f"two answers differ {difference}: expected {expected}, got {shown(said)}. {question}"
                )
    for path in ("/model", "/nowhere", "/predict"):
        live = [server.get(path) for server in running(answers)]
        if len(live) == 2 and not same_answer(*live):
            raise NotYet(
                f"expected True for what your two servers answer to GET {path}, got False. How do those "
                "two differ?"
            )
    return f"{len(pairs.PAIRS)} pairs told apart as a client would, and your live servers answer alike."


@exercise(
    "5.2",
    hints=(
        "FastAPI compares the body with a class before your function runs; Flask does not look. What "
        "could a body lack, or be, so that only one of the two notices?",
        "Valid JSON need not be an object, and `features` need not be a list. What if a client sends `null`, "
        "or a list with a word in it?",
        "The contract knows one status for every body that is not as promised. Which one?",
    ),
    seconds=30,
)
def where_they_differ(answers):
    cases = answers["more_cases"]
    if not isinstance(cases, Mapping):
        raise NotYet(
            f"expected a dictionary, got {shown(cases)}. Is there a name before each case, and a colon?"
        )
    pages, apps = running(answers), answers["naive"]
    if not pages:
        raise NotYet(
            "no server is running, expected FastAPI or Flask. Have you run the cell that starts them?"
        )
    known, agreeing = list(answers["CASES"].values()), []
    tabled = len(known)
    for what, case in cases.items():
        status, request = taken_apart(what, case)
        if request in [complete(each) for each in known]:
            whose = "your own table" if request in known[tabled:] else "the table above"
            raise NotYet(f"{what!r}: {whose} has this very request. What else could a client send?")
        known.append(request)
        if (gets := asked(pages[0], request).status_code) != status:
            raise NotYet(
                f"{what!r}: you expect {shown(status)}, and our page answered {gets}. What does the contract "
                "say of such a request?"
            )
        statuses = [asked(app, request).status_code for app in apps.values()]
        if len(set(statuses)) == 1:
            agreeing.append(f"{what!r} gives {statuses[0]} on both naive apps")
    if agreeing:
        raise NotYet(
            f"expected two different statuses; {'; '.join(agreeing)}. Does either look at the body before "
            "the model does?"
        )
    if len(cases) < 3:
        raise NotYet(f"expected three requests, got {len(cases)}. What else could be wrong with a body?")
    return f"{len(cases)} more decisions that somebody else made, and one contract that settles them."


def taken_apart(what: str, case) -> tuple[object, tuple]:
    """The promised status, and the request as (method, path, body, content type)."""
    parts = tuple(case) if isinstance(case, (tuple, list)) else ()
    if not 3 <= len(parts) <= 5 or not all(isinstance(part, (str, type(None))) for part in parts[1:]):
        raise NotYet(
            f'{what!r}: expected (status, "POST", "/predict", "the body as text"), got {shown(case)}. Is the '
            "body a string, with its JSON inside?"
        )
    return parts[0], complete(parts[1:])


def complete(request: tuple) -> tuple:
    return (*request, *("", "application/json")[len(request) - 2 :])


def asked(client, request: tuple):
    """The answer of a live server, or of an app behind a client."""
    method, path, body, content_type = request
    headers = {"Content-Type": content_type} if content_type else {}
    return client.request(method, path, content=body, headers=headers)


def running(answers) -> list[Server]:
    try:
        servers = list(answers["servers"].values())
    except Exception:
        return []
    return [server for server in servers if isinstance(server, Server) and server.alive]


THIRD = """
third = Flask("third")

@third.post("/predict")
def third_predict():
    features = StrictFlower.model_validate_json(request.get_data()).features
    return {"prediction": int(model.predict([features])[0])}

@third.errorhandler(Exception)
def third_refused(error):
    return {"detail": "invalid input"}, 422
"""
# What it is, the request, the promised status, and what to ask who does not keep it.
PROMISES = (
    ("a flower", ("POST", "/predict", FLOWER), 200, "What does `predict` give for one row: a number?"),
    ("a body cut off", ("POST", "/predict", '{"features": [5.1,'), 400, "Who refuses this body?"),
    ("text for a number", ("POST", "/predict", '{"features": ["5.1",3,1,0]}'), 400, "Does `strict` help?"),
    ("NaN", ("POST", "/predict", '{"features": [NaN,3,1,0]}'), 400, "Which type takes no NaN?"),
    ("one name too many", ("POST", "/predict", '{"features": [5,3,1,0], "x": 1}'), 400, "Who forbids it?"),
    ("`null`", ("POST", "/predict", "null"), 400, "What is in a body of null?"),
    ("three numbers", ("POST", "/predict", '{"features": [5.1,3.5,1.4]}'), 400, "Who counts them?"),
    ("no Content-Type", ("POST", "/predict", FLOWER, ""), 400, "What is `request.mimetype` then?"),
    ("a text/plain body", ("POST", "/predict", FLOWER, "text/plain"), 400, "Which types do you let in?"),
    (
        "an unknown path",
        ("GET", "/nowhere"),
        404,
        "Flask raises an HTTPException with its own status for it; what does your handler make of that?",
    ),
    (
        "a slash too many",
        ("POST", "/predict/", FLOWER),
        404,
        "Flask raises an HTTPException with its own status for it; what does your handler make of that?",
    ),
    ("GET, not POST", ("GET", "/predict"), 405, "Which status does Flask's own exception carry?"),
)


@exercise(
    "5.3",
    hints=(
        "There are five faults. Which promises does `broken_promise` find broken if you ask `third` each of "
        "CASES, as we did with the naive apps?",
        "`Exception` is every error: the client's, Flask's own 404 and 405, and your bugs. Which of them "
        "should become a 400, if a pydantic ValidationError is a ValueError, and so is the model error?",
        "The Flask page gives Flask's own errors a JSON body and keeps their status and headers. What if "
        "`third` had a handler for HTTPException that did what `refused` does there?",
    ),
    seconds=20,
)
def a_third_server(answers):
    answers.not_tried_if_cell_is(THIRD)
    app = answers["third"]
    if not callable(getattr(app, "wsgi_app", None)):
        raise NotYet(f"`third` is {shown(app)}, expected a Flask app. Has another line reused the name?")
    transport = httpx.WSGITransport(app=app, raise_app_exceptions=False, wsgi_errors=io.StringIO())
    with httpx.Client(transport=transport, base_url="http://third") as client:
        for what, request, status, question in PROMISES:
            got = asked(client, complete(request))
            if fault := fault_of(got, status):
                raise NotYet(f"{what} gets {fault}. {question}")
    with app.test_request_context("/predict"), contextlib.suppress(RuntimeError):
        bug = app.make_response(app.handle_user_exception(RuntimeError("a bug of the server's")))
        if bug.status_code < 500:
            raise NotYet(
                f"every promise is kept, and a bug of your own (a RuntimeError) gets {bug.status_code}, "
                "expected 500. Who would look for it, if the client is told that it is their mistake?"
            )
    return f"{len(PROMISES)} promises kept. A client cannot tell it from the other two."


def fault_of(got: httpx.Response, status: int) -> str:
    """What an answer lacks of the contract, "" where it lacks nothing."""
    if got.status_code != status:
        return f"status {got.status_code}, expected {status}"
    if (kind := got.headers.get("content-type", "no Content-Type")) != "application/json":
        return f"{status} with {kind}, expected application/json"
    body = got.json()
    if status == 200 and body != {"prediction": [0]}:
        return f'{shown(body)}, expected {{"prediction": [0]}}'
    if status != 200 and (not isinstance(body, dict) or list(body) != ["detail"]):
        return f'{shown(body)}, expected {{"detail": "…"}}'
    if status == 405 and "POST" not in got.headers.get("allow", ""):
        return "405 without the header Allow, expected one that names POST"
    return ""


FLOWERS = ([5.1, 3.5, 1.4, 0.2], [70.0, 32.0, 47.0, 14.0])


@exercise(
    "5.4",
    hints=(
        "A dependency's parameters are read as those of a view are. What does FastAPI make of `unit: str` in "
        "the one and in the other?",
        "`HTTPException` is an exception. What does one do with it: give it back, or …?",
        "Who calls `factor`, if the view has a parameter `times: Annotated[float, Depends(factor)]`? And "
        "what does a router do before an app includes it?",
    ),
    seconds=20,
)
def a_dependency_of_your_own(answers):
    answers.function("factor"), answers.function("create_scaler")
    factor, create = answers["factor"], answers.function("create_scaler")
    first, second = create(), create()
    if not isinstance(first, FastAPI):
        raise NotYet(f"`create_scaler()` gave {shown(first)}, expected a FastAPI app. What do you return?")
    if first is second:
        raise NotYet("two calls gave the same app, expected a new one each. Where is it made?")
    for features in FLOWERS:
        scaled(first, "", features, features)
        scaled(first, "?unit=cm", features, features)
        scaled(first, "?unit=mm", features, [0.1 * value for value in features])
    for unit in ("inch", "", "MM"):
        got = post(first, f"?unit={unit}", FLOWERS[0])
        if got.status_code != 400:
            raise NotYet(
                f"unit={unit!r} gets {got.status_code}, expected 400. Which units do you let through, and do "
                "you `raise`?"
            )
    first.dependency_overrides[factor] = lambda: 7.0
    scaled(
        first, "?unit=mm", FLOWERS[0], [7 * value for value in FLOWERS[0]], " with a test's own factor, 7,"
    )
    scaled(second, "", FLOWERS[0], FLOWERS[0], " in a second app, where nothing was replaced,")
    return "the query decides, the view does not know it, and a test can decide instead."


def post(app: FastAPI, query: str, features: list[float]):
    client = TestClient(app, raise_server_exceptions=False)
    return client.post(f"/v1/scale{query}", json={"features": features})


def scaled(app: FastAPI, query: str, features: list[float], expected: list[float], when: str = "") -> None:
    """Raises NotYet unless the app answers with the expected numbers."""
    got = post(app, query, features)
    case = f"POST /v1/scale{query}{when}"
    if got.status_code == 404:
        raise NotYet(f"{case} gets 404. Has the router its prefix, and has the app included it?")
    if got.status_code != 200:
        raise NotYet(f"{case} gets {got.status_code}, expected 200. What does `/docs` say that it takes?")
    body = got.json()
    if not isinstance(body, dict) or list(body) != ["features"]:
        raise NotYet(f'{case} gave {shown(body)}, expected {{"features": […]}}. What does the view return?')
    if len(body["features"]) != len(expected) or not all(map(math.isclose, body["features"], expected)):
        question = "Who decides the factor, the view or the dependency?" if when else "What is multiplied?"
        raise NotYet(f"{case} gave {shown(body['features'])}, expected {shown(expected)}. {question}")
