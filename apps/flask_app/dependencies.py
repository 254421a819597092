"""What views ask for in their signatures."""

from typing import Annotated

from flask import request

from apps.frameworks.flask_views import Depends
from apps.frameworks.wsgi import current_context
from apps.service import Service
from apps.service.access.callers import Caller
from apps.service.predictions import Predictor


def service() -> Service:
    return current_context().service


def model() -> Predictor:
    """The model that is served. Raises Problem (503) while there is none."""
    current = current_context()
    return Predictor(current.service, current, current.service.models.chosen(current))


def named_model() -> Predictor:
    """The model that the path names. Raises Problem (404) where it is not served."""
    current, path = current_context(), request.view_args
    serving = current.service.models.named(current, path["name"], path.get("version"))
    return Predictor(current.service, current, serving)


def request_id() -> str:
    return current_context().request_id


def caller() -> Caller:
    """Who sends the request. Only where access is on or requests are limited."""
    return current_context().caller


def root() -> str:
    """The path that the app is mounted under, "" for none."""
    return current_context().root


ServiceDep = Annotated[Service, Depends(service)]
ModelDep = Annotated[Predictor, Depends(model)]
NamedModelDep = Annotated[Predictor, Depends(named_model)]
CallerDep = Annotated[Caller, Depends(caller)]
RequestIdDep = Annotated[str, Depends(request_id)]
RootDep = Annotated[str, Depends(root)]
