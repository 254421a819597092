"""Versions of the model in its registry, and which of them answers. There only with MODEL_URI."""

from flask import Blueprint, Response

from apps.flask_app.dependencies import ServiceDep
from apps.frameworks.flask_views import typed
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

router = Blueprint("registry", __name__)


@router.get("/models/<name>/versions")
@typed(problems(*READ))
@access("predict")
def versions(name: str, service: ServiceDep) -> VersionList:
    """The versions, and which of them answers"""
    return service.registry.versions.listed(name)


@router.post("/models/<name>/versions")
@typed(
    problems(*CHANGE, "model-refused", "insufficient-storage") | STORED,
    status_code=201,
    response_model=VersionList,
)
@access("admin")
def register(name: str, body: RegisterRequest, service: ServiceDep) -> Response:
    """Register the model that was trained or adopted last"""
    answer, new = service.registry.versions.register(name)
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, 201 if new else 200, mimetype="application/json")


@router.put("/models/<name>/aliases/<alias>")
@typed(problems(*CHANGE, "model-refused"))
@access("admin")
def move(name: str, alias: str, body: AliasRequest, service: ServiceDep) -> VersionList:
    """Make a version champion, or challenger"""
    return service.registry.versions.move(name, alias, body.version)


@router.delete("/models/<name>/aliases/<alias>")
@typed(problems(*READ, "invalid-input"))
@access("admin")
def drop(name: str, alias: str, service: ServiceDep) -> VersionList:
    """End what the challenger does"""
    return service.registry.versions.drop(name, alias)


@router.post("/models/<name>/rollback")
@typed(problems(*READ, "model-refused"))
@access("admin")
def rollback(name: str, service: ServiceDep) -> VersionList:
    """Back to the champion before"""
    return service.registry.versions.rollback(name)


@router.post("/models/<name>/activate")
@typed(problems(*CHANGE, "model-refused", "insufficient-storage"))
@access("admin")
def activate(name: str, body: ActivateRequest, service: ServiceDep) -> VersionList:
    """Serve this version, or follow the alias again"""
    return service.registry.versions.activate(name, body)


@router.put("/models/<name>/rollout")
@typed(problems(*CHANGE, "insufficient-storage"))
@access("admin")
def roll_out(name: str, body: RolloutRequest, service: ServiceDep) -> VersionList:
    """What the challenger does: nothing, answer some callers, or be compared"""
    return service.registry.versions.roll_out(name, body)
