"""Jobs over HTTP, from both servers alike, with a worker, and with none where a job must not go on.

The names in brackets are those of the cases in the group `jobs-celery-rabbitmq`."""

import csv
import io
import json
import uuid
from collections.abc import Iterator

import httpx
import pytest
from classroom.servers import Server, serve
from credentials import Guarded, bearer, guarded_pair
from job_uploads import CSV, ROW, alike, csv_of, ended, problem_of, rows, submit
from jsonschema import Draft202012Validator
from pairs import FULL, pair
from promises import memory
from test_schemathesis import assert_schemathesis
from wire import request_bytes, send

from apps.service.access.declared import SCOPES

MB = 1 << 20
MOST_WAITING = 6
GROWTH_ALLOWED = 20 * MB
MANY = 4500  # rows, in chunks of 2000


@pytest.fixture(scope="module")
def settings(iris_root, tmp_path_factory) -> dict[str, str]:
    folder = str(tmp_path_factory.mktemp("jobs"))
    model = str(iris_root / "models" / "iris")
    return {"MODEL_PATH": model, "JOBS": "on", "JOBS_FOLDER": folder, "JOBS_CHUNK_ROWS": "2000"}


@pytest.fixture(scope="module")
def servers(settings):
    """Both, and a worker, who share their jobs."""
    with pair(settings) as found, serve("worker", env=settings):
        yield found


@pytest.fixture(params=FULL)
def server(request, servers) -> Server:
    return servers[request.param]


@pytest.fixture(scope="module")
def guarded(iris_root, tmp_path_factory):
    """Both, which ask who comes, and no worker."""
    folder = tmp_path_factory.mktemp("access")
    env = {"JOBS": "on", "JOBS_FOLDER": str(folder / "jobs"), "JOBS_MAX_WAITING": str(MOST_WAITING)}
    with guarded_pair(folder, iris_root / "models" / "iris", env) as found:
        yield found


def account(guarded: Guarded, door: str, name: str) -> Iterator[httpx.Client]:
    """A door, as somebody."""
    server = guarded.servers[door]
    headers = bearer(guarded.token(server, name)["access_token"])
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
        yield client


def left(client: httpx.Client) -> httpx.Response:
    return client.post("/jobs", json={"instances": [ROW]})


@pytest.fixture(params=FULL)
def alice(request, guarded):
    yield from account(guarded, request.param, "alice")


@pytest.fixture(params=FULL)
def another(request, guarded):
    yield from account(guarded, request.param, "only-jobs")


# --- with a worker


@pytest.fixture(scope="module")
def done(servers) -> dict[str, dict]:
    """A job of many rows, left at each server."""
    jobs = {
        name: server.post("/jobs", content=csv_of(rows(MANY)), headers=CSV)
        for name, server in servers.items()
    }
    assert [answer.status_code for answer in jobs.values()] == [202, 202]
    return {name: ended(servers[name], answer.json()) for name, answer in jobs.items()}


@pytest.fixture(scope="module")
def predicted(servers) -> dict:
    """What /predict/batch says of these rows."""
    found: dict = {}
    for start in range(0, MANY, 1000):
        part = (
            servers["flask"]
            .post("/predict/batch", json={"instances": rows(MANY)[start : start + 1000]})
            .json()
        )
        for name in ("prediction", "label", "probabilities"):
            found.setdefault(name, []).extend(part[name])
    return found | {"model": part["model"]}


def test_job_submit(servers):
    """[job-submit]"""
    for server in servers.values():
        answer = submit(server, [ROW])
        assert answer.status_code == 202
        assert answer.headers["Location"] == f"/jobs/{uuid.UUID(answer.json()['id'])}"
        job = ended(server, answer.json())
        assert (job["state"], job["progress"]) == ("succeeded", 1.0)
        result = server.get(job["links"]["result_json"]).json()
        assert result["prediction"] == [0] and result["label"] == ["setosa"]


def test_a_job_that_has_ended_says_so(done, servers):
    for name, job in done.items():
        assert (job["state"], job["rows"], job["rows_done"], job["progress"]) == (
            "succeeded",
            MANY,
            MANY,
            1.0,
        )
        assert job["created_at"] <= job["started_at"] <= job["finished_at"]
        assert job["created_at"].endswith("Z") and "error" not in job and "expected_at" not in job
        answer = servers[name].get(job["links"]["self"])
        assert "Retry-After" not in answer.headers and answer.json() == job
        assert servers[name].request("DELETE", job["links"]["self"]).json() == job


def test_the_result_is_that_of_predict_batch_and_the_same_from_both(done, servers, predicted):
    for job in done.values():
        answers = [server.get(job["links"]["result_json"]) for server in servers.values()]
        for answer in answers:
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.json() == predicted | {"request_id": answer.headers["X-Request-ID"]}
            assert list(answer.json()) == ["prediction", "label", "probabilities", "model", "request_id"]
        assert alike(answers[0]) == alike(answers[1])


