"""The Open Inference Protocol V2, as KServe's and Triton's clients speak it."""

from flask import Blueprint

from apps.flask_app.dependencies import NamedModelDep, RequestIdDep, ServiceDep
from apps.frameworks.flask_views import typed
from apps.service import inference
from apps.service.access.declared import PUBLIC, access
from apps.service.documents import VERSION
from apps.service.inference import (
    InferAnswer,
    InferenceLive,
    InferenceReady,
    InferenceServer,
    InferRequest,
    ModelDescription,
    ModelReady,
)
from apps.service.problems import MODEL, PREDICTS, READY, problems

router = Blueprint("Open Inference Protocol", __name__)
NAMED = ("not-found", "unknown-model")
INFER = (*PREDICTS, "too-many-rows", *NAMED)


@router.get("/v2")
@typed()
@access("predict")
def server() -> InferenceServer:
    """The server"""
    return InferenceServer(name="servelab", version=VERSION, extensions=[])


@router.get("/v2/health/live")
@typed()
@access(PUBLIC)
def live() -> InferenceLive:
    """Does the process answer?"""
    return InferenceLive()


@router.get("/v2/health/ready")
@typed(problems(*READY))
@access(PUBLIC)
def ready(service: ServiceDep) -> InferenceReady:
    """Is it to be sent requests?"""
    service.health.check_ready()
    return InferenceReady()


@router.get("/v2/models/<name>")
@router.get("/v2/models/<name>/versions/<version>")
@typed(problems(*MODEL, *NAMED))
@access("predict")
def model(model: NamedModelDep, service: ServiceDep) -> ModelDescription:
    """Inputs and outputs of the model"""
    return inference.description(model.serving, service.models.versions(model.serving.name))


@router.get("/v2/models/<name>/ready")
@router.get("/v2/models/<name>/versions/<version>/ready")
@typed(problems(*READY, *NAMED))
@access(PUBLIC)
def model_ready(model: NamedModelDep, service: ServiceDep) -> ModelReady:
    """Is the model ready?"""
    service.health.check_ready()
    return ModelReady(name=model.serving.name, ready=True)


@router.post("/v2/models/<name>/infer")
@router.post("/v2/models/<name>/versions/<version>/infer")
@typed(problems(*INFER), strict_content_type=False)
@access("predict")
def infer(body: InferRequest, model: NamedModelDep, request_id: RequestIdDep) -> InferAnswer:
    """Predict from a tensor of rows"""
    rows = inference.rows_of(body, model.serving)
    inference.check_outputs(body, model.serving)
    outcome = model.predict(rows)
    return inference.answer(body, outcome, model.serving, request_id)
