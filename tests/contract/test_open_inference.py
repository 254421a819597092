"""The Open Inference Protocol on both full servers, as Triton's own client and as KServe's speak it."""

import json
import urllib.request

import numpy as np
import pytest
import tritonclient.http as triton
from pairs import FULL
from promises import comparable
from tritonclient.utils import InferenceServerException
from wire import post, request_bytes, send

ROWS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]
INFER = "/v2/models/iris/infer"


@pytest.fixture(params=FULL)
def server(request, full):
    return full[request.param]


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


def tensor(rows, datatype: str = "FP64", name: str = "features", binary: bool = False) -> triton.InferInput:
    array = np.array(rows, dtype_of(datatype))
    found = triton.InferInput(name, array.shape, datatype)
    found.set_data_from_numpy(array, binary_data=binary)
    return found


def dtype_of(datatype: str) -> np.dtype:
    return np.dtype(datatype.lower().replace("fp", "float"))


def test_the_client_finds_the_server_and_the_model(client, server):
    card = server.get("/model").json()
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("iris") and client.is_model_ready("iris", card["version"])
    assert not client.is_model_ready("roses") and not client.is_model_ready("iris", "1")
    assert client.get_server_metadata()["name"] == "servelab"
    described = client.get_model_metadata("iris", card["version"])
    assert described == client.get_model_metadata("iris")
    assert described["versions"] == [card["version"]]
    assert described["platform"] == "onnx_onnxv1"
    assert described["inputs"] == [{"name": "features", "datatype": "FP64", "shape": [-1, 4]}]
    assert [output["name"] for output in described["outputs"]] == ["prediction", "label", "probabilities"]


@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
@pytest.mark.parametrize("count", [1, 3, 200])
def test_it_answers_what_a_batch_does(client, server, datatype, count):
    rows = (ROWS * 100)[:count]
    batch = server.post("/predict/batch", json={"instances": rows}).json()
    answer = client.infer("iris", [tensor(rows, datatype)])
    assert answer.as_numpy("prediction").tolist() == batch["prediction"]
    assert answer.as_numpy("label").tolist() == batch["label"]
    shares = answer.as_numpy("probabilities")
    assert shares.shape == (count, 3)
    assert shares == pytest.approx(np.array([[*row.values()] for row in batch["probabilities"]]), abs=1e-6)
    assert answer.get_response()["model_version"] == batch["model"]["version"]


@pytest.mark.parametrize(
    "datatype", ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"]
)
def test_whole_numbers_are_numbers(client, server, datatype):
    rows = [[5, 3, 1, 0], [6, 3, 6, 2]]
    answer = client.infer("iris", [tensor(rows, datatype)])
    batch = server.post("/predict/batch", json={"instances": rows}).json()
    assert answer.as_numpy("prediction").tolist() == batch["prediction"]


def test_only_the_outputs_that_were_asked_for_come_and_the_id_comes_back(client, server):
    version = server.get("/model").json()["version"]
    wanted = [triton.InferRequestedOutput(name, binary_data=False) for name in ("probabilities", "label")]
    answer = client.infer("iris", [tensor(ROWS)], version, outputs=wanted, request_id="forty-two")
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["probabilities", "label"]
    assert answer.get_response()["id"] == "forty-two"
    assert answer.as_numpy("prediction") is None


