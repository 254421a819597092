"""The Open Inference Protocol V2 over REST, with tensors in JSON, as KServe and Triton clients speak it.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md"""

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, SkipValidation

from apps.service.batching import Outcome
from apps.service.bodies import Answer, Body, Cell
from apps.service.faults import got
from apps.service.model import Serving
from apps.service.predictions import of_targets
from apps.service.problems import Problem
from apps.service.rows import NUMBERS, Column, columns_of

Parameters = dict[str, str | float | bool | None]
WHOLE = {  # the least and the greatest of each integer datatype
    name: (int(np.iinfo(name.lower()).min), int(np.iinfo(name.lower()).max))
    for name in ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
}
INPUT_TYPES = {"FP64", "FP32", *WHOLE}  # of numbers
TRUTH, TEXT = "BOOL", "BYTES"
PLATFORMS = {"onnx": "onnx_onnxv1", "skops": "sklearn_skops", "joblib": "sklearn_joblib"}
DATATYPES = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL", "U": "BYTES", "O": "BYTES"}


class InputTensor(BaseModel):
    model_config = Body.model_config

    name: str
    shape: list[int]
    datatype: str
    data: Annotated[list[Cell | list[Cell]], SkipValidation]
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


def named(name: str, version: str | None, served: list[Serving]) -> Serving:
    """The first of them that the path names. Raises Problem 404."""
    for serving in served:
        if name == serving.name and version in (None, serving.version):
            return serving
    raise Problem("unknown-model", "there is no such model here; /models lists those there are")


def rows_of(request: InferRequest, serving: Serving) -> list[list[Cell]]:
    """The rows in the request's one tensor; of a model with categories, in a tensor for each feature. Raises
    Problem 400."""
    if serving.has_categories:
        return rows_of_columns(request.inputs, serving)
    for number, tensor in enumerate(request.inputs):
        check_numbers(tensor.data, number, serving.is_plain)
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
        check_whole([number for row in found for number in row], tensor.datatype)
    return found


def check_numbers(data: list[Cell | list[Cell]], tensor: int, always: bool) -> None:
    """Raises Problem 400 unless it is of numbers and of lists of such; unless `always`, of null too."""
    for number, item in enumerate(data):
        nested, where = isinstance(item, list), f"inputs[{tensor}].data[{number}]"
        for place, value in enumerate(item if nested else [item]):
            if type(value) not in NUMBERS and (value is not None or always):
                told = f"{where}[{place}] is {got(value)}, expected a number"
                told = told if nested else f"{where} is {got(value)}, expected a number or a list"
                raise Problem("invalid-input", f"expected {InferRequest.shape}: {told}")


def rows_of_columns(tensors: list[InputTensor], serving: Serving) -> list[list[Cell]]:
    """The rows in tensors of shape [n] or [n, 1], one for each feature, by its name: of texts (BYTES) for a
    category, in which an empty one stands for what is missing. Raises Problem 400."""
    named, names = {tensor.name: tensor for tensor in tensors}, serving.features
    missing = [name for name in names if name not in named]
    if missing or len(tensors) != len(names):
        told = f"{', '.join(missing[:10])} missing" if missing else "another one came"
        raise Problem("invalid-input", f"expected one input for each of {', '.join(names)}: {told}")
    columns, count = [], None
    for column in columns_of(serving):
        tensor, shape = named[column.name], named[column.name].shape
        if (
            len(shape) not in (1, 2)
            or shape[1:] not in ([], [1])
            or shape[0] < 1
            or count not in (None, shape[0])
        ):
            raise Problem(
                "invalid-input", f"expected a shape [n] or [n, 1] of {column.name}, with one n from 1 for all"
            )
        count = shape[0]
        values = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in tensor.data]
        if len(values) != count:
            raise Problem("invalid-input", f"expected as many values of {column.name} as its shape says")
        columns.append(values_of(values, tensor.datatype, column))
    return [[*row] for row in zip(*columns, strict=True)]


