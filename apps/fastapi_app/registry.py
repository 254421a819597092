"""Versions of the model in its registry, and which of them answers. There only with MODEL_URI."""

import asyncio

from fastapi import APIRouter, Response

from apps.fastapi_app.dependencies import ServiceDep
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.access.declared import access
from apps.service.problems import problems
from apps.service.registry.versions import (
    CHANGE,
    READ,
    STORED,
    ActivateRequest,
    AliasRequest,
    RegisterRequest,
    RolloutRequest,
    VersionList,
)

router = APIRouter(route_class=CompiledRoute, tags=["registry"])


@router.get("/models/{name}/versions", responses=problems(*READ))
@access("predict")
async def versions(name: str, service: ServiceDep) -> VersionList:
    """The versions, and which of them answers"""
    return await asyncio.to_thread(service.registry.versions.listed, name)


@router.post(
    "/models/{name}/versions",
    status_code=201,
    response_model=VersionList,
    responses=problems(*CHANGE, "model-refused", "insufficient-storage") | STORED,
)
@access("admin")
async def register(name: str, body: RegisterRequest, service: ServiceDep) -> Response:
    """Register the model that was trained or adopted last"""
    answer, new = await asyncio.to_thread(service.registry.versions.register, name)
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, 201 if new else 200, media_type="application/json")


@router.put("/models/{name}/aliases/{alias}", responses=problems(*CHANGE, "model-refused"))
@access("admin")
async def move(name: str, alias: str, body: AliasRequest, service: ServiceDep) -> VersionList:
    """Make a version champion, or challenger"""
    return await asyncio.to_thread(service.registry.versions.move, name, alias, body.version)


@router.delete("/models/{name}/aliases/{alias}", responses=problems(*READ, "invalid-input"))
@access("admin")
async def drop(name: str, alias: str, service: ServiceDep) -> VersionList:
    """End what the challenger does"""
    return await asyncio.to_thread(service.registry.versions.drop, name, alias)


@router.post("/models/{name}/rollback", responses=problems(*READ, "model-refused"))
@access("admin")
async def rollback(name: str, service: ServiceDep) -> VersionList:
    """Back to the champion before"""
    return await asyncio.to_thread(service.registry.versions.rollback, name)


@router.post("/models/{name}/activate", responses=problems(*CHANGE, "model-refused", "insufficient-storage"))
@access("admin")
async def activate(name: str, body: ActivateRequest, service: ServiceDep) -> VersionList:
    """Serve this version, or follow the alias again"""
    return await asyncio.to_thread(service.registry.versions.activate, name, body)


@router.put("/models/{name}/rollout", responses=problems(*CHANGE, "insufficient-storage"))
@access("admin")
async def roll_out(name: str, body: RolloutRequest, service: ServiceDep) -> VersionList:
    """What the challenger does: nothing, answer some callers, or be compared"""
    return await asyncio.to_thread(service.registry.versions.roll_out, name, body)
