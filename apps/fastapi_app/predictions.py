"""Predictions from features."""

from fastapi import APIRouter

from apps.fastapi_app.dependencies import ModelDep, RequestIdDep
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.access.declared import access
from apps.service.predictions import (
    BatchAnswer,
    BatchRequest,
    PredictAnswer,
    PredictRequest,
    answer_all,
    answer_one,
)
from apps.service.problems import PREDICTS, problems

router = APIRouter(route_class=CompiledRoute, tags=["predictions"])


@router.post("/predict", responses=problems(*PREDICTS))
@access("predict")
async def predict(body: PredictRequest, model: ModelDep, request_id: RequestIdDep) -> PredictAnswer:
    """Predict from one row of features"""
    outcome = await model.predict_one(body.features)
    return answer_one(outcome, model.serving, request_id)


@router.post("/predict/batch", responses=problems(*PREDICTS, "too-many-rows"))
@access("predict")
async def predict_batch(body: BatchRequest, model: ModelDep, request_id: RequestIdDep) -> BatchAnswer:
    """Predict from several rows, all of them or none"""
    outcome = await model.predict(body.instances)
    return answer_all(outcome, model.serving, request_id)
