"""The OpenAPI document: the same from both full servers, and true of what they have and answer."""

import json
import re
import subprocess
import sys

import pytest
from classroom.servers import ROOT
from jsonschema import Draft202012Validator
from pairs import FULL, pair
from routes import FLASK_ROUTES, ROUTES
from wire import request_bytes, send

from apps.service import problems
from apps.service.documents import FILES

OF_GENERATION = {
    "prompt-too-long",
    "content-refused",
    "generation-busy",
    "generation-failed",
    "generation-timeout",
    "usage-unavailable",
}
OF_EXPLANATIONS = {"explanation-unavailable", "explanation-busy", "explanation-timeout"}
METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")


@pytest.fixture(scope="module")
def documents(full) -> dict[str, dict]:
    return {name: server.get("/openapi.json").json() for name, server in full.items()}


@pytest.fixture(scope="module")
def document(documents) -> dict:
    return documents["fastapi"]


def operations(document: dict) -> set[tuple[str, str]]:
    return {
        (path, method) for path, item in document["paths"].items() for method in METHODS if method in item
    }


def resolved(document: dict, part: dict) -> dict:
    """What a part refers to, if it refers to something."""
    for step in part.get("$ref", "#").split("/")[1:]:
        document = document[step]
    return document if "$ref" in part else part


def validator(document: dict, schema: dict) -> Draft202012Validator:
    return Draft202012Validator({"components": document["components"], **schema})


def test_both_servers_describe_the_same_api(documents):
    summaries = [document["info"].pop("summary") for document in documents.values()]
    assert summaries == ["Answered by fastapi_app", "Answered by flask_app"]
    assert documents["fastapi"] == documents["flask"]
    for document, summary in zip(documents.values(), summaries, strict=True):
        document["info"]["summary"] = summary


def test_it_has_every_route_and_method_that_the_frameworks_know_and_no_other(document):
    fastapi = {(path, method.lower()) for path, methods in ROUTES.items() for method in methods}
    flask = {(path, method.lower()) for path, methods in FLASK_ROUTES.items() for method in methods}
    assert operations(document) == fastapi == flask


def test_its_schemas_are_schemas_and_every_reference_leads_somewhere(document):
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for ref in re.findall(r'"\$ref":"([^"]+)"', json.dumps(document, separators=(",", ":"))):
        assert resolved(document, {"$ref": ref})
    names = [document["paths"][path][method]["operationId"] for path, method in operations(document)]
    assert len(set(names)) == len(names)


def test_every_problem_is_told_of_and_none_is_422(document):
    told = {
        slug: status
        for path, method in operations(document)
        for status, response in document["paths"][path][method]["responses"].items()
        for content in resolved(document, response).get("content", {}).values()
        for slug in content.get("examples", {})
    }
    # With access off nobody is asked who they are; test_access.py has the document with access on. That with
    # jobs is in test_jobs.py, that with generation in test_generation.py, that with a registry in
    # test_registry.py, with explanations in test_explanations.py.
    not_yet = {"unauthorized", "forbidden", "too-many-requests", "token-refused", "access-unavailable"}
    not_yet |= {"unknown-job", "job-not-done", "idempotency-conflict", "job-queue-full", "jobs-unavailable"}
    not_yet |= {"model-refused", "insufficient-storage", "registry-unavailable"} | OF_GENERATION
    not_yet |= {"unknown-prediction", "feedback-unavailable"}  # in test_feedback.py
    not_yet |= OF_EXPLANATIONS
    assert told.keys() == problems.KINDS.keys() - not_yet
    assert {slug: int(status) for slug, status in told.items()} == {
        slug: problems.KINDS[slug].status for slug in told
    }
    for path, method in operations(document):
        responses = document["paths"][path][method]["responses"]
        assert "422" not in responses
        assert {"200", "400", "405", "408", "413", "414", "431", "500", "501"} <= responses.keys()
        assert ("415" in responses) == (method == "post")
        assert ("503" in responses) == (not path.endswith("/live"))


def test_every_example_is_as_its_schema_says(document):
    found = 0
    for path, method in operations(document):
        operation = document["paths"][path][method]
        parts = [operation["requestBody"]] if "requestBody" in operation else []
        for part in [*parts, *(resolved(document, response) for response in operation["responses"].values())]:
            for content in part.get("content", {}).values():
                named = [resolved(document, one)["value"] for one in content.get("examples", {}).values()]
                for example in named + ([content["example"]] if "example" in content else []):
                    validator(document, content["schema"]).validate(example)
                    found += 1
    assert found > 100


