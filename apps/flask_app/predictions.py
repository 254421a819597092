"""Predictions from features."""

from flask import Blueprint

from apps.flask_app.dependencies import ModelDep, RequestIdDep
from apps.frameworks.flask_views import typed
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

router = Blueprint("predictions", __name__)


@router.post("/predict")
@typed(problems(*PREDICTS), without_context=True)
@access("predict")
def predict(body: PredictRequest, model: ModelDep, request_id: RequestIdDep) -> PredictAnswer:
    """Predict from one row of features"""
    outcome = model.predict_one(body.features)
    return answer_one(outcome, model.serving, request_id)


@router.post("/predict/batch")
@typed(problems(*PREDICTS, "too-many-rows"), without_context=True)
@access("predict")
def predict_batch(body: BatchRequest, model: ModelDep, request_id: RequestIdDep) -> BatchAnswer:
    """Predict from several rows, all of them or none"""
    outcome = model.predict(body.instances)
    return answer_all(outcome, model.serving, request_id)
