"""What may be left as a job, and what is refused, by both servers alike; no worker is wanted for that."""

import json
import time

import pytest
from classroom.servers import Server
from job_uploads import CSV, HEADER, ROW, alike, csv_of, problem_of, rows, submit
from pairs import FULL, pair
from wire import Connection, chunked_bytes, send

MOST_ROWS = 30_000
MOST_BYTES = 3_000_000
JSON = {"Content-Type": "application/json"}
BOUNDARY = "limit-of-a-part"
SECRET = "hunter2"


def form(content: bytes, name: str = "file", kind: str = "text/csv", end: str = "--") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a.csv"\r\n'
    head += f"Content-Type: {kind}\r\n\r\n" if kind else "\r\n"
    return head.encode() + content + f"\r\n--{BOUNDARY}{end}\r\n".encode()


FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
NAMED = dict(zip(HEADER.strip().split(","), ROW, strict=True))
MANY = json.dumps({"instances": rows(25_000)}).encode()  # more than any other body may have
assert 1 << 20 < len(MANY) < MOST_BYTES
TWO = csv_of([ROW, ROW])
UNSUPPORTED = "unsupported-media-type"
TWICE = form(TWO, end="") + form(TWO)[len(BOUNDARY) + 4 :]
GOOD = {  # headers, body, rows
    "json": (JSON, b'{"instances":[[5.1,3.5,1.4,0.2]]}', 1),
    "json in much space": (JSON, b' { "instances" : [ [5.1, 3.5,1.4,2e-1 ] , [5,3,1,0] ] } ', 2),
    "json that is long": (JSON, MANY, 25_000),
    "json that is long and indented": (
        JSON,
        json.dumps({"instances": rows(20_000)}, indent=0).encode(),
        20_000,
    ),
    "json that is long, by name at the end": (
        JSON,
        MANY[:-2] + b"," + json.dumps(NAMED).encode() + b"]}",
        25_001,
    ),
    "csv": (CSV, TWO, 2),
    "csv with a charset": ({"Content-Type": "text/csv; charset=utf-8"}, TWO, 2),
    "csv with a mark and carriage returns": (CSV, b"\xef\xbb\xbf" + TWO.replace(b"\n", b"\r\n"), 2),
    "csv, quoted": (CSV, b'"' + TWO.strip().replace(b",", b'","').replace(b"\n", b'"\n"') + b'"', 2),
    "csv of many rows": (CSV, csv_of(rows(25_000)), 25_000),
    "form": (FORM, form(TWO), 2),
    "form of Excel's": (FORM, form(TWO, kind="application/vnd.ms-excel"), 2),
    "form without a type": (FORM, form(TWO, kind=""), 2),
    "form with json": (FORM, form(b'{"instances":[[5.1,3.5,1.4,0.2]]}', kind="application/json"), 1),
    "form of many rows": (FORM, form(csv_of(rows(25_000))), 25_000),
}
WRONG = {  # headers, body, status, problem, words of the detail
    "no type": ({"Content-Type": ""}, TWO, 415, "unsupported-media-type", "expected application/json"),
    "text": ({"Content-Type": "text/plain"}, TWO, 415, "unsupported-media-type", "text/csv"),
    "compressed": (CSV | {"Content-Encoding": "gzip"}, TWO, 415, "unsupported-media-type", "not compressed"),
    "charset": ({"Content-Type": "text/csv; charset=latin-1"}, TWO, 415, "unsupported-media-type", "UTF-8"),
    "no boundary": ({"Content-Type": "multipart/form-data"}, form(TWO), 415, UNSUPPORTED, "boundary"),
    "form of an image": (FORM, form(TWO, kind="image/png"), 415, "unsupported-media-type", "a file of"),
    "form with another name": (FORM, form(TWO, name=SECRET), 400, "invalid-input", "one part"),
    "form with two files": (FORM, TWICE, 400, "invalid-input", "one part"),
    "form that breaks off": (FORM, form(TWO)[:-30], 400, "invalid-input", "a whole form"),
    "form that is none": (FORM, SECRET.encode() * 100, 400, "invalid-input", "multipart/form-data"),
    "form, empty": (FORM, f"--{BOUNDARY}--\r\n".encode(), 400, "invalid-input", ""),
    "nothing": (CSV, b"", 400, "invalid-input", "a line with the names"),
    "nothing as json": (JSON, b"", 400, "invalid-json", ""),
    "no rows": (JSON, b'{"instances":[]}', 400, "invalid-input", "one row or more"),
    "no rows as csv": (CSV, HEADER.encode(), 400, "invalid-input", "one row or more"),
    "json of another kind": (JSON, b'{"features":[5.1,3.5,1.4,0.2]}', 400, "invalid-input", "instances"),
    "text in json": (JSON, b'{"instances":[["hunter2",3.5,1.4,0.2]]}', 400, "invalid-input", "expected"),
    "range in json": (JSON, b'{"instances":[[5.1,3.5,1.4,0.2],[99,1,1,1]]}', 400, "out-of-range", "in row 1"),
    "duplicate in json": (JSON, b'{"instances":[[1]],"instances":[[1]]}', 400, "invalid-json", "once"),
    "long json that breaks off": (JSON, MANY[:-2], 400, "invalid-input", "instances"),
    "long json with more": (JSON, MANY + b"1", 400, "invalid-input", "instances"),
    "long json, another name": (JSON, MANY.replace(b"instances", b"hunter2"), 400, "invalid-input", "before"),
    "long json, text": (JSON, MANY[:-30] + b'"hunter2"]]}', 400, "invalid-input", "rows are right"),
    "long json, true": (JSON, MANY[:-2] + b",[true,1,1,1]]}", 400, "invalid-input", "the first 2"),
    "long json, nested": (JSON, MANY[:-2] + b",[[1,2],1,1,1]]}", 400, "invalid-input", "rows are right"),
    "long json, ragged": (JSON, MANY[:-2] + b",[1,1,1]]}", 400, "invalid-input", "in row 25000"),
    "long json, range": (JSON, MANY[:-2] + b",[99,1,1,1]]}", 400, "out-of-range", "in row 25000"),
    "long json, infinite": (JSON, MANY[:-2] + b",[1e999,1,1,1]]}", 400, "out-of-range", "in row 25000"),
    "long json, no comma": (JSON, MANY[:-2] + b"[5,3,1,0]]}", 400, "invalid-input", "instances"),
    "too many rows": (CSV, csv_of([ROW] * (MOST_ROWS + 1)), 413, "too-many-rows", "(JOBS_MAX_ROWS)"),
    "too many bytes": (CSV, bytes(MOST_BYTES + 1), 413, "content-too-large", "(JOBS_MAX_BYTES)"),
    "a key that is none": (JSON | {"Idempotency-Key": "a b"}, b"{}", 400, "invalid-input", "visible ASCII"),
    "a key that is empty": (JSON | {"Idempotency-Key": ""}, b"{}", 400, "invalid-input", "visible ASCII"),
    "a key that is long": (JSON | {"Idempotency-Key": "k" * 201}, b"{}", 400, "invalid-input", "200"),
}  # fmt: skip


