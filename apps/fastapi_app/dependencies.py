"""What views ask for in their signatures."""

from typing import Annotated

from fastapi import Depends, Request

from apps.service import Service
from apps.service.access.callers import Caller
from apps.service.predictions import AsyncPredictor


async def service(request: Request) -> Service:
    return request.scope["context"].service


async def model(request: Request) -> AsyncPredictor:
    """The model that is served. Raises Problem (503) while there is none."""
    current = request.scope["context"]
    return AsyncPredictor(current.service, current, current.service.models.chosen(current))


async def named_model(request: Request) -> AsyncPredictor:
    """The model that the path names. Raises Problem (404) where it is not served."""
    current, path = request.scope["context"], request.path_params
    serving = current.service.models.named(current, path["name"], path.get("version"))
    return AsyncPredictor(current.service, current, serving)


async def request_id(request: Request) -> str:
    return request.scope["context"].request_id


async def caller(request: Request) -> Caller:
    """Who sends the request. Only where access is on or requests are limited."""
    return request.scope["context"].caller


async def root(request: Request) -> str:
    """The path that the app is mounted under, "" for none."""
    return request.scope["context"].root


ServiceDep = Annotated[Service, Depends(service)]
ModelDep = Annotated[AsyncPredictor, Depends(model)]
NamedModelDep = Annotated[AsyncPredictor, Depends(named_model)]
CallerDep = Annotated[Caller, Depends(caller)]
RequestIdDep = Annotated[str, Depends(request_id)]
RootDep = Annotated[str, Depends(root)]