@pytest.mark.parametrize("name", FULL)
def test_every_operation_answers_its_example_as_it_says(full, document, name):
    for path, method in sorted(operations(document)):
        item = document["paths"][path]
        for part in item.get("parameters", []):
            path = path.replace(f"{{{part['name']}}}", part["schema"]["enum"][-1])
        bodies = [None]
        if "requestBody" in item[method]:
            bodies = [
                example["value"]
                for example in item[method]["requestBody"]["content"]["application/json"]["examples"].values()
            ]
        for body in bodies:
            check(document, full[name].request(method, path, json=body), item[method], 200)


def check(document: dict, answer, operation: dict, status: int) -> None:
    """An answer is one of those that the operation tells of."""
    assert answer.status_code == status, answer.text
    told = resolved(document, operation["responses"][str(status)])
    for name, header in told["headers"].items():
        schema = resolved(document, header)["schema"]
        found = answer.headers[name]
        validator(document, schema).validate(int(found) if schema.get("type") == "integer" else found)
    if "content" in told:
        media_type = answer.headers["content-type"].removesuffix("; charset=utf-8")
        schema = told["content"][media_type]["schema"]
        if media_type.endswith("json"):
            validator(document, schema).validate(answer.json())


@pytest.mark.parametrize("name", FULL)
def test_a_refusal_is_as_it_says(full, document, name):
    predict = document["paths"]["/predict"]["post"]
    json_type = {"Content-Type": "application/json"}
    check(document, full[name].post("/predict", content=b"{", headers=json_type), predict, 400)
    check(document, full[name].post("/predict", content=b"{}"), predict, 415)
    check(document, full[name].post("/predict", json={"features": [0.0] * 300_000}), predict, 413)
    check(document, full[name].get("/predict"), predict, 405)
    infer = document["paths"]["/v2/models/{name}/infer"]["post"]
    check(document, full[name].post("/v2/models/nobody/infer", json={"inputs": []}), infer, 404)
    check(document, full[name].post("/v2/models/iris/infer", json={"inputs": []}), infer, 400)


def test_without_a_model_it_describes_the_same_operations(document, tmp_path):
    with pair({"MODEL_PATH": str(tmp_path / "none.pkl")}) as servers:
        for server in servers.values():
            bare = server.get("/openapi.json").json()
            assert operations(bare) == operations(document)
            assert bare["components"]["schemas"]["Row"] == {"anyOf": [{"type": "array"}, {"type": "object"}]}
            check(bare, server.post("/predict", json={}), bare["paths"]["/predict"]["post"], 503)
            check(bare, server.get("/health"), bare["paths"]["/health"]["get"], 503)


def test_it_says_what_the_model_of_the_moment_takes(document):
    row, named = document["components"]["schemas"]["Row"]["anyOf"]
    assert (row["minItems"], row["maxItems"]) == (4, 4)
    assert [*named["properties"].values()] == row["prefixItems"]
    assert named["required"] == ["sepal length", "sepal width", "petal length", "petal width"]
    assert row["prefixItems"][0] == {
        "type": "number",
        "title": "sepal length (cm)",
        "minimum": 0.7,
        "maximum": 11.5,
    }
    assert document["components"]["schemas"]["BatchRequest"]["properties"]["instances"]["maxItems"] == 1000


@pytest.mark.parametrize("name", FULL)
def test_the_page_is_made_of_its_own_files_and_of_nothing_else(full, name):
    page = full[name].get("/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert not re.search(r"(https?:)?//[a-z]", page.text)
    for file, media_type in FILES.items():
        found = full[name].get(f"/docs/{file}")
        assert found.status_code == 200 and found.content
        assert found.headers["content-type"].split(";")[0] == media_type
    for path in ("VERSION", "__init__.py", "..%2F__init__.py", "../../problems.py", "%2e%2e/LICENSE", ""):
        answer = send(full[name].url, request_bytes("GET", f"/docs/{path}", {}))
        assert answer.status == 404, path


def test_nothing_of_it_is_imported_before_it_is_asked_for():
    code = (
        "import sys; from apps import fastapi_app, flask_app;"
        "print([name for name in [*sys.modules] if name.startswith('apps.service.openapi')"
        " or name.startswith('flask_swagger')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == "[]\n"
