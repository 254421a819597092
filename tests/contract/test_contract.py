"""What both servers promise, asked of each, and then of the two together."""

import json
import time

import pytest
from wire import post, request_bytes, send

SETOSA = {"features": [5.1, 3.5, 1.4, 0.2]}


def test_a_prediction_is_a_list_and_nothing_else(server):
    answer = server.post("/predict", json=SETOSA)
    assert (answer.status_code, answer.json()) == (200, {"prediction": [0]})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("features", "species"), [([5.1, 3.5, 1.4, 0.2], 0), ([7.0, 3.2, 4.7, 1.4], 1), ([6, 3, 6, 2], 2)]
)
def test_each_species_is_recognised(server, features, species):
    assert server.post("/predict", json={"features": features}).json() == {"prediction": [species]}


def test_probabilities_come_when_asked_for(server):
    shares = server.post("/predict?probabilities=true", json=SETOSA).json()["probabilities"]
    assert len(shares) == 1 and len(shares[0]) == 3
    assert sum(shares[0]) == pytest.approx(1) and shares[0][0] > 0.9


def test_health_names_the_app_and_the_model(server):
    health = server.get("/health")
    assert health.status_code == 200
    assert health.json()["status"] == "ok"
    assert health.json()["app"] == f"{server.name.removeprefix('minimal_')}_api_example"
    assert health.json()["model"] == {name: server.get("/model").json()[name] for name in ("name", "version")}


def test_uptime_counts_up(server):
    first = server.get("/health").json()["uptime_seconds"]
    time.sleep(0.01)  # it is told in milliseconds, and two requests may take less than one
    assert 0 < first < server.get("/health").json()["uptime_seconds"]


def test_the_card_is_served_as_it_is_on_disk(server, iris_root):
    assert server.get("/model").json() == json.loads((iris_root / "card.json").read_text(encoding="utf-8"))


def test_head_is_get_without_the_body(server):
    answer = send(server.url, request_bytes("HEAD", "/health", {}))
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "one JSON object"),
        (b"{}", "Field required"),
        (b'{"features":[]}', "got 0"),
        (
            b'{"features":[1,2,3]}',
            "expected 4 features (sepal length, sepal width, petal length, petal width)",
        ),
        (b'{"features":[5.1,3.5,1.4,"0.2"]}', "valid number"),
        (b'{"features":[5.1,3.5,1.4,NaN]}', "finite"),
        (b'{"features":[5.1,3.5,99,0.2]}', "expected petal length from 0 to 12.8"),
        (b'{"features":[5.1,3.5,1.4,0.2],"colour":"blue"}', "not permitted"),
    ],
)
def test_a_refusal_says_what_was_expected_and_both_say_the_same(both, body, says):
    answers = [post(server.url, body) for server in both.values()]
    assert [answer.status for answer in answers] == [400, 400]
    details = [json.loads(answer.body)["detail"] for answer in answers]
    assert says in details[0]
    assert details[0] == details[1]


@pytest.mark.parametrize("secret", ['"hunter2"', "777777777.125", '{"hunter2":1}'])
def test_a_refusal_never_repeats_what_came(server, secret):
    answer = post(server.url, b'{"features":[%s,1,1,1],"hunter2":1}' % secret.encode())
    assert answer.status == 400
    assert b"hunter2" not in answer.body and b"777777777" not in answer.body


def test_a_wrong_method_is_told_the_right_one(both):
    for server in both.values():
        answer = send(server.url, request_bytes("GET", "/predict", {}))
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/health", "/model"])
def test_what_can_be_read_says_that_get_and_head_are_allowed(both, path):
    for server in both.values():
        answer = send(server.url, request_bytes("DELETE", path, {}))
        assert (answer.status, set(answer.headers["allow"].split(", "))) == (405, {"GET", "HEAD"})


def test_the_log_is_json_lines_without_features(server):
    server.post("/predict", json={"features": [5.0625839, 3.5, 1.4, 0.2]})
    log = server.log.read_text(encoding="utf-8")
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert {"model loaded", "predicted"} <= set(events)
    assert "5.0625839" not in log


def test_fastapi_documents_what_it_takes(both):
    document = both["fastapi"].get("/openapi.json").json()
    predict = document["paths"]["/predict"]["post"]
    schema = predict["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["features"]["items"]["type"] == "number"
    assert "422" not in predict["responses"]
    assert {path: set(methods) for path, methods in document["paths"].items()} == {
        "/predict": {"post"},
        "/health": {"get"},
        "/model": {"get"},
    }
    assert both["fastapi"].get("/docs").status_code == 200