def values_of(values: list[Cell], datatype: str, column: Column) -> list[Cell]:
    """The values of one feature's tensor, held to its datatype. Raises Problem 400."""
    types = {TEXT} if column.codes else INPUT_TYPES
    types = types | ({TRUTH} if column.labels is bool else INPUT_TYPES if column.labels else set())
    if datatype not in types:
        raise Problem(
            "invalid-input", f"expected a datatype of {column.name} among {', '.join(sorted(types))}"
        )
    kinds = {str} if datatype == TEXT else {bool} if datatype == TRUTH else NUMBERS
    for value in values:
        if value is not None and type(value) not in kinds:
            raise Problem("invalid-input", f"expected {datatype} of {column.name}, got {got(value)}")
    if datatype in WHOLE:
        check_whole([value for value in values if value is not None], datatype)
    if datatype == TEXT and column.may_be_missing and "" not in column.codes:
        return [value or None for value in values]
    return values


def check_whole(numbers: list[Cell], datatype: str) -> None:
    """Raises Problem 400 unless every number is one that the integer datatype has."""
    low, high = WHOLE[datatype]
    if not all(number is None or (number.is_integer() and low <= number <= high) for number in numbers):
        raise Problem("invalid-input", f"expected whole numbers from {low} to {high} for {datatype}")


def outputs_of(outcome: Outcome, serving: Serving) -> dict[str, dict[str, Any]]:
    """Every output by name: prediction, and for classifiers label and, where there are any, probabilities."""
    if serving.targets:
        return outputs_of_several(outcome, serving)
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


def outputs_of_several(outcome: Outcome, serving: Serving) -> dict[str, dict[str, Any]]:
    """The same of a model with several targets: what it predicts for each stands side by side; probabilities
    are an output for each target."""
    count, found = len(outcome.predictions), {}
    labels, _ = of_targets(outcome, serving)
    for output in description(serving).outputs:
        if output.name == "prediction":
            data = [part for row in outcome.predictions for part in row]
        elif output.name == "label":
            data = [name for row in labels for name in row.values()]
        else:
            place = [f"probabilities.{target.name}" for target in serving.targets].index(output.name)
            data = [share for row in outcome.probabilities for share in row[place]]
        shape = [count, *output.shape[1:]]
        found[output.name] = output.model_dump() | {"shape": shape, "data": data}
    return found


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


def description(serving: Serving, versions: list[str] | None = None) -> ModelDescription:
    """The model as the protocol describes it. -1 stands for any number of rows. `versions`: those that can be
    asked; this one where it is not given."""
    inputs = [{"name": "features", "datatype": "FP64", "shape": [-1, len(serving.features)]}]
    if serving.has_categories:
        inputs = [
            {"name": feature.name, "datatype": TEXT if feature.categories else "FP64", "shape": [-1, 1]}
            for feature in serving.card.features
        ]
    return ModelDescription.model_validate(
        {
            "name": serving.name,
            "versions": versions or [serving.version],
            "platform": PLATFORMS[serving.format],
            "inputs": inputs,
            "outputs": outputs_of_targets(serving) if serving.targets else outputs_of_one(serving),
        }
    )


def outputs_of_one(serving: Serving) -> list[dict[str, Any]]:
    raw = np.asarray(list(serving.class_of) if serving.classes else [0.0])
    outputs = [{"name": "prediction", "datatype": DATATYPES[raw.dtype.kind], "shape": [-1]}]
    if serving.classes:
        outputs.append({"name": "label", "datatype": "BYTES", "shape": [-1]})
        if serving.has_probabilities:
            outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(serving.classes)]})
    return outputs


def outputs_of_targets(serving: Serving) -> list[dict[str, Any]]:
    targets = serving.targets
    classes = bool(targets[0].classes)
    raw = np.asarray([label for target in targets for label in target.raw_labels] or [0.0])
    shape = [-1, len(targets)]
    outputs = [{"name": "prediction", "datatype": DATATYPES[raw.dtype.kind], "shape": shape}]
    if classes:
        outputs.append({"name": "label", "datatype": "BYTES", "shape": shape})
    for target in targets if serving.has_probabilities else []:
        outputs.append(
            {
                "name": f"probabilities.{target.name}",
                "datatype": "FP64",
                "shape": [-1, len(target.classes)],
            }
        )
    return outputs
