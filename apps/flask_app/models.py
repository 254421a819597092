"""The models that are served."""

from flask import Blueprint, Response

from apps.flask_app.dependencies import ServiceDep
from apps.frameworks.flask_views import typed
from apps.service.access.declared import access
from apps.service.models import ModelList
from apps.service.problems import MODEL, problems
from model_training.card import Card

router = Blueprint("models", __name__)


@router.get("/model")
@typed(problems(*MODEL), response_model=Card)
@access("predict")
def card(service: ServiceDep) -> Response:
    """The card of the model"""
    return Response(service.models.card(), mimetype="application/json")


@router.get("/models")
@typed()
@access("predict")
def models(service: ServiceDep) -> ModelList:
    """The models that are served"""
    return service.models.listed()
