"""Explanations of predictions. There only with EXPLAIN=on."""

from flask import Blueprint

from apps.flask_app.dependencies import ModelDep, RequestIdDep, ServiceDep
from apps.frameworks.flask_views import typed
from apps.service.access.declared import access
from apps.service.explanations import EXPLAINS, ExplainAnswer
from apps.service.predictions import PredictRequest
from apps.service.problems import problems

router = Blueprint("explanations", __name__)


@router.post("/explain")
@typed(problems(*EXPLAINS))
@access("predict")
def explain(
    body: PredictRequest, model: ModelDep, service: ServiceDep, request_id: RequestIdDep
) -> ExplainAnswer:
    """What did each feature do to this answer?"""
    explanation = service.explainer.begin(body.features, model.serving, request_id)
    explanation.wait()
    return explanation.answer()