def test_the_result_as_csv_has_the_same_numbers(done, servers, predicted):
    for job in done.values():
        answers = [server.get(job["links"]["result_csv"]) for server in servers.values()]
        assert answers[0].content == answers[1].content
        assert {answer.headers["Content-Type"] for answer in answers} == {"text/csv; charset=utf-8"}
        disposition = f'attachment; filename="job-{job["id"]}.csv"'
        assert {answer.headers["Content-Disposition"] for answer in answers} == {disposition}
        found = [*csv.DictReader(io.StringIO(answers[0].text))]
        assert [int(row["row"]) for row in found] == [*range(1, MANY + 1)]
        assert [int(row["prediction"]) for row in found] == predicted["prediction"]
        assert [row["label"] for row in found] == predicted["label"]
        shares = [
            {name.removeprefix("probability_"): float(share) for name, share in row.items() if "_" in name}
            for row in found
        ]
        assert shares == predicted["probabilities"]


@pytest.mark.parametrize("kind", ["result_json", "result_csv"])
def test_head_has_no_body(done, server, kind):
    answer = server.request("HEAD", done[server.name]["links"][kind])
    assert (answer.status_code, answer.content) == (200, b"")


def test_whoever_leaves_during_a_download_does_no_harm(done, server):
    with httpx.stream("GET", f"{server.url}{done[server.name]['links']['result_json']}") as answer:
        assert answer.status_code == 200
    assert server.get(done[server.name]["links"]["self"]).status_code == 200
    assert b'"event":"fault"' not in server.log.read_bytes()


def test_large_ones_leave_memory_flat(server):
    """As many rows as many, up and down; the first time is for what is made once."""
    body = csv_of(rows(5_000), "sepal length,sepal width,petal length,petal width").partition(b"\n")
    sizes = []
    for times in (2, 20):
        answer = server.post("/jobs", content=body[0] + b"\n" + body[2] * times, headers=CSV)
        assert answer.json()["rows"] == 5000 * times
        job = ended(server, answer.json())
        with httpx.stream("GET", f"{server.url}{job['links']['result_json']}", timeout=60) as result:
            size = sum(map(len, result.iter_raw()))
        assert size > 80 * 5000 * times
        sizes.append(memory(server))
    assert sizes[1] - sizes[0] < GROWTH_ALLOWED, sizes


@pytest.fixture(scope="module")
def documents(servers) -> list[dict]:
    return [server.get("/openapi.json").json() for server in servers.values()]


def test_both_documents_tell_the_same_of_jobs(documents):
    for document in documents:
        document["info"].pop("summary")
    assert documents[0] == documents[1]
    paths, schemas = documents[0]["paths"], documents[0]["components"]["schemas"]
    assert {path: {*item} - {"parameters"} for path, item in paths.items() if path.startswith("/jobs")} == {
        "/jobs": {"get", "head", "post"},
        "/jobs/{id}": {"delete", "get", "head"},
        "/jobs/{id}/result.json": {"get", "head"},
        "/jobs/{id}/result.csv": {"get", "head"},
    }
    post = paths["/jobs"]["post"]
    assert {*post["requestBody"]["content"]} == {"application/json", "text/csv", "multipart/form-data"}
    assert post["parameters"][0]["name"] == "Idempotency-Key"
    assert {"Location", "X-Request-ID"} <= {*post["responses"]["202"]["headers"]}
    assert {"400", "409", "413", "415", "503"} <= {*post["responses"]}
    known = ("unknown-job", "job-not-done", "idempotency-conflict", "job-queue-full", "jobs-unavailable")
    responses = json.dumps([item for path, item in paths.items() if path.startswith("/jobs")])
    assert [slug for slug in known if f"#/components/examples/{slug}" not in responses] == []
    assert schemas["JobRequest"]["properties"]["instances"]["maxItems"] == 1_000_000
    assert {*paths["/jobs/{id}/result.csv"]["get"]["responses"]["200"]["content"]} == {"text/csv"}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_answers_are_as_the_document_says(documents, done, server):
    def check(name: str, answer: httpx.Response) -> None:
        known = {"$ref": f"#/components/schemas/{name}", "components": documents[0]["components"]}
        Draft202012Validator(known).validate(answer.json())

    links = done[server.name]["links"]
    check("Job", server.get(links["self"]))
    check("Job", submit(server, [ROW]))
    check("JobList", server.get("/jobs"))
    check("BatchAnswer", server.get(links["result_json"]))


@pytest.mark.parametrize("name", FULL)
def test_schemathesis_finds_nothing_in_jobs(servers, name, tmp_path):
    assert_schemathesis(servers[name], tmp_path, "--include-path-regex", "^/jobs")


# --- without one, and with access


