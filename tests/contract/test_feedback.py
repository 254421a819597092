"""The truth about predictions, quality and drift, over both servers, which share a database: SQLite, and a
real PostgreSQL where there is one."""

import sqlite3
import time
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import httpx
import numpy as np
import pytest
from classroom.servers import Server
from credentials import PASSWORD, ROW, bearer, eventually, guarded_pair
from job_uploads import alike
from pairs import FULL, ONE, pair
from postgres import postgres
from sklearn.datasets import load_iris
from test_schemathesis import assert_schemathesis

IRIS = load_iris().data
QUALITY, DRIFT = "/models/iris/quality", "/models/iris/drift"


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def env(request, tmp_path_factory, iris_root) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("predictions")
    told = {"MODEL_PATH": str(iris_root / "models" / "iris"), "PREDICTION_LOG": "on"}
    told["PREDICTION_LOG_FOLDER"] = str(folder)
    if request.param == "postgresql":
        told["DATABASE_URL"] = request.getfixturevalue("database").url
    return told


@pytest.fixture
def own(iris_root, tmp_path) -> dict[str, str]:
    """For servers of a test's own, with SQLite."""
    folder = {"PREDICTION_LOG": "on", "PREDICTION_LOG_FOLDER": str(tmp_path / "predictions")}
    return folder | {"MODEL_PATH": str(iris_root / "models" / "iris")}


@pytest.fixture(scope="module")
def servers(env) -> Iterator[dict[str, Server]]:
    with pair(env) as found:
        yield found


def predicted(server: Server, rows: np.ndarray | None = None) -> str:
    """The id of a prediction."""
    if rows is None:
        answer = server.post("/predict", json=ROW)
    else:
        answer = server.post("/predict/batch", json={"instances": rows.tolist()})
    assert answer.status_code == 200, answer.text
    return answer.json()["request_id"]


def settled(servers: dict[str, Server], path: str, rows: int) -> list[dict]:
    """What both servers report, once all the rows have come there."""

    def reports() -> list[dict]:
        return [server.get(path).json() for server in servers.values()]

    def count(report: dict) -> int:
        return report["rows"] if "rows" in report else sum(one["predictions"] for one in report["versions"])

    assert eventually(lambda: [count(one) for one in reports()] == [rows, rows]), reports()
    return [{name: part for name, part in one.items() if name != "since"} for one in reports()]


def rows_so_far(servers: dict[str, Server]) -> int:
    time.sleep(1)  # what others wait for is written by then
    return next(iter(servers.values())).get(DRIFT).json()["rows"]


def test_whoever_predicted_either_server_takes_the_truth_at_once(servers):
    for one, other in permutations(servers.values()):
        for server in (one, other):
            id = predicted(one)
            told = [server.post("/feedback", json={"request_id": id, "label": "setosa"}) for _ in range(2)]
            assert [answer.status_code for answer in told] == [200, 200]
            assert told[0].json() == told[1].json()
            assert told[0].json()["correct"] is True and told[0].json()["row"] == 0
            changed = other.post("/feedback", json={"request_id": id, "label": "virginica"})
            assert changed.json()["correct"] is False  # the last one counts


def test_quality_is_the_same_at_both(servers):
    before = rows_so_far(servers)
    [known, _] = settled(servers, QUALITY, before)
    fastapi, flask = servers.values()
    ids = [predicted(server, IRIS[:100]) for server in (fastapi, flask)]
    for row in range(10):
        for server, id in ((flask, ids[0]), (fastapi, ids[1])):
            told = {"request_id": id, "row": row, "label": "setosa" if row < 9 else "versicolor"}
            assert server.post("/feedback", json=told).status_code == 200
    one, other = settled(servers, QUALITY, before + 200)
    assert one == other
    [version] = one["versions"]
    counted = known["versions"][0] if known["versions"] else {"truths": 0, "correct": 0}
    assert version["truths"] == counted["truths"] + 20
    assert version["correct"] == counted["correct"] + 18
    low, high = version["interval"]
    assert 0 <= low < version["accuracy"] < high <= 1 and version["test_accuracy"] > 0.9
    assert np.sum(version["confusion"]["counts"]) == version["truths"]


