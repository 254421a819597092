"""The models that are served."""

from fastapi import APIRouter, Response

from apps.fastapi_app.dependencies import ServiceDep
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.access.declared import access
from apps.service.models import ModelList
from apps.service.problems import MODEL, problems
from model_training.card import Card

router = APIRouter(route_class=CompiledRoute, tags=["models"])


@router.get("/model", response_model=Card, responses=problems(*MODEL))
@access("predict")
async def card(service: ServiceDep) -> Response:
    """The card of the model"""
    return Response(service.models.card(), media_type="application/json")


@router.get("/models")
@access("predict")
async def models(service: ServiceDep) -> ModelList:
    """The models that are served"""
    return service.models.listed()
