"""What both full servers promise to whoever asks as they should, and to whoever takes the wrong method.

Bad clients are in test_hostile.py and beside it."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from promises import check_answer, comparable
from routes import ROUTES
from wire import Answer, post, request_bytes, send

ROW = [5.1, 3.5, 1.4, 0.2]
ROWS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]
SPECIES = ["setosa", "versicolor", "virginica"]
FIXED = [path for path in ROUTES if "{" not in path]


def same(full, request: bytes) -> Answer:
    """The answer that both give."""
    answers = [send(server.url, request) for server in full.values()]
    for server, answer in zip(full.values(), answers, strict=True):
        check_answer(server, answer)
    assert comparable(answers[0]) == comparable(answers[1])
    return answers[0]


def posted(full, path: str, body: dict) -> Answer:
    data = json.dumps(body).encode()
    return same(full, request_bytes("POST", path, {"Content-Type": "application/json"}, data))


def got(full, path: str) -> Answer:
    return same(full, request_bytes("GET", path, {}))


@pytest.fixture(scope="module")
def identity(iris_root) -> dict[str, str]:
    card = json.loads((iris_root / "models" / "iris" / "card.json").read_text(encoding="utf-8"))
    return {"name": "iris", "version": card["version"]}


@pytest.mark.parametrize(("row", "number"), list(zip(ROWS, range(3), strict=True)))
def test_a_prediction_says_what_how_sure_and_by_which_model(full, identity, row, number):
    answer = posted(full, "/predict", {"features": row})
    found = json.loads(answer.body)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert list(found) == ["prediction", "label", "probabilities", "model", "request_id"]
    assert (found["prediction"], found["label"]) == ([number], SPECIES[number])
    assert list(found["probabilities"]) == SPECIES
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert max(found["probabilities"], key=found["probabilities"].get) == SPECIES[number]
    assert found["model"] == identity
    assert found["request_id"] == answer.request_id


def test_a_batch_is_answered_in_the_order_of_its_rows(full, identity):
    order = [2, 0, 1, 1, 0, 2, 0]
    answer = posted(full, "/predict/batch", {"instances": [ROWS[number] for number in order]})
    found = json.loads(answer.body)
    assert answer.status == 200
    assert list(found) == ["prediction", "label", "probabilities", "model", "request_id"]
    assert found["prediction"] == order
    assert found["label"] == [SPECIES[number] for number in order]
    alone = [json.loads(posted(full, "/predict", {"features": ROWS[number]}).body) for number in order]
    for shares, single in zip(found["probabilities"], alone, strict=True):
        assert shares == pytest.approx(single["probabilities"], abs=1e-6)
    assert (found["model"], found["request_id"]) == (identity, answer.request_id)


@pytest.mark.parametrize("rows", [1, 64, 65, 1000])
def test_a_batch_may_be_as_large_as_documented(full, rows):
    """From 65 rows on another thread predicts."""
    found = json.loads(posted(full, "/predict/batch", {"instances": (ROWS * rows)[:rows]}).body)
    assert found["prediction"] == ([0, 1, 2] * rows)[:rows]


@pytest.mark.parametrize(
    ("instances", "status", "slug", "says"),
    [
        (ROWS * 334, 413, "too-many-rows", "at most 1000 rows"),
        ([], 400, "invalid-input", "from 1 to 1000 rows, got none"),
        ([*ROWS, [1, 2, 3]], 400, "invalid-input", "4 features in row 3"),
        ([*ROWS, [5.1, 3.5, 99, 0.2]], 400, "out-of-range", "petal length from 0 to 12.8 in row 3"),
        ([*ROWS, "5.1"], 400, "invalid-input", "[[numbers], ...]"),
    ],
    ids=["too many", "none", "short", "out of range", "no row"],
)
def test_a_batch_is_taken_whole_or_not_at_all(full, instances, status, slug, says):
    answer = posted(full, "/predict/batch", {"instances": instances})
    problem = json.loads(answer.body)
    assert (answer.status, problem["type"]) == (status, f"/problems/{slug}")
    assert says in problem["detail"]


def test_the_model_is_its_card_and_the_only_one_listed(full, identity, iris_root):
    card = json.loads((iris_root / "models" / "iris" / "card.json").read_text(encoding="utf-8"))
    assert json.loads(got(full, "/model").body) == card
    entry = {**identity, "format": "onnx", "state": "ready"}
    assert json.loads(got(full, "/models").body) == {"models": [entry]}


def test_health_live_and_ready(full, identity):
    health = json.loads(got(full, "/health").body)
    assert list(health) == ["status", "app", "model", "uptime_seconds"]
    assert (health["status"], health["model"]) == ("ok", {**identity, "format": "onnx"})
    assert [server.get("/health").json()["app"] for server in full.values()] == ["fastapi_app", "flask_app"]
    assert json.loads(got(full, "/health/live").body) == {"status": "live"}
    assert json.loads(got(full, "/health/ready").body) == {"status": "ready"}


def test_uptime_counts_up(full):
    for server in full.values():
        first = server.get("/health").json()["uptime_seconds"]
        time.sleep(0.01)  # it is told in milliseconds, and two requests may take less than one
        assert 0 < first < server.get("/health").json()["uptime_seconds"]


@pytest.mark.parametrize("path", [path for path in FIXED if "GET" in ROUTES[path]])
def test_head_is_get_without_the_body(full, path):
    for server in full.values():
        get, head = (send(server.url, request_bytes(method, path, {})) for method in ("GET", "HEAD"))
        assert (head.status, head.body) == (get.status, b"") and get.status == 200
        names = set(get.headers) - {"date", "content-length"}
        assert names <= set(head.headers)
        assert head.headers["content-type"] == get.headers["content-type"]
        if path != "/health":  # whose uptime may have got a digit more
            assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("path", [*FIXED, "/v2/models/iris", "/v2/models/iris/infer", "/problems/not-found"])
def test_every_other_method_is_told_which_are_right(full, path):
    right = {"GET", "HEAD"} if path.startswith("/problems/") or path == "/v2/models/iris" else {"POST"}
    right = set(ROUTES.get(path, right))
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - right:
        answer = same(full, request_bytes(method, path, {}))
        assert (answer.status, set(answer.headers["allow"].split(", "))) == (405, right), method


@pytest.mark.parametrize(
    "path", ["/", "/predict/", "/Predict", "/health/", "//health", "/health/live/x", "/v2/", "/v2/models/",
             "/v2/models", "/models/iris", "/docs/", "/problems/", "/static/x", "/favicon.ico", "/console"]
)  # fmt: skip
def test_a_path_is_there_or_not_and_never_elsewhere(full, path):
    """No redirect: its address would be made of a header that anybody can send."""
    answer = got(full, path)
    assert (answer.status, json.loads(answer.body)["type"]) == (404, "/problems/not-found")
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/v2/models/iris2", "/v2/models/Iris/ready", "/v2/models/iris/versions/none", "/v2/models/%69ris2"],
)
def test_another_models_name_is_unknown(full, path):
    answer = got(full, path)
    assert (answer.status, json.loads(answer.body)["type"]) == (404, "/problems/unknown-model")
    assert json.loads(answer.body)["error"]


def test_no_answer_lets_another_sites_page_read_it(full):
    headers = {"Origin": "https://evil.example", "Content-Type": "application/json"}
    for request in (
        request_bytes("GET", "/health", headers),
        request_bytes("POST", "/predict", headers, json.dumps({"features": ROW}).encode()),
        request_bytes("OPTIONS", "/predict", {**headers, "Access-Control-Request-Method": "POST"}),
    ):
        answer = same(full, request)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_answer_says_which_software_gave_it(full):
    for server in full.values():
        for path in ("/health", "/nope"):
            headers = send(server.url, request_bytes("GET", path, {})).headers
            told = " ".join([*headers, *headers.values()]).lower()
            assert not [
                word
                for word in ("uvicorn", "waitress", "granian", "flask", "werkzeug", "python")
                if word in told
            ]


def test_the_same_row_gets_the_same_bytes_every_time(full):
    body = json.dumps({"features": ROW}).encode()
    answers = {post(server.url, body, request_id="same").body for server in full.values() for _ in range(20)}
    assert len(answers) == 1


TENSOR = {"name": "features", "shape": [1, 4], "datatype": "FP64", "data": ROW}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/predict", b'{"features":["5.1",3.5,1.4,0.2]}', "features[0] is text, expected a number"),
        ("/predict", b'{"features":[5.1,3.5,null,0.2]}', "features[2] is null, expected a number"),
        ("/predict", b'{"feature":[5.1,3.5,1.4,0.2]}', "a name is not one of these: features"),
        ("/predict", b"{}", "a name is missing: features"),
        ("/predict", b'{"features":[5.1,3.5', "it breaks off at line 1, column 20"),
        (
            "/predict/batch",
            b'{"instances":[[5.1],[true]]}',
            "instances[1][0] is true or false, expected a number",
        ),
        (
            "/v2/models/iris/infer",
            json.dumps({"inputs": [TENSOR | {"data": [5.1, {}]}]}).encode(),
            "inputs[0].data[1] is an object, expected a number or a list",
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_told_in_words(full, path, body, words):
    answer = same(full, request_bytes("POST", path, {"Content-Type": "application/json"}, body))
    assert answer.status == 400
    assert json.loads(answer.body)["detail"].endswith(f": {words}")


def test_a_body_of_the_longest_numbers_is_answered_while_others_are_served(full):
    """As many as fit, of those on which a parser may spend long. tests/service/test_faults.py says on which
    parser they are not spent."""
    body = b'{"features":[' + b",".join([b"1.2345678901234567e-300"] * 43_000) + b"]}"
    for server in full.values():
        with ThreadPoolExecutor(4) as clients:
            large = [clients.submit(post, server.url, body) for _ in range(8)]
            small = [post(server.url, json.dumps({"features": ROW}).encode()) for _ in range(20)]
        assert {answer.status for answer in small} == {200}
        for answer in (waiting.result() for waiting in large):
            assert answer.status == 400
            assert json.loads(answer.body)["detail"].endswith("got 43000")