def test_what_is_no_truth_is_refused_alike(servers):
    id, batch = predicted(servers["fastapi"]), predicted(servers["fastapi"], IRIS[:3])
    known = {"request_id": id}
    for body, status, words in (
        (known | {"label": "hunter2"}, 400, "among setosa, versicolor, virginica"),
        (known | {"value": 1.5}, 400, "among setosa, versicolor, virginica"),
        (known, 400, "among setosa, versicolor, virginica"),
        ({"request_id": batch, "label": "setosa"}, 400, "expected row"),
        ({"request_id": batch, "label": "setosa", "row": 3}, 404, "the request_id"),
        ({"request_id": "hunter2", "label": "setosa"}, 404, "the request_id"),
        (known | {"row": -1, "label": "setosa"}, 400, "row"),
        (known | {"row": True, "label": "setosa"}, 400, "row"),
        (known | {"label": 0}, 400, "label"),
        (known | {"label": "setosa", "hunter2": 1}, 400, ""),
        ({"request_id": "hunter2 with blanks", "label": "setosa"}, 400, "request_id"),
        ({"label": "setosa"}, 400, "request_id"),
    ):
        answers = [server.post("/feedback", json=body) for server in servers.values()]
        assert [answer.status_code for answer in answers] == [status] * 2, answers[0].text
        assert answers[0].json()["detail"] == answers[1].json()["detail"]
        assert words in answers[0].json()["detail"] and "hunter2" not in answers[0].text


def test_drift_is_seen_by_both_and_only_where_it_is(servers):
    before = rows_so_far(servers)
    come = IRIS[np.random.default_rng(0).integers(0, 150, 1000)]
    for start in range(0, 1000, 250):
        for server in servers.values():
            predicted(server, come[start : start + 250] + [0, 1.5, 0, 0])
    one, other = settled(servers, f"{DRIFT}?hours=1", before + 2000)
    assert one == other
    verdicts = {feature["name"]: feature["verdict"] for feature in one["features"]}
    assert verdicts["sepal width"] == "large" and verdicts["petal length"] in ("none", "moderate")
    [wide] = [feature for feature in one["features"] if feature["name"] == "sepal width"]
    assert wide["psi"] > one["large"] and wide["p_value"] < 0.001 and wide["outside"] > 0.1
    assert sum(window["rows"] for window in one["windows"]) == one["rows"]
    assert max(window["psi"][1] or 0 for window in one["windows"]) > one["large"]


def test_every_route_of_predictions_is_logged_and_the_same_request_at_v2(servers):
    tensor = {"name": "features", "shape": [2, 4], "datatype": "FP64", "data": IRIS[[0, 149]].tolist()}
    for server in servers.values():
        answer = server.post("/v2/models/iris/infer", json={"inputs": [tensor], "id": "of-the-client"})
        told = {"request_id": answer.headers["X-Request-ID"], "row": 1, "label": "virginica"}
        assert server.post("/feedback", json=told).json()["correct"] is True


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/models/nobody/quality", 404),
        ("/models/nobody/drift", 404),
        (f"{DRIFT}?version=nobody", 404),
        (f"{QUALITY}?hours=0", 400),
        (f"{QUALITY}?hours=721", 400),
        (f"{DRIFT}?hours=hunter2", 400),
        (f"{DRIFT}?hours=720", 200),
    ],
)
def test_reports_of_what_there_is_not(servers, path, status):
    answers = [server.get(path) for server in servers.values()]
    assert [answer.status_code for answer in answers] == [status] * 2
    if status != 200:
        assert answers[0].json()["detail"] == answers[1].json()["detail"]
        assert "hunter2" not in answers[0].text and "nobody" not in answers[0].json()["detail"]


def test_both_describe_it_alike_and_its_reports_are_as_described(servers):
    documents = [server.get("/openapi.json").json() for server in servers.values()]
    for document in documents:
        del document["info"]["summary"]
    assert documents[0] == documents[1]
    described = documents[0]["paths"]
    assert {"/feedback", "/models/{name}/quality", "/models/{name}/drift"} <= described.keys()
    assert "404" in described["/feedback"]["post"]["responses"]


