"""The Open Inference Protocol V2 over REST, with tensors in JSON, as KServe and Triton clients speak it.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md"""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel

from apps.service.batching import Outcome
from apps.service.bodies import Answer, Body
from apps.service.model import Serving
from apps.service.problems import Problem

Parameters = dict[str, str | float | bool | None]
WHOLE = {  # the least and the greatest of each integer datatype
    name: (int(np.iinfo(name.lower()).min), int(np.iinfo(name.lower()).max))
    for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
}
INPUT_TYPES = {"FP64", "FP32", *WHOLE}
PLATFORMS = {"onnx": "onnx_onnxv1", "skops": "sklearn_skops", "joblib": "sklearn_joblib"}
DATATYPES = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL", "U": "BYTES", "O": "BYTES"}


class InputTensor(BaseModel):
    model_config = Body.model_config

    name: str
    shape: list[int]
    datatype: str
    data: list[float | list[float]]
    parameters: Parameters = {}


class OutputChoice(Body):
    name: str
    parameters: Parameters = {}


class InferRequest(Body):
    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[OutputChoice] | None = None
    parameters: Parameters = {}
    shape: ClassVar[str] = (
        '{"inputs": [{"name": "features", "shape": [n, k], "datatype": "FP64", "data": [numbers]}]}'
    )


class InferenceServer(Answer):
    name: str
    version: str
    extensions: list[str]


class InferenceLive(Answer):
    live: Literal[True] = True


class InferenceReady(Answer):
    ready: Literal[True] = True


class ModelReady(Answer):
    name: str
    ready: Literal[True]


class TensorDescription(Answer):
    name: str
    datatype: str
    shape: list[int]


class ModelDescription(Answer):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorDescription]
    outputs: list[TensorDescription]


class OutputTensor(Answer):
    name: str
    datatype: str
    shape: list[int]
    data: list[bool | int | float | str]


class InferAnswer(Answer):
    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]


def named(name: str, version: str | None, serving: Serving) -> Serving:
    """The model, if it is the one that the path names. Raises Problem 404."""
    if name != serving.name or version not in (None, serving.version):
        raise Problem("unknown-model", "there is no such model here; /models lists those there are")
    return serving


def rows_of(request: InferRequest, serving: Serving) -> list[list[float]]:
    """The rows in the request's one tensor. Raises Problem 400."""
    if len(request.inputs) != 1 or request.inputs[0].name != "features":
        raise Problem("invalid-input", 'expected one input, named "features"')
    tensor = request.inputs[0]
    if tensor.datatype not in INPUT_TYPES:
        raise Problem("invalid-input", f"expected a datatype among {', '.join(sorted(INPUT_TYPES))}")
    if len(tensor.shape) != 2 or tensor.shape[0] < 1 or tensor.shape[1] != len(serving.features):
        raise Problem("invalid-input", f"expected a shape [n, {len(serving.features)}] with n from 1")
    rows, columns = tensor.shape
    if all(isinstance(item, list) for item in tensor.data):
        found = tensor.data
    elif any(isinstance(item, list) for item in tensor.data):
        raise Problem("invalid-input", "expected data either flat or nested as the shape says")
    else:
        found = [tensor.data[start : start + columns] for start in range(0, len(tensor.data), columns)]
    if len(found) != rows or any(len(row) != columns for row in found):
        raise Problem(
            "invalid-input", f"expected as many numbers in data as the shape says, {rows} x {columns}"[:120]
        )
    if tensor.datatype in WHOLE:
        check_whole(found, tensor.datatype)
    return found


def check_whole(rows: list[list[float]], datatype: str) -> None:
    """Raises Problem 400 unless every number is one that the integer datatype has."""
    low, high = WHOLE[datatype]
    if not all(number.is_integer() and low <= number <= high for row in rows for number in row):
        raise Problem("invalid-input", f"expected whole numbers from {low} to {high} for {datatype}")


def outputs_of(outcome: Outcome, serving: Serving) -> dict[str, dict[str, Any]]:
    """Every output by name: prediction, and for classifiers label and, where there are any, probabilities."""
    count = len(outcome.predictions)
    prediction = np.asarray(outcome.predictions)
    found = {"prediction": (DATATYPES[prediction.dtype.kind], [count], outcome.predictions)}
    if serving.classes:
        labels = [serving.class_of[raw] for raw in outcome.predictions]
        found["label"] = ("BYTES", [count], labels)
    if outcome.probabilities is not None:
        flat = [share for row in outcome.probabilities for share in row]
        found["probabilities"] = ("FP64", [count, len(serving.classes)], flat)
    return {
        name: {"name": name, "datatype": datatype, "shape": shape, "data": data}
        for name, (datatype, shape, data) in found.items()
    }


def answer(request: InferRequest, outcome: Outcome, serving: Serving, request_id: str) -> InferAnswer:
    outputs = outputs_of(outcome, serving)
    if request.outputs:
        outputs = {choice.name: outputs[choice.name] for choice in request.outputs}
    return InferAnswer(
        model_name=serving.name,
        model_version=serving.version,
        id=request.id if request.id is not None else request_id,
        outputs=[OutputTensor(**output) for output in outputs.values()],
    )


def check_outputs(request: InferRequest, serving: Serving) -> None:
    """Raises Problem 400 where the request asks for an output that this model does not have."""
    known = [output.name for output in description(serving).outputs]
    for choice in request.outputs or []:
        if choice.name not in known:
            raise Problem("invalid-input", f"expected outputs among {', '.join(known)}")
        if choice.parameters.get("binary_data"):
            raise Problem("invalid-input", "expected binary_data=False: this server sends tensors as JSON")


def description(serving: Serving) -> ModelDescription:
    """The model as the protocol describes it. -1 stands for any number of rows."""
    card = serving.card
    raw = np.asarray(list(serving.class_of) if serving.classes else [0.0])
    outputs = [{"name": "prediction", "datatype": DATATYPES[raw.dtype.kind], "shape": [-1]}]
    if serving.classes:
        outputs.append({"name": "label", "datatype": "BYTES", "shape": [-1]})
        if serving.has_probabilities:
            outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(card.classes)]})
    return ModelDescription.model_validate(
        {
            "name": serving.name,
            "versions": [serving.version],
            "platform": PLATFORMS[serving.format],
            "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, len(serving.features)]}],
            "outputs": outputs,
        }
    )