@pytest.fixture(scope="module")
def servers(iris_root, tmp_path_factory):
    env = {"JOBS": "on", "JOBS_FOLDER": str(tmp_path_factory.mktemp("jobs")), "JOBS_CHUNK_ROWS": "1000"}
    env |= {"JOBS_MAX_ROWS": str(MOST_ROWS), "JOBS_MAX_BYTES": str(MOST_BYTES)}
    with pair({"MODEL_PATH": str(iris_root / "models" / "iris"), **env}) as found:
        yield found


@pytest.fixture(params=FULL)
def server(request, servers) -> Server:
    return servers[request.param]


@pytest.mark.parametrize("case", GOOD)
def test_rows_become_a_job_on_both_servers_alike(servers, case):
    headers, body, count = GOOD[case]
    answers = [server.post("/jobs", content=body, headers=headers) for server in servers.values()]
    for answer in answers:
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert answer.headers["Location"] == job["links"]["self"] == f"/jobs/{job['id']}"
        assert (job["state"], job["rows"], job["rows_done"]) == ("queued", count, 0)
        assert answer.headers["Retry-After"] == "1"
    assert alike(answers[0]) == alike(answers[1])


@pytest.mark.parametrize("case", WRONG)
def test_what_is_none_is_refused_on_both_servers_alike(servers, case):
    headers, body, status, problem, words = WRONG[case]
    before = [len(server.get("/jobs").json()["jobs"]) for server in servers.values()]
    answers = [server.post("/jobs", content=body, headers=headers) for server in servers.values()]
    for answer in answers:
        assert (answer.status_code, problem_of(answer)) == (status, problem), answer.text
        assert words in answer.json()["detail"]
        assert SECRET not in answer.text
    assert alike(answers[0]) == alike(answers[1])
    assert [len(server.get("/jobs").json()["jobs"]) for server in servers.values()] == before