@pytest.mark.parametrize("name", FULL)
def test_schemathesis_finds_nothing_in_reports(servers, env, name, tmp_path):
    if "DATABASE_URL" not in env:  # once is enough
        assert_schemathesis(servers[name], tmp_path, "--include-path-regex", "^/models/.*/")


def test_what_waits_is_written_at_the_end(own):
    with pair(own | ONE) as found:
        ids = {name: predicted(server) for name, server in found.items()}
    with pair(own) as again:
        for server in again.values():
            for id in ids.values():
                assert server.post("/feedback", json={"request_id": id, "label": "setosa"}).status_code == 200


def test_features_are_kept_only_where_the_operator_says_so(own, tmp_path):
    secret = [5.0716253, 3.4190871, 1.4280937, 0.2190443]
    for features in ("off", "on"):
        folder = tmp_path / features
        told = own | {"PREDICTION_LOG_FOLDER": str(folder), "PREDICTION_LOG_FEATURES": features}
        with pair(told) as found:
            for server in found.values():
                assert server.post("/predict", json={"features": secret}).status_code == 200
        connection = sqlite3.connect(folder / "predictions.db")
        columns = connection.execute("select features from predictions").fetchall()
        assert columns == [(None if features == "off" else str(secret).replace(" ", ""),)] * 2
        connection.execute("update predictions set features = null")
        connection.commit()
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
        connection.close()
        kept = b"".join(path.read_bytes() for path in folder.iterdir())
        assert [one for one in secret if str(one).encode() in kept or np.float64(one).tobytes() in kept] == []
        assert [one for one in secret if np.float64(one).byteswap().tobytes() in kept] == []


def test_with_access_feedback_is_for_who_may_predict_and_for_ones_own(own, tmp_path):
    with guarded_pair(tmp_path, Path(own["MODEL_PATH"]), own) as found:
        found.accounts.add("eve", ["predict"], password=PASSWORD, tenant="others")
        fastapi, flask = found.servers.values()
        as_alice, as_eve, as_jobs = (
            bearer(found.token(fastapi, name)["access_token"]) for name in ("alice", "eve", "only-jobs")
        )
        id = httpx.post(f"{flask.url}/predict", json=ROW, headers=as_alice).json()["request_id"]
        truth = {"request_id": id, "label": "setosa"}
        for headers, status in ((None, 401), (as_jobs, 403), (as_eve, 404), (as_alice, 200)):
            answers = [
                httpx.post(f"{server.url}/feedback", json=truth, headers=headers)
                for server in found.servers.values()
            ]
            assert [answer.status_code for answer in answers] == [status] * 2
        for headers, count in ((as_eve, []), (as_alice, [1])):
            report = httpx.get(flask.url + QUALITY, headers=headers).json()
            assert [one["truths"] for one in report["versions"]] == count


def test_while_the_database_is_away_predictions_go_on_and_are_written_later(database, own):
    with pair(own | ONE | {"DATABASE_URL": database.url}) as found:
        for server in found.values():
            predicted(server)
        database.stop()
        try:
            during = {name: predicted(server) for name, server in found.items()}
            truth = {"request_id": during["flask"], "label": "setosa"}
            refused = [server.post("/feedback", json=truth) for server in found.values()]
            assert alike(refused[0]) == alike(refused[1])
            assert refused[0].status_code == 503 and refused[0].headers["Retry-After"]
            assert refused[0].json()["type"] == "/problems/feedback-unavailable"
            assert [server.get("/health").status_code for server in found.values()] == [200, 200]
        finally:
            database.start()
        for name, server in found.items():
            truth = {"request_id": during[name], "label": "setosa"}
            assert eventually(lambda: server.post("/feedback", json=truth).status_code == 200)  # noqa: B023
            log = server.log.read_text()
            assert log.count("the database of predictions does not answer") == 1
            assert "the database of predictions answers again" in log
            assert "INSERT" not in log and "setosa" not in log and database.url not in log
