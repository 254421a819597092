"""Models of categories and of missing values, of several targets, and one that finds outliers, on both full
servers: rows by place and by name, V2, jobs, the cache and the document."""

import csv
import io
import json

import joblib
import numpy as np
import pandas as pd
import pytest
import tritonclient.http as triton
from adopted import adopt_model
from classroom.servers import serve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from job_uploads import CSV, ended
from jsonschema import Draft202012Validator
from pairs import FULL, pair
from promises import comparable
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from test_schemathesis import assert_schemathesis
from wire import Answer

from model_training import datasets
from model_training.card import Card, read_card
from model_training.export import export
from model_training.train import train

BIRD = ["Torgersen", "male", 39.1, 18.7, 181.0, 3750.0]
NAMES = ["island", "sex", "bill length", "bill depth", "flipper length", "body mass"]
NAMED = dict(zip(NAMES, BIRD, strict=True))
INFER = "/v2/models/penguins/infer"
PENGUINS = datasets.load("penguins")
WHOLE = PENGUINS.features.dropna()
NUMBERS = NAMES[2:]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the penguins' model, and room for jobs."""
    folder = tmp_path_factory.mktemp("penguins")
    export(train(PENGUINS), folder / "penguins")
    return folder


@pytest.fixture(scope="module")
def card(root) -> Card:
    return read_card(root / "penguins" / "card.json")


@pytest.fixture(scope="module")
def own(root):
    """What scikit-learn itself answers to rows as they are sent."""
    model = joblib.load(root / "penguins" / "model.joblib")

    def answer(rows: list[list]) -> tuple[list, np.ndarray]:
        table = pd.DataFrame(dict(zip(NAMES, zip(*rows, strict=True), strict=True))).fillna(np.nan)
        table = table.astype(dict.fromkeys(NUMBERS, float))
        return model.predict(table).tolist(), model.predict_proba(table)

    return answer


@pytest.fixture(scope="module")
def servers(root):
    """Both, a cache, and a worker for their jobs."""
    env = {
        "MODEL_PATH": str(root / "penguins"),
        "JOBS": "on",
        "JOBS_FOLDER": str(root / "jobs"),
        "CACHE": "on",
    }
    env |= {"MAX_BODY_BYTES": "9000", "JOBS_CHUNK_ROWS": "100"}
    with pair(env) as found, serve("worker", env=env):
        yield found


def ask(servers, path: str, body: dict, status: int = 200, **options) -> dict:
    """The JSON that both answer with, which is the same."""
    answers = [server.post(path, json=body, **options) for server in servers.values()]
    assert {answer.status_code for answer in answers} == {status}, [answer.text for answer in answers]
    alike = {comparable(Answer(a.status_code, dict(a.headers), a.content)) for a in answers}
    assert len(alike) == 1
    return answers[0].json()


# --- rows


def test_a_row_by_name_in_any_order_is_the_row_by_place(servers, own):
    answer = ask(servers, "/predict", {"features": BIRD})
    assert answer["prediction"] == own([BIRD])[0] == [0] and answer["label"] == "Adelie"
    backwards = dict(reversed(NAMED.items()))
    assert ask(servers, "/predict", {"features": backwards})["probabilities"] == answer["probabilities"]
    both = ask(servers, "/predict/batch", {"instances": [BIRD, backwards]})
    for shares in both["probabilities"]:
        assert shares == pytest.approx(answer["probabilities"], abs=1e-6)


def values(feature) -> st.SearchStrategy:
    if feature.categories:
        known = st.sampled_from(feature.categories)
    else:
        known = st.floats(feature.minimum, feature.maximum) | st.integers(
            int(feature.minimum) + 1, int(feature.maximum)
        )
    return known | st.none() if feature.may_be_missing else known


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_every_row_gets_the_same_answer_by_place_and_by_name_and_it_is_scikit_learns(
    data, servers, card, own
):
    rows = data.draw(st.lists(st.tuples(*map(values, card.features)).map(list), min_size=1, max_size=12))
    named = [dict(zip(NAMES, row, strict=True)) for row in rows]
    listed = ask(servers, "/predict/batch", {"instances": rows})
    assert listed["prediction"] == ask(servers, "/predict/batch", {"instances": named})["prediction"]
    expected, shares = own(rows)
    assert [[*row.values()] for row in listed["probabilities"]] == [
        pytest.approx(row, abs=1e-3) for row in shares.tolist()
    ]
    clear = np.ptp(np.sort(shares, axis=1)[:, -2:], axis=1) > 2e-3  # else 32 bits may tip the scales
    for found, wanted, sure in zip(listed["prediction"], expected, clear, strict=True):
        assert found == wanted or not sure