def test_what_is_too_much_says_how_much_there_may_be_and_what_to_do(server):
    many = server.post("/jobs", content=csv_of([ROW] * (MOST_ROWS + 1)), headers=CSV).json()
    large = server.post("/jobs", content=bytes(MOST_BYTES + 1), headers=CSV).json()
    assert many["detail"] == (
        f"expected at most {MOST_ROWS} rows in a job (JOBS_MAX_ROWS), got more: make several jobs of them"
    )
    assert large["detail"] == (
        f"expected a body of at most {MOST_BYTES} bytes (JOBS_MAX_BYTES), got more: send it in several parts"
    )


def test_every_mistake_of_a_file_is_told_by_line_and_column(servers):
    lines = csv_of(rows(3000)).decode().splitlines()
    lines[10] = "5.1,3.5,1.4"
    lines[2000] = f"5.1,{SECRET},1.4,0.2"
    lines[2500] = "5.1,3.5,1.4,99"
    answers = [server.post("/jobs", content="\n".join(lines), headers=CSV) for server in servers.values()]
    for answer in answers:
        assert (answer.status_code, problem_of(answer)) == (400, "invalid-input")
        assert "3 mistakes" in answer.json()["detail"] and SECRET not in answer.text
        assert answer.json()["errors"] == [
            {"line": 11, "message": "expected 4 numbers in a row, got 3"},
            {
                "line": 2001,
                "column": "sepal width",
                "message": "expected a number, such as 5.1, with a point",
            },
            {"line": 2501, "column": "petal width", "message": "expected a number from 0 to 4.9"},
        ]
    assert alike(answers[0]) == alike(answers[1])


def test_columns_may_stand_in_any_order(server):
    """The same rows, told apart by the key: the job is the one that was there."""
    key = {"Idempotency-Key": f"order-{server.name}"}
    job = server.post("/jobs", content=csv_of([ROW]), headers=CSV | key).json()
    turned = csv_of([ROW[::-1]], ",".join(HEADER.split(",")[::-1]))
    assert server.post("/jobs", content=turned, headers=CSV | key).json()["id"] == job["id"]
    assert submit(server, [ROW], **key).json()["id"] == job["id"]


def test_one_comes_in_chunks(server):
    answer = send(server.url, chunked_bytes("/jobs", CSV, csv_of(rows(2000)), 1000))
    assert answer.status == 202 and json.loads(answer.body)["rows"] == 2000


def test_one_that_is_cut_off_leaves_nothing(server):
    before = server.get("/jobs").json()["jobs"]
    body = csv_of(rows(20_000))
    with Connection(server.url) as connection:
        head = (
            f"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\nContent-Length: {len(body)}"
        )
        connection.send(f"{head}\r\n\r\n".encode() + body[:600_000])
        time.sleep(0.3)
    time.sleep(0.3)
    assert server.get("/jobs").json()["jobs"] == before
    assert server.alive and b'"event":"fault"' not in server.log.read_bytes()


def test_job_idempotency_key(servers):
    """[job-idempotency-key] Whichever server is asked: same key and rows, the same job; other rows, 409."""
    answers = [submit(server, [ROW], **{"Idempotency-Key": "k1"}) for server in servers.values()]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    for server in servers.values():
        refused = submit(server, [ROW, ROW], **{"Idempotency-Key": "k1"})
        assert (refused.status_code, problem_of(refused)) == (409, "idempotency-conflict")
    assert submit(servers["flask"], [ROW]).json()["id"] != answers[0].json()["id"]


def test_the_newest_jobs_come_first_and_a_hundred_at_most(servers):
    made = [submit(server, [ROW]).json()["id"] for server in servers.values() for _ in range(55)]
    for server in servers.values():
        found = server.get("/jobs").json()["jobs"]
        assert [job["id"] for job in found] == made[::-1][:100]
