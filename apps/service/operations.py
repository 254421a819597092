"""What each route is for, takes, gives and refuses: the operations of the OpenAPI document."""

from typing import Literal

from msgspec import Struct

from apps.service import contract, open_inference
from model_training.card import Card


class Part(Struct, forbid_unknown_fields=True):
    """Of the answers that no request waits for, and that the service writes as they come: their shapes."""


class Live(Part):
    status: Literal["live"]


class Ready(Part):
    status: Literal["ready"]


class ServedModel(Part):
    name: str
    version: str
    format: Literal["onnx", "skops", "joblib"]


class Health(Part):
    status: Literal["ok"]
    app: str
    model: ServedModel
    uptime_seconds: float


class ListedModel(ServedModel):
    state: Literal["ready"]


class Models(Part):
    models: list[ListedModel]


class InferenceServer(Part):
    name: str
    version: str
    extensions: list[str]


class InferenceLive(Part):
    live: Literal[True]


class InferenceReady(Part):
    ready: Literal[True]


class ModelReady(Part):
    name: str
    ready: Literal[True]


class TensorDescription(Part):
    name: str
    datatype: str
    shape: list[int]


class ModelDescription(Part):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorDescription]
    outputs: list[TensorDescription]


class OutputTensor(Part):
    name: str
    datatype: str
    shape: list[int]
    data: list[float | str | bool]


class InferAnswer(Part):
    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]


class ProblemDetails(Struct):
    """RFC 9457. Problems of health tell `app` and `uptime_seconds` too."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


class InferenceProblem(ProblemDetails):
    """The same, with the `error` that clients of the Open Inference Protocol look for."""

    error: str


class Operation(Struct):
    """A route: what it is for, the problems of its own, what it takes, and the type of what it gives."""

    summary: str
    gives: type | str
    problems: str = ""
    takes: type | None = None


# By their slugs in problems.py. What stands between a client and every route:
EVERYWHERE = (
    "bad-request",
    "method-not-allowed",
    "request-timeout",
    "content-too-large",
    "uri-too-long",
    "headers-too-large",
    "internal-error",
    "not-implemented",
)
MODEL = "model-loading model-unavailable"
READY = f"{MODEL} draining"
NAMED = f"{MODEL} not-found unknown-model"
PREDICTS = f"{MODEL} invalid-json invalid-input prediction-failed prediction-timeout unsupported-media-type"
MANY = f"{PREDICTS} out-of-range too-many-rows"

DESCRIBED = Operation("Inputs and outputs of the model", ModelDescription, NAMED)
MODEL_READY = Operation("Is the model ready?", ModelReady, f"{NAMED} draining")
INFER = Operation(
    "Predict from a tensor of rows",
    InferAnswer,
    f"{MANY} not-found unknown-model",
    open_inference.InferRequest,
)
OPERATIONS = {
    "/predict": Operation(
        "Predict from one row of features",
        contract.PredictAnswer,
        f"{PREDICTS} out-of-range",
        contract.PredictRequest,
    ),
    "/predict/batch": Operation(
        "Predict from several rows, all of them or none", contract.BatchAnswer, MANY, contract.BatchRequest
    ),
    "/model": Operation("The card of the model", Card, MODEL),
    "/models": Operation("The models that are served", Models),
    "/health": Operation("Can it predict?", Health, READY),
    "/health/live": Operation("Does the process answer? (Kubernetes: liveness)", Live),
    "/health/ready": Operation("Is it to be sent requests? (Kubernetes: readiness)", Ready, READY),
    "/v2": Operation("The server", InferenceServer),
    "/v2/health/live": Operation("Does the process answer?", InferenceLive),
    "/v2/health/ready": Operation("Is it to be sent requests?", InferenceReady, READY),
    "/v2/models/{name}": DESCRIBED,
    "/v2/models/{name}/ready": MODEL_READY,
    "/v2/models/{name}/infer": INFER,
    "/v2/models/{name}/versions/{version}": DESCRIBED,
    "/v2/models/{name}/versions/{version}/ready": MODEL_READY,
    "/v2/models/{name}/versions/{version}/infer": INFER,
    "/openapi.json": Operation("This document", dict),
    "/docs": Operation("This document as a page, to try it out", "text/html"),
    "/docs/{file}": Operation("What the page is made of", "*/*", "not-found"),
    "/problems": Operation("Every error there is, explained", "text/html"),
    "/problems/{slug}": Operation("One error, explained", "text/html", "not-found"),
}
TAGS = {
    "/predict": "predictions",
    "/model": "the model",
    "/health": "health",
    "/v2": "Open Inference Protocol",
    "": "documents",
}
