"""Models that nobody trained into the kit, on both full servers: served as scikit-learn itself answers."""

import json

import numpy as np
import pytest
from adopted import MAKERS
from pairs import pair
from promises import comparable
from wire import Answer

CLOSE = {"rel": 1e-3, "abs": 1e-3}  # what 32 bits may differ by from 64


@pytest.fixture(scope="module", params=MAKERS)
def served(request, adopted):
    """Each model in turn, and the two servers that have it."""
    model = adopted(request.param)
    with pair({"MODEL_PATH": str(model.folder)}) as servers:
        yield model, servers


def ask(servers, method: str, path: str, **options) -> dict:
    """The JSON that both answer with, the request's id aside. It is the same for both."""
    answers = [server.request(method, path, **options) for server in servers.values()]
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    alike = {comparable(Answer(a.status_code, dict(a.headers), a.content)) for a in answers}
    assert len(alike) == 1
    return answers[0].json()


def expected_of(model) -> tuple[list, list | None]:
    """scikit-learn's own predictions and probabilities."""
    rows = np.array(model.rows)
    shares = model.model.predict_proba(rows).tolist() if hasattr(model.model, "predict_proba") else None
    return model.model.predict(rows).tolist(), shares


def check_predictions(model, found: list) -> None:
    expected, _ = expected_of(model)
    if isinstance(expected[0], float):
        assert found == pytest.approx(expected, **CLOSE)
    else:
        assert found == expected and [type(one) for one in found] == [type(one) for one in expected]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_it_answers_row_by_row_as_scikit_learn_does(served):
    model, servers = served
    _, shares = expected_of(model)
    answers = [ask(servers, "POST", "/predict", json={"features": row}) for row in model.rows]
    check_predictions(model, [answer["prediction"][0] for answer in answers])
    for number, answer in enumerate(answers):
        assert answer["model"]["name"] == model.name
        if shares is None:
            assert not {"label", "probabilities"} & answer.keys()
        else:
            assert answer["label"] == str(answer["prediction"][0])
            assert list(answer["probabilities"]) == [str(label) for label in model.model.classes_]
            assert [*answer["probabilities"].values()] == pytest.approx(shares[number], **CLOSE)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_it_answers_a_batch_in_order(served):
    model, servers = served
    rows = [*model.rows] * 4  # more than are answered between two requests of the event loop
    answer = ask(servers, "POST", "/predict/batch", json={"instances": rows})
    count = len(model.rows)
    for start in range(0, len(rows), count):
        check_predictions(model, answer["prediction"][start : start + count])
    _, shares = expected_of(model)
    if shares is not None:
        assert answer["label"] == [str(one) for one in answer["prediction"]]
        assert [[*row.values()] for row in answer["probabilities"][:count]] == [
            pytest.approx(row, **CLOSE) for row in shares
        ]


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_it_speaks_the_open_inference_protocol(served):
    model, servers = served
    described = ask(servers, "GET", f"/v2/models/{model.name}")
    shape = [len(model.rows), len(model.rows[0])]
    assert described["inputs"] == [{"name": "features", "datatype": "FP64", "shape": [-1, shape[1]]}]
    tensor = {"name": "features", "shape": shape, "datatype": "FP64", "data": model.rows}
    answer = ask(servers, "POST", f"/v2/models/{model.name}/infer", json={"inputs": [tensor]})
    outputs = {output["name"]: output for output in answer["outputs"]}
    check_predictions(model, outputs["prediction"]["data"])
    told = [{**output, "shape": [shape[0], *output["shape"][1:]]} for output in described["outputs"]]
    assert told == [{k: v for k, v in output.items() if k != "data"} for output in answer["outputs"]]
    _, shares = expected_of(model)
    if shares is not None:
        flat = [share for row in shares for share in row]
        assert outputs["probabilities"]["data"] == pytest.approx(flat, **CLOSE)


def test_its_card_is_what_was_adopted(served):
    model, servers = served
    card = json.loads((model.folder / "card.json").read_text(encoding="utf-8"))
    assert ask(servers, "GET", "/model") == card
    assert [one["name"] for one in ask(servers, "GET", "/models")["models"]] == [model.name]


def test_health_tells_which_of_its_files_answers(served):
    model, servers = served
    assert ask(servers, "GET", "/health")["model"]["format"] == model.format
    assert "ONNX answers" in model.told if model.format == "onnx" else "no ONNX" in model.told