WRONG = {
    "no such model": (lambda c: c.infer("roses", [tensor(ROWS)]), 404, "no such model"),
    "no such version": (lambda c: c.infer("iris", [tensor(ROWS)], "1"), 404, "no such model"),
    "no description": (lambda c: c.get_model_metadata("roses"), 404, "no such model"),
    "another name": (lambda c: c.infer("iris", [tensor(ROWS, name="x")]), 400, 'named "features"'),
    "two inputs": (lambda c: c.infer("iris", [tensor(ROWS), tensor(ROWS)]), 400, "expected one input"),
    "three columns": (lambda c: c.infer("iris", [tensor([[1, 2, 3]])]), 400, "expected a shape [n, 4]"),
    "one dimension": (lambda c: c.infer("iris", [tensor(ROWS[0])]), 400, "expected a shape [n, 4]"),
    "outside": (lambda c: c.infer("iris", [tensor([[99, 3, 3, 1]])]), 400, "expected sepal length from"),
    "truths": (lambda c: c.infer("iris", [tensor([[1, 0, 1, 0]], "BOOL")]), 400, "expected"),
    "binary": (lambda c: c.infer("iris", [tensor(ROWS, binary=True)]), 400, "expected"),
    "an output that it has not": (
        lambda c: c.infer("iris", [tensor(ROWS)], outputs=[triton.InferRequestedOutput("scores", False)]),
        400,
        "expected outputs among prediction, label, probabilities",
    ),
    "a binary output": (
        lambda c: c.infer("iris", [tensor(ROWS)], outputs=[triton.InferRequestedOutput("label")]),
        400,
        "expected binary_data=False",
    ),
    "too many rows": (lambda c: c.infer("iris", [tensor(ROWS * 400)]), 413, "at most 1000 rows"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_the_client_is_told_what_was_wrong(client, kind):
    ask, status, words = WRONG[kind]
    with pytest.raises(InferenceServerException) as raised:
        ask(client)
    assert raised.value.status() == str(status)
    assert words in raised.value.message()


DATA = {
    "flat": ([2, 4], "FP64", [5.1, 3.5, 1.4, 0.2, 6.3, 3.3, 6.0, 2.5], 200),
    "nested": ([2, 4], "FP64", [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]], 200),
    "half nested": ([2, 4], "FP64", [[5.1, 3.5, 1.4, 0.2], 6.3, 3.3, 6.0, 2.5], 400),
    "nested otherwise": ([2, 4], "FP64", [[5.1, 3.5], [1.4, 0.2], [6.3, 3.3], [6.0, 2.5]], 400),
    "nested too deep": ([2, 4], "FP64", [[[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]]], 400),
    "fewer than the shape says": ([2, 4], "FP64", [5.1, 3.5, 1.4, 0.2], 400),
    "more than the shape says": ([1, 4], "FP64", [5.1, 3.5, 1.4, 0.2, 6.3], 400),
    "no rows": ([0, 4], "FP64", [], 400),
    "rows less than none": ([-1, 4], "FP64", [5.1, 3.5, 1.4, 0.2], 400),
    "more rows than there are numbers": ([10**18, 4], "FP64", [5.1, 3.5, 1.4, 0.2], 400),
    "more rows than 64 bits count": ([10**30, 4], "FP64", [5.1, 3.5, 1.4, 0.2], 400),
    "three dimensions": ([1, 1, 4], "FP64", [5.1, 3.5, 1.4, 0.2], 400),
    "half floats": ([1, 4], "FP16", [5.1, 3.5, 1.4, 0.2], 400),
    "truths": ([1, 4], "BOOL", [True, False, True, False], 400),
    "truths as numbers": ([1, 4], "INT8", [True, False, True, False], 400),
    "texts": ([1, 4], "BYTES", ["5.1", "3.5", "1.4", "0.2"], 400),
    "a fraction in a whole number": ([1, 4], "INT32", [5.1, 3, 1, 0], 400),
    "less than none in a number without sign": ([1, 4], "UINT8", [5, 3, 1, -1], 400),
    "too large for its type": ([1, 4], "INT8", [5, 3, 128, 0], 400),
    "a type of nobody's": ([1, 4], "float64", [5.1, 3.5, 1.4, 0.2], 400),
}


@pytest.mark.parametrize("kind", DATA)
def test_a_tensor_is_read_as_its_shape_and_type_say(full, kind):
    shape, datatype, data, status = DATA[kind]
    body = {"inputs": [{"name": "features", "shape": shape, "datatype": datatype, "data": data}]}
    answers = [post(server.url, json.dumps(body).encode(), INFER) for server in full.values()]
    assert [answer.status for answer in answers] == [status] * 2
    assert len(set(map(comparable, answers))) == 1
    found = json.loads(answers[0].body)
    if status == 200:
        assert found["outputs"][0]["data"] == [0, 2]
    else:
        assert found["error"] == found["detail"]


def test_what_kserve_sends_is_answered(server):
    """kserve.InferenceRESTClient posts what InferRequest.to_rest makes, and names no Content-Type."""
    request = {
        "id": "7f2c7b5e-31b3-4d0c-8f0e-1d6c8b1f6f2a",
        "inputs": [
            {
                "name": "features",
                "shape": [3, 4],
                "datatype": "FP32",
                "data": [n for row in ROWS for n in row],
            }
        ],
    }
    answer = send(server.url, request_bytes("POST", INFER, {"Accept": "*/*"}, json.dumps(request).encode()))
    assert answer.status == 200
    found = json.loads(answer.body)
    assert found["id"] == request["id"]
    assert found["outputs"][1]["data"] == ["setosa", "versicolor", "virginica"]
    for path, member in (("health/live", "live"), ("health/ready", "ready"), ("models/iris/ready", "ready")):
        with urllib.request.urlopen(f"{server.url}/v2/{path}") as found:
            assert json.load(found)[member] is True


def test_another_content_type_than_json_is_refused_all_the_same(full):
    for content_type in ("text/plain", "application/octet-stream", "application/x-www-form-urlencoded"):
        for server in full.values():
            answer = send(server.url, request_bytes("POST", INFER, {"Content-Type": content_type}, b"{}"))
            assert answer.status == 415
            assert "application/json" in json.loads(answer.body)["error"]
