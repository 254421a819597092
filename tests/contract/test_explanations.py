"""What each feature did to an answer, on both full servers: what it says, who may ask, and what it never does
to predictions."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import test_openapi
from classroom.servers import ROOT
from credentials import bearer, eventually, guarded_pair
from pairs import FULL, ONE, pair
from waiting_model import Hold, WaitingSum, environment

from apps.service.access.declared import SCOPES
from model_training.adopt import adopt

ROW = [5.9031417, 3.2072153, 4.8093926, 1.8054383]  # no time in a log has as many digits
MOST = 1 + 4  # explanations: one that is computed, and those that wait


@pytest.fixture(scope="module")
def explaining(iris_root, tmp_path_factory):
    """Both servers with access on, and explanations."""
    model = iris_root / "models" / "iris"
    with guarded_pair(tmp_path_factory.mktemp("access"), model, {"EXPLAIN": "on"}) as found:
        yield found


def ask(explaining, name: str, features, path: str = "/explain"):
    headers = bearer(explaining.make("only-predict", ["predict"]))
    return explaining.servers[name].post(path, json={"features": features}, headers=headers)


def test_both_explain_alike_and_it_adds_up_to_what_predict_answers(explaining):
    answers = [ask(explaining, name, ROW) for name in FULL]
    assert [answer.status_code for answer in answers] == [200, 200]
    found = [answer.json() for answer in answers]
    predicted = ask(explaining, "fastapi", ROW, "/predict").json()
    for one, answer in zip(found, answers, strict=True):
        assert one.pop("request_id") == answer.headers["X-Request-ID"] and one.pop("seconds") >= 0
    assert found[0] == found[1]
    one = found[0]
    shared = ("prediction", "label", "probabilities", "model")
    assert {name: one[name] for name in shared} == {name: predicted[name] for name in shared}
    label = predicted["label"]
    assert one["explained"] == f"probability of {label}" and "unit" not in one
    assert one["answer"] == predicted["probabilities"][label]
    parts = one["contributions"]
    assert [part["value"] for part in parts] == ROW
    assert [part["feature"] for part in parts][:2] == ["sepal length", "sepal width"]
    assert one["baseline"] + sum(part["contribution"] for part in parts) == pytest.approx(one["answer"])
    assert one["complete"] and one["samples"] > 100 and one["method"] == "permutations"
    assert max(part["standard_error"] for part in parts) < 0.02


@pytest.mark.parametrize("features", [[1, 2, 3], [1, 2, 3, 4, 5], [99.0, 3.2, 4.8, 1.8], "5.9", None])
def test_what_predict_refuses_is_refused_alike(explaining, features):
    found = set()
    for name in FULL:
        for path in ("/predict", "/explain"):
            answer = ask(explaining, name, features, path).json()
            assert answer.pop("request_id") in answer.pop("instance")
            found.add(json.dumps(answer))
    assert len(found) == 1 and '"status": 400' in found.pop()


@pytest.mark.parametrize("name", FULL)
def test_it_is_for_those_who_may_predict(explaining, name):
    server, wrong = (
        explaining.servers[name],
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
    )
    assert server.post("/explain", **wrong).status_code == 401
    for scope in SCOPES:
        token = bearer(explaining.make(f"only-{scope}", [scope]))
        answer = server.post("/explain", content=b"{", headers=wrong["headers"] | token)
        assert answer.status_code == (400 if scope == "predict" else 403)


def test_no_log_has_the_features(explaining):
    for name in FULL:
        ask(explaining, name, ROW)
        log = explaining.servers[name].log.read_text(encoding="utf-8")
        assert '"route":"/explain"' in log and not [value for value in ROW if str(value) in log]


def test_the_document_is_true_of_explanations(explaining):
    documents = [explaining.servers[name].get("/openapi.json").json() for name in FULL]
    for document in documents:
        document["info"].pop("summary")
    document = documents[0]
    assert document == documents[1]
    test_openapi.test_its_schemas_are_schemas_and_every_reference_leads_somewhere(document)
    test_openapi.test_every_example_is_as_its_schema_says(document)
    explain = document["paths"]["/explain"]["post"]
    told = {
        slug
        for response in explain["responses"].values()
        for content in response.get("content", {}).values()
        for slug in content.get("examples", {})
    }
    assert told >= test_openapi.OF_EXPLANATIONS
    for name in FULL:
        test_openapi.check(document, ask(explaining, name, ROW), explain, 200)
        test_openapi.check(document, ask(explaining, name, [1]), explain, 400)


@pytest.fixture(scope="module")
def held(tmp_path_factory, holding: Path):
    """Both servers with a model that a test can hold up, adopted with its data."""
    root = tmp_path_factory.mktemp("held")
    rows = pd.DataFrame({"first": np.linspace(2, 9, 40), "second": np.linspace(5, 6, 40)})
    joblib.dump(WaitingSum().fit(rows.to_numpy(), rows.sum(axis=1)), root / "held.pkl")
    rows.to_csv(root / "rows.csv", index=False)
    adopt(root / "held.pkl", "held", root / "rows.csv", root)
    env = environment(root / "models" / "held", holding)
    with pair({**env, **ONE, "EXPLAIN": "on", "EXPLAIN_SECONDS": "1.5"}) as servers:
        yield servers


@pytest.mark.parametrize("name", FULL)
def test_a_slow_model_s_explanations_end_and_predictions_go_on(held, holding, name):
    server, slow, quick = held[name], {"features": [1.0, 5.5]}, {"features": [4.0, 5.5]}
    with ThreadPoolExecutor(MOST + 2) as pool:
        with Hold(holding) as hold:
            first = pool.submit(server.post, "/explain", json=slow)
            hold.await_begin()
            others = [pool.submit(server.post, "/explain", json=slow) for _ in range(MOST + 1)]
            for _ in range(20):
                assert server.post("/predict", json=quick).json()["prediction"] == [9.5]
            answers = [one.result() for one in [first, *others]]
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.headers["Retry-After"] for answer in answers} == {"1"}
        said = [answer.json()["type"].rpartition("/")[2] for answer in answers]
        assert said.count("explanation-busy") >= 2 and said.count("explanation-timeout") >= 1
        assert set(said) == {"explanation-busy", "explanation-timeout"}
        assert first.result().json()["detail"].endswith("within 1.5 seconds")
    assert eventually(lambda: server.post("/explain", json=quick).status_code == 200)
    answer = server.post("/explain", json=slow).json()
    [one, other] = answer["contributions"]
    assert (answer["explained"], answer["answer"]) == ("value", 6.5)
    assert one["contribution"] == pytest.approx(1 - 5.5, abs=0.1)
    assert other["contribution"] == pytest.approx(0, abs=0.1)


def test_a_model_adopted_without_data_says_what_it_lacks(waiting_env):
    with pair({**waiting_env, "EXPLAIN": "on"}) as servers:
        for server in servers.values():
            answer = server.post("/explain", json={"features": [2.0, 3.0]})
            assert answer.status_code == 409
            assert answer.json()["type"] == "/problems/explanation-unavailable"
            assert "adopt it with --data" in answer.json()["detail"]


def test_with_explain_off_there_is_no_route_and_nothing_of_it_is_imported(full):
    for server in full.values():
        assert server.post("/explain", json={"features": ROW}).json()["type"] == "/problems/not-found"
    code = (
        "import sys; from apps import fastapi_app, flask_app; from apps.service import build;"
        "[app.create_app(build('an app', 8000)) for app in (fastapi_app, flask_app)];"
        "print([name for name in [*sys.modules] if 'explanations' in name or 'shapley' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.stdout == "[]\n", done.stderr
