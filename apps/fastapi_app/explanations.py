"""Explanations of predictions. There only with EXPLAIN=on."""

from fastapi import APIRouter

from apps.fastapi_app.dependencies import ModelDep, RequestIdDep, ServiceDep
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.access.declared import access
from apps.service.explanations import EXPLAINS, ExplainAnswer
from apps.service.predictions import PredictRequest
from apps.service.problems import problems

router = APIRouter(route_class=CompiledRoute, tags=["explanations"])


@router.post("/explain", responses=problems(*EXPLAINS))
@access("predict")
async def explain(
    body: PredictRequest, model: ModelDep, service: ServiceDep, request_id: RequestIdDep
) -> ExplainAnswer:
    """What did each feature do to this answer?"""
    explanation = service.explainer.begin(body.features, model.serving, request_id)
    await explanation.finished()
    return explanation.answer()
