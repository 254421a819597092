"""What the servers do with the file at MODEL_PATH: there, missing, broken, somebody else's, put in later."""

import io
import json
import shutil
import threading
from pathlib import Path

import joblib
import numpy as np
import pytest
from classroom.servers import Server, serve
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

MINIMAL = ("minimal_fastapi", "minimal_flask")
SETOSA = {"features": [5.1, 3.5, 1.4, 0.2]}


@pytest.fixture(params=MINIMAL)
def start(request):
    """Starts one of the two servers on a model's path; the same test runs for each."""
    return lambda path: serve(request.param, env={"MODEL_PATH": str(path)})


def events(server: Server, name: str) -> list[dict]:
    lines = [json.loads(line) for line in server.log.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["event"] == name]


def test_without_its_file_the_server_is_up_and_says_why_and_recovers_when_it_comes(
    start, iris_root, tmp_path
):
    path = tmp_path / "model.pkl"
    with start(path) as server:
        assert server.get("/health").status_code == 503
        assert server.get("/health").json()["reason"] == (
            "model.pkl cannot be loaded (FileNotFoundError); the log says more"
        )
        for answer in (server.post("/predict", json=SETOSA), server.get("/model")):
            assert answer.status_code == 503
            assert "model.pkl" in answer.json()["detail"]
        shutil.copy(iris_root / "card.json", tmp_path)
        shutil.copy(iris_root / "model.pkl", path)
        assert server.get("/health").status_code == 200
        assert server.post("/predict", json=SETOSA).json() == {"prediction": [0]}


def test_a_file_that_is_no_model_is_reported_once_and_can_be_replaced(start, iris_root, tmp_path):
    path = tmp_path / "model.pkl"
    good = (iris_root / "model.pkl").read_bytes()
    no_models = [
        b"",
        b"not a model",
        b"\x80\x04",
        good[:-100],
        dumped({"weights": [1]}),
        dumped(LinearRegression()),
    ]
    with start(path) as server:
        missing = len(events(server, "model not loaded"))
        for number, content in enumerate(no_models, start=missing + 1):
            path.write_bytes(content)
            for _ in range(3):
                assert server.get("/health").status_code == 503
                assert server.post("/predict", json=SETOSA).status_code == 503
            assert len(events(server, "model not loaded")) == number
        path.write_bytes(good)
        assert server.post("/predict", json=SETOSA).json() == {"prediction": [0]}


def dumped(thing) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(thing, buffer)
    return buffer.getvalue()


def test_a_card_that_cannot_be_read_is_a_model_that_cannot_be_loaded(start, iris_root, tmp_path):
    shutil.copy(iris_root / "model.pkl", tmp_path)
    (tmp_path / "card.json").write_text("{", encoding="utf-8")
    with start(tmp_path / "model.pkl") as server:
        assert "JSONDecodeError" in server.get("/health").json()["reason"]
        shutil.copy(iris_root / "card.json", tmp_path)
        assert server.get("/health").status_code == 200


@pytest.mark.parametrize("name", MINIMAL)
def test_many_first_requests_at_once_load_the_model_once(iris_root, name):
    with serve(name, env={"MODEL_PATH": str(iris_root / "model.pkl")}, wait="port") as server:
        statuses = []
        together = threading.Barrier(16)

        def ask() -> None:
            together.wait()
            statuses.append(server.post("/predict", json=SETOSA).status_code)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 16
        assert len(events(server, "model loaded")) == 1


def test_fastapi_loads_at_startup_and_flask_at_the_first_request(iris_root):
    env = {"MODEL_PATH": str(iris_root / "model.pkl")}
    with (
        serve("minimal_fastapi", env=env, wait="port") as fastapi,
        serve("minimal_flask", env=env, wait="port") as flask,
    ):
        assert events(fastapi, "model loaded")
        assert not events(flask, "model loaded")
        flask.post("/predict", json=SETOSA)
        assert events(flask, "model loaded")


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that the kit did not train, so without a card."""
    folder = tmp_path_factory.mktemp("strangers")
    rows = np.array([[0.0, 1], [1, 0], [1, 1], [4, 5], [5, 4], [5, 5]])
    joblib.dump(LinearRegression().fit(rows, rows @ [2, 3]), folder / "line.pkl")
    named = RandomForestClassifier(5, random_state=0).fit(rows, ["low"] * 3 + ["high"] * 3)
    joblib.dump(named, folder / "forest.pkl")
    return folder


def test_a_model_without_a_card_is_served_under_its_files_name(start, strangers):
    with start(strangers / "line.pkl") as server:
        card = server.get("/model").json()
        assert (card["name"], len(card["features"]), card["classes"]) == ("line", 2, None)
        answer = server.post("/predict?probabilities=true", json={"features": [1, -1e6]}).json()
        assert answer == {"prediction": [pytest.approx(2 - 3e6)]}
        assert server.post("/predict", json={"features": [1, 2, 3]}).status_code == 400
        assert server.post("/predict", json={"features": [1e308, 1e308]}).status_code == 400


def test_classes_with_names_are_answered_by_name(start, strangers):
    with start(strangers / "forest.pkl") as server:
        assert server.get("/model").json()["classes"] == ["high", "low"]
        assert server.post("/predict", json={"features": [0, 1]}).json() == {"prediction": ["low"]}


def test_a_card_of_another_model_is_not_believed(start, strangers, iris_root, tmp_path):
    shutil.copy(strangers / "line.pkl", tmp_path / "model.pkl")
    shutil.copy(iris_root / "card.json", tmp_path)
    with start(tmp_path / "model.pkl") as server:
        assert server.get("/model").json()["name"] == "model"
        assert server.post("/predict", json={"features": [1, 1]}).json() == {"prediction": [pytest.approx(5)]}


@pytest.mark.parametrize("name", MINIMAL)
def test_a_port_that_is_no_number_is_one_clear_line(name):
    port = {"PORT": "five thousand"}
    with pytest.raises(Exception, match="expected a number in PORT") as caught, serve(name, env=port):
        pass
    assert "Traceback" not in str(caught.value)