LONG = "x" * 200
WRONG = {
    "a category of nobody's": (
        {"features": ["s3cr3t", *BIRD[1:]]},
        "expected island to be one of Biscoe, Dream, Torgersen, got something else",
    ),
    "a number for a category": (
        {"features": [7771234, *BIRD[1:]]},
        "expected island to be one of Biscoe, Dream, Torgersen, got a number",
    ),
    "a truth for a category": (
        {"features": [True, *BIRD[1:]]},
        "to be one of Biscoe, Dream, Torgersen, got true or false",
    ),
    "a list for a category": ({"features": [["s3cr3t"], *BIRD[1:]]}, "got a list"),
    "an object for a number": (
        {"features": [*BIRD[:5], {"s3cr3t": 7771234}]},
        "expected body mass to be a number, or null, got an object",
    ),
    "no island": ({"features": [None, *BIRD[1:]]}, "Torgersen, got null"),
    "text for a number": (
        {"features": [*BIRD[:5], "7771234"]},
        "expected body mass to be a number, or null, got text",
    ),
    "a truth for a number": ({"features": [*BIRD[:5], False]}, "got true or false"),
    "too large a number": (
        {"features": [*BIRD[:5], 7771234]},
        "expected body mass from 0 to 9900, got one outside",
    ),
    "too few": ({"features": BIRD[:3]}, "expected 6 features (island, sex, bill length"),
    "too many": ({"features": [*BIRD, "s3cr3t"]}, "got 7"),
    "a name missing": (
        {"features": {n: v for n, v in NAMED.items() if n != "sex"}},
        "each by its name: sex is missing",
    ),
    "names missing": ({"features": {}}, "bill depth, flipper length, body mass are missing"),
    "another name": ({"features": NAMED | {"s3cr3t": 7771234}}, "another name is there"),
    "a name written otherwise": ({"features": {n.title(): v for n, v in NAMED.items()}}, "are missing"),
    "in the second row": (
        {"instances": [BIRD, ["s3cr3t", *BIRD[1:]]]},
        "Torgersen in row 1, got something else",
    ),
    "by name in the second row": (
        {"instances": [BIRD, NAMED | {"sex": "s3cr3t"}]},
        "expected sex to be one of female, male, or null in row 1",
    ),
    "a text for a row": ({"instances": ["s3cr3t"]}, "instances[0] is text, expected a list"),
    "no rows": ({"features": "s3cr3t"}, "features is text, expected a list"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_told_by_the_features_name_and_never_repeated(servers, kind):
    body, words = WRONG[kind]
    told = ask(servers, "/predict/batch" if "instances" in body else "/predict", body, 400)
    assert words in told["detail"]
    assert "s3cr3t" not in json.dumps(told) and "7771234" not in json.dumps(told)


def test_a_name_that_stands_twice_is_refused(servers):
    body = json.dumps({"features": NAMED})[:-2] + ', "sex": "female"}}'
    for server in servers.values():
        answer = server.post("/predict", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-json")


def test_a_model_of_numbers_takes_names_too(full):
    row = {"petal width": 0.2, "petal length": 1.4, "sepal width": 3.5, "sepal length": 5}
    answer = ask(full, "/predict", {"features": row})
    listed = ask(full, "/predict", {"features": [5, 3.5, 1.4, 0.2]})
    assert answer["probabilities"] == listed["probabilities"]
    for change, words in (
        ({"petal width": "s3cr3t"}, "expected petal width to be a number, got text"),
        ({"petal width": None}, "expected petal width to be a number, got null"),
        ({"petal width": 99}, "expected petal width from 0 to 4.9, got one outside"),
        ({"s3cr3t": 1}, "another name is there"),
    ):
        told = ask(full, "/predict", {"features": row | change}, 400)["detail"]
        assert words in told and "s3cr3t" not in told
    told = ask(full, "/predict", {"features": dict([*row.items()][:3])}, 400)["detail"]
    assert told.endswith("each by its name: sepal length is missing")


# --- the cache


def test_the_cache_knows_a_row_by_place_by_name_and_with_null(servers):
    row = ["Dream", None, 40.5, 18.25, 190.0, None]
    for server in servers.values():
        told = [
            server.post("/predict", json={"features": features}).headers["Cache-Status"]
            for features in (
                row,
                row,
                dict(zip(NAMES, row, strict=True)),
                ["Biscoe", *row[1:]],
                [*row[:5], 3000],
            )
        ]
        assert ["hit" in one for one in told] == [False, True, True, False, False]


# --- V2


@pytest.fixture(params=FULL)
def client(request, servers):
    with triton.InferenceServerClient(servers[request.param].url.removeprefix("http://")) as client:
        yield client


def tensors(rows: list[list], two: bool = True) -> list[triton.InferInput]:
    """As a client of Triton's sends columns of several kinds; an empty text stands for what is missing."""
    found = []
    for name, column in zip(NAMES, zip(*rows, strict=True), strict=True):
        is_text = name in ("island", "sex")
        array = np.array([value or "" for value in column], object) if is_text else np.array(column, float)
        array = array.reshape(-1, 1) if two else array
        one = triton.InferInput(name, array.shape, "BYTES" if is_text else "FP64")
        one.set_data_from_numpy(array, binary_data=False)
        found.append(one)
    return found


@pytest.mark.parametrize("two", [True, False], ids=["[n, 1]", "[n]"])
def test_tritons_client_sends_a_tensor_for_each_column(client, servers, two):
    rows = [BIRD, ["Dream", None, *BIRD[2:]], ["Biscoe", "female", 47.5, 14.0, 212.0, 4875.0]] * 30
    batch = ask(servers, "/predict/batch", {"instances": rows})
    answer = client.infer("penguins", tensors(rows, two))
    assert answer.as_numpy("label").tolist() == batch["label"]
    assert answer.as_numpy("probabilities").shape == (90, 3)
    described = client.get_model_metadata("penguins")
    assert described["inputs"] == [
        {"name": name, "datatype": "BYTES" if name in ("island", "sex") else "FP64", "shape": [-1, 1]}
        for name in NAMES
    ]


def columns(rows: list[list], **changes) -> dict:
    """A request of tensors; `changes` of one of them, by its place."""
    found = [
        {
            "name": n,
            "shape": [len(rows)],
            "datatype": "BYTES" if p < 2 else "FP32",
            "data": [row[p] for row in rows],
        }
        for p, n in enumerate(NAMES)
    ]
    for place, change in changes.items():
        found[int(place[1:])] |= change
    return {"inputs": found}


TENSORS = {
    "null in JSON": (columns([["Dream", None, 40.0, None, 190.0, 3000.0]]), ""),
    "in another order": ({"inputs": columns([BIRD])["inputs"][::-1]}, ""),
    "whole numbers": (columns([BIRD], _5={"datatype": "INT32", "data": [3750]}), ""),
    "a column missing": ({"inputs": columns([BIRD])["inputs"][1:]}, "island missing"),
    "a column of another name": (
        {
            "inputs": [
                *columns([BIRD])["inputs"],
                {"name": "s3cr3t", "shape": [1], "datatype": "FP64", "data": [1]},
            ]
        },
        "another one came",
    ),
    "a column twice": ({"inputs": columns([BIRD])["inputs"] * 2}, "another one came"),
    "one tensor of all": (
        {"inputs": [{"name": "features", "shape": [1, 6], "datatype": "BYTES", "data": BIRD}]},
        "island, sex",
    ),
    "numbers for texts": (columns([BIRD], _0={"data": [7771234]}), "expected BYTES of island, got a number"),
    "a datatype of numbers for texts": (
        columns([BIRD], _0={"datatype": "FP64"}),
        "expected a datatype of island among BYTES",
    ),
    "texts for numbers": (columns([BIRD], _5={"data": ["s3cr3t"]}), "expected FP32 of body mass, got text"),
    "BYTES for numbers": (
        columns([BIRD], _5={"datatype": "BYTES", "data": ["3750"]}),
        "expected a datatype of body mass among FP32",
    ),
    "another category": (
        columns([BIRD], _0={"data": ["s3cr3t"]}),
        "expected island to be one of Biscoe, Dream, Torgersen in row 0",
    ),
    "nothing where it has to be": (columns([BIRD], _0={"data": [""]}), "got something else"),
    "lengths that differ": (
        columns([BIRD], _3={"shape": [2], "data": [18.7, 18.7]}),
        "expected a shape [n] or [n, 1] of bill depth",
    ),
    "fewer than the shape says": (columns([BIRD] * 2, _3={"data": [18.7]}), "as many values of bill depth"),
    "a fraction": (columns([BIRD], _5={"datatype": "INT32", "data": [3750.5]}), "expected whole numbers"),
    "no rows": (columns([]), "expected a shape"),
    "two columns": (columns([BIRD], _5={"shape": [1, 2], "data": [1, 2]}), "expected a shape"),
    "a list in a list": (columns([BIRD], _5={"data": [[[1]]]}), "got a list"),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_are_read_as_their_names_types_and_shapes_say(servers, kind):
    body, words = TENSORS[kind]
    told = ask(servers, INFER, body, 400 if words else 200)
    if words:
        assert (
            words in told["error"] and "s3cr3t" not in json.dumps(told) and "7771234" not in json.dumps(told)
        )


# --- jobs


def birds(count: int) -> list[list]:
    table = PENGUINS.features.astype(object).where(PENGUINS.features.notna(), None)
    return (table.to_numpy(object).tolist() * (count // 344 + 1))[:count]


def csv_of(rows: list[list], missing: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(NAMES[::-1])
    writer.writerows([missing if value is None else value for value in row[::-1]] for row in rows)
    return text.getvalue().encode()


UPLOADS = {
    "a short JSON": lambda rows: json.dumps({"instances": rows[:8]}).encode(),
    "a long JSON of lists": lambda rows: json.dumps({"instances": rows}).encode(),
    "a long JSON of objects": lambda rows: json.dumps(
        {"instances": [dict(zip(NAMES, row, strict=True)) for row in rows]}, indent=1
    ).encode(),
    "CSV": lambda rows: csv_of(rows, ""),
    "CSV as R writes it": lambda rows: csv_of(rows, "NA"),
}


@pytest.mark.parametrize("kind", UPLOADS)
def test_a_job_answers_what_a_batch_does(servers, own, kind):
    rows = birds(600)
    content = UPLOADS[kind](rows)
    rows = rows[:8] if kind == "a short JSON" else rows
    headers = CSV if "CSV" in kind else {"Content-Type": "application/json"}
    for server in servers.values():
        answer = server.post("/jobs", content=content, headers=headers)
        assert answer.status_code == 202, answer.text
        job = ended(server, answer.json())
        assert (job["state"], job["rows"]) == ("succeeded", len(rows))
        found = server.get(job["links"]["result_json"]).json()
        assert found["prediction"] == own(rows)[0]
        lines = [*csv.DictReader(io.StringIO(server.get(job["links"]["result_csv"]).text))]
        assert [line["label"] for line in lines] == found["label"]


GOOD = json.dumps({"instances": birds(600)}).encode()
FAULTY = {
    "a category in a long JSON": (GOOD[:-2] + b', ["s3cr3t", "male", 1, 1, 1, 1]]}', "Torgersen in row 600"),
    "by name in a long JSON": (GOOD[:-2] + b', {"island": "s3cr3t"}]}', "in row 600, each by its name: sex"),
    "a bracket in a text": (GOOD[:-2] + b', ["]}[{", "male", 1, 1, 1, 1]]}', "Torgersen in row 600"),
    "a row that breaks off": (GOOD[:-2] + b', ["Dream", "ma', "the first 600 rows are right"),
    "a list in a row": (GOOD[:-2] + b', [["s3cr3t"], "male", 1, 1, 1, 1]]}', "the first 600 rows are right"),
    "cells": (
        csv_of([BIRD, ["s3cr3t", *BIRD[1:]]], ""),
        "line 3, island: expected one of Biscoe, Dream, Torgersen",
    ),
    "an empty cell": (
        csv_of([[None, *BIRD[1:]]], ""),
        "line 2, island: expected one of Biscoe, Dream, Torgersen, got nothing",
    ),
    "a cell of text": (csv_of([[*BIRD[:5], "s3cr3t"]], ""), "line 2, body mass: expected a number, such as"),
    "a cell out of range": (csv_of([[*BIRD[:5], 7771234]], ""), "expected a number from 0 to 9900"),
    "a row too short": (csv_of([BIRD[:5]], ""), "expected 6 cells in a row, got 5"),
}


@pytest.mark.parametrize("kind", FAULTY)
def test_a_job_of_a_row_that_is_none_is_refused_with_its_place(servers, kind):
    content, words = FAULTY[kind]
    headers = {"Content-Type": "application/json"} if content.startswith(b"{") else CSV
    for server in servers.values():
        answer = server.post("/jobs", content=content, headers=headers)
        assert answer.status_code == 400 and words in answer.json()["detail"], answer.text
        assert "s3cr3t" not in answer.text and "7771234" not in answer.text


# --- the document


def test_the_document_says_what_a_row_may_be(servers, card):
    documents = [server.get("/openapi.json").json() for server in servers.values()]
    assert documents[0]["components"] == documents[1]["components"]
    listed, named = documents[0]["components"]["schemas"]["Row"]["anyOf"]
    assert listed["prefixItems"][:2] == [
        {"title": "island", "enum": ["Biscoe", "Dream", "Torgersen"]},
        {"title": "sex", "enum": ["female", "male", None]},
    ]
    assert named["properties"]["body mass"]["type"] == ["number", "null"]
    for row in (BIRD, NAMED, ["Dream", None, None, None, None, None]):
        Draft202012Validator({"anyOf": [listed, named]}).validate(row)
    examples = documents[0]["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"][
        "examples"
    ]
    assert {"Adelie", "by name"} <= examples.keys()
    for path in ("/predict", "/predict/batch", "/v2/models/{name}/infer", "/jobs"):
        operation = documents[0]["paths"][path]["post"]
        for example in operation["requestBody"]["content"]["application/json"].get("examples", {}).values():
            for server in servers.values():
                answer = server.post(path.replace("{name}", "penguins"), json=example["value"])
                assert answer.status_code in (200, 202), answer.text


def test_schemathesis_finds_nothing_wrong_with_rows_of_categories(servers, tmp_path):
    """Of one server: the other one has the same document, and is held to the same answers above."""
    assert_schemathesis(servers["fastapi"], tmp_path, "--include-path-regex", "^/predict$")


# --- several targets, outliers, missing numbers

PLACES = np.column_stack([WHOLE["sex"].to_numpy(object), PENGUINS.target[WHOLE.index].map("ABC".__getitem__)])
ENCODED = ColumnTransformer([("texts", OneHotEncoder(), ["island"]), ("numbers", "passthrough", NUMBERS)])
OTHERS = {
    "classes": (make_pipeline(ENCODED, RandomForestClassifier(8, random_state=1)), WHOLE, PLACES),
    "outliers": (LocalOutlierFactor(novelty=True), WHOLE[NUMBERS].to_numpy(), None),
    "gaps": (
        HistGradientBoostingRegressor(max_iter=5),
        PENGUINS.features[NUMBERS[:3]],
        PENGUINS.features["body mass"].fillna(4000),
    ),
}


@pytest.fixture(scope="module", params=OTHERS)
def other(request, tmp_path_factory):
    """The model's kind, the model, rows that it knows, the same as they are sent, and the two servers that
    have it; with a worker for one of them."""
    model, table, target = OTHERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    model = model.fit(table) if target is None else model.fit(table, target)
    served = adopt_model(request.param, model, folder, pd.DataFrame(table))
    table = table[::30]
    frame = pd.DataFrame(table).astype(object)
    rows = frame.where(frame.notna(), None).to_numpy(object).tolist()
    env = {"MODEL_PATH": str(served), "CACHE": "on"}
    if request.param != "classes":
        with pair(env) as servers:
            yield request.param, model, table, rows, servers
        return
    env |= {"JOBS": "on", "JOBS_FOLDER": str(folder / "jobs")}
    with pair(env) as servers, serve("worker", env=env):
        yield request.param, model, table, rows, servers


def check_answers(kind: str, found: list, expected: np.ndarray) -> None:
    if kind in ("classes", "outliers"):
        assert found == expected.tolist()
    else:
        assert np.allclose(found, expected, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_what_else_may_be_answered_is_scikit_learns(other):
    kind, model, table, rows, servers = other
    expected = model.predict(table)
    batch = ask(servers, "/predict/batch", {"instances": rows})
    check_answers(kind, batch["prediction"], expected)
    again = ask(servers, "/predict/batch", {"instances": rows})
    assert again == batch | {"request_id": again["request_id"]}  # from the cache
    one = ask(servers, "/predict", {"features": rows[0]})
    check_answers(kind, one["prediction"], expected[:1])
    if kind == "classes":
        assert one["label"] == {"class 1": expected[0][0], "class 2": expected[0][1]}
        assert {name: [*shares] for name, shares in one["probabilities"].items()} == {
            "class 1": ["female", "male"],
            "class 2": ["A", "B", "C"],
        }
        for place, shares in enumerate(model.predict_proba(table)):
            found = [[*row[f"class {place + 1}"].values()] for row in batch["probabilities"]]
            assert np.allclose(found, shares)
        assert batch["label"][0] == one["label"]
    elif kind == "outliers":
        assert set(batch["label"]) <= {"outlier", "inlier"} and "probabilities" not in batch
        assert one["label"] == {-1: "outlier", 1: "inlier"}[expected[0]]
    else:
        assert "label" not in one and "probabilities" not in one


def test_what_else_may_be_answered_goes_through_jobs_v2_and_the_document(other):
    kind, _, _, rows, servers = other
    batch = ask(servers, "/predict/batch", {"instances": rows})
    for server in servers.values():
        if kind == "classes":
            job = ended(server, server.post("/jobs", json={"instances": rows}).json())
            found = server.get(job["links"]["result_json"]).json()
            assert {name: found[name] for name in ("prediction", "label", "probabilities")} == {
                name: batch[name] for name in ("prediction", "label", "probabilities")
            }
            lines = [*csv.DictReader(io.StringIO(server.get(job["links"]["result_csv"]).text))]
            assert [line["label_class 2"] for line in lines] == [one["class 2"] for one in batch["label"]]
            assert float(lines[0]["probability_class 1_male"]) == batch["probabilities"][0]["class 1"]["male"]
        document = server.get("/openapi.json").json()
        for path in ("/predict", "/predict/batch"):
            schema = {
                "$ref": "#/components/schemas/" + ("BatchAnswer" if "batch" in path else "PredictAnswer")
            }
            body = {"instances": rows} if "batch" in path else {"features": rows[0]}
            answer = server.post(path, json=body).json()
            Draft202012Validator(schema | {"components": document["components"]}).validate(answer)
        operation = document["paths"]["/v2/models/{name}/infer"]["post"]
        example = operation["requestBody"]["content"]["application/json"]["examples"]["rows"]["value"]
        answer = server.post(f"/v2/models/{kind}/infer", json=example).json()
        described = server.get(f"/v2/models/{kind}").json()["outputs"]
        assert [one["name"] for one in answer["outputs"]] == [one["name"] for one in described]
        for one in answer["outputs"]:
            assert len(one["data"]) == np.prod(one["shape"])
