"""The Open Inference Protocol V2, as KServe's and Triton's clients speak it."""

from fastapi import APIRouter

from apps.fastapi_app.dependencies import NamedModelDep, RequestIdDep, ServiceDep
from apps.frameworks.fastapi_views import CompiledRoute
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

router = APIRouter(route_class=CompiledRoute, tags=["Open Inference Protocol"], strict_content_type=False)
NAMED = ("not-found", "unknown-model")
INFER = (*PREDICTS, "too-many-rows", *NAMED)


@router.get("/v2")
@access("predict")
async def server() -> InferenceServer:
    """The server"""
    return InferenceServer(name="servelab", version=VERSION, extensions=[])


@router.get("/v2/health/live")
@access(PUBLIC)
async def live() -> InferenceLive:
    """Does the process answer?"""
    return InferenceLive()


@router.get("/v2/health/ready", responses=problems(*READY))
@access(PUBLIC)
async def ready(service: ServiceDep) -> InferenceReady:
    """Is it to be sent requests?"""
    service.health.check_ready()
    return InferenceReady()


@router.get("/v2/models/{name}", responses=problems(*MODEL, *NAMED))
@router.get("/v2/models/{name}/versions/{version}", responses=problems(*MODEL, *NAMED))
@access("predict")
async def model(model: NamedModelDep, service: ServiceDep) -> ModelDescription:
    """Inputs and outputs of the model"""
    return inference.description(model.serving, service.models.versions(model.serving.name))


@router.get("/v2/models/{name}/ready", responses=problems(*READY, *NAMED))
@router.get("/v2/models/{name}/versions/{version}/ready", responses=problems(*READY, *NAMED))
@access(PUBLIC)
async def model_ready(model: NamedModelDep, service: ServiceDep) -> ModelReady:
    """Is the model ready?"""
    service.health.check_ready()
    return ModelReady(name=model.serving.name, ready=True)


@router.post("/v2/models/{name}/infer", responses=problems(*INFER))
@router.post("/v2/models/{name}/versions/{version}/infer", responses=problems(*INFER))
@access("predict")
async def infer(body: InferRequest, model: NamedModelDep, request_id: RequestIdDep) -> InferAnswer:
    """Predict from a tensor of rows"""
    rows = inference.rows_of(body, model.serving)
    inference.check_outputs(body, model.serving)
    outcome = await model.predict(rows)
    return inference.answer(body, outcome, model.serving, request_id)