@pytest.mark.parametrize(
    "id",
    ["00000000-0000-0000-0000-000000000000", "1", "x" * 500, "%00", "00000000-0000-0000-0000-00000000000G"],
)
def test_job_unknown_id(servers, id):
    """[job-unknown-id]"""
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result.json"), ("GET", "/result.csv")):
        answers = [server.request(method, f"/jobs/{id}{path}") for server in servers.values()]
        assert [(one.status_code, problem_of(one)) for one in answers] == [(404, "unknown-job")] * 2
        assert alike(answers[0]) == alike(answers[1])


@pytest.mark.parametrize("path", ["/jobs/..%2f", "/jobs/%2e%2e", "/jobs/", "/jobs/a/b", "/jobs//result.json"])
def test_job_id_malformed(servers, path):
    """[job-id-malformed]"""
    answers = [send(server.url, request_bytes("GET", path, {})) for server in servers.values()]
    assert [answer.status for answer in answers] == [404, 404]


def test_other_methods_are_told_what_there_is(server):
    for path, allow in (("/jobs", {"GET", "HEAD", "POST"}), ("/jobs/1", {"DELETE", "GET", "HEAD"})):
        answer = server.request("PUT", path)
        assert answer.status_code == 405 and {*answer.headers["Allow"].split(", ")} == allow


def test_a_job_that_waits_has_no_result_and_can_be_cancelled(alice):
    job = left(alice).json()
    waiting = alice.get(job["links"]["self"])
    assert waiting.json()["state"] == "queued" and waiting.headers["Retry-After"] == "1"
    for kind in ("result_json", "result_csv"):
        refused = alice.get(job["links"][kind])
        assert (refused.status_code, problem_of(refused)) == (409, "job-not-done")
        assert refused.headers["Retry-After"] == "1"
    cancelled = alice.delete(job["links"]["self"])
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert "finished_at" in cancelled.json() and "Retry-After" not in cancelled.headers
    assert alice.delete(job["links"]["self"]).json() == cancelled.json()
    refused = alice.get(job["links"]["result_json"])
    assert (refused.status_code, problem_of(refused)) == (409, "job-not-done")
    assert "cancelled" in refused.json()["detail"] and "Retry-After" not in refused.headers


def test_jobs_of_others_are_not_there(alice, another):
    job = left(alice).json()
    links = job["links"]
    for answer in (
        another.get(links["self"]),
        another.delete(links["self"]),
        another.get(links["result_json"]),
    ):
        assert (answer.status_code, problem_of(answer)) == (404, "unknown-job")
    assert job["id"] not in another.get("/jobs").text
    assert alice.get("/jobs").json()["jobs"][0]["id"] == job["id"]
    key = {"Idempotency-Key": f"shared-{job['id']}"}
    found = [one.post("/jobs", json={"instances": [ROW]}, headers=key).json() for one in (alice, another)]
    assert found[0]["id"] != found[1]["id"]
    assert alice.delete(links["self"]).json()["state"] == "cancelled"
    for one, owner in zip(found, (alice, another), strict=True):
        assert owner.delete(one["links"]["self"]).status_code == 200


@pytest.mark.parametrize("name", FULL)
def test_every_route_of_jobs_is_for_those_who_have_the_scope(guarded, name):
    """Before a byte of the body is looked at."""
    server, id = guarded.servers[name], uuid.uuid4()
    callers = {scope: bearer(guarded.make(f"only-{scope}", [scope])) for scope in SCOPES} | {"nobody": {}}
    for method, path, let_in in (
        ("POST", "/jobs", 400),
        ("GET", "/jobs", 200),
        ("GET", f"/jobs/{id}", 404),
        ("DELETE", f"/jobs/{id}", 404),
        ("GET", f"/jobs/{id}/result.json", 404),
        ("GET", f"/jobs/{id}/result.csv", 404),
    ):
        body = {"content": b"{", "headers": {"Content-Type": "application/json"}} if method == "POST" else {}
        for caller, headers in callers.items():
            expected = 401 if caller == "nobody" else let_in if caller == "jobs" else 403
            options = {**body, "headers": body.get("headers", {}) | headers}
            assert server.request(method, path, **options).status_code == expected, (method, path, caller)


def test_job_queue_full(alice):
    jobs = [left(alice) for _ in range(MOST_WAITING)]
    assert [answer.status_code for answer in jobs] == [202] * MOST_WAITING
    refused = left(alice)
    assert (refused.status_code, problem_of(refused)) == (503, "job-queue-full")
    assert int(refused.headers["Retry-After"]) >= 1
    assert alice.delete(jobs[0].json()["links"]["self"]).status_code == 200
    jobs.append(left(alice))
    assert jobs[-1].status_code == 202
    for answer in jobs:
        alice.delete(answer.json()["links"]["self"])


def test_without_jobs_there_are_none(full):
    for server in full.values():
        assert server.get("/jobs").status_code == server.post("/jobs").status_code == 404
