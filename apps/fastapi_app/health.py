"""Health, for people, Kubernetes and whoever balances load."""

from fastapi import APIRouter

from apps.fastapi_app.dependencies import ServiceDep
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.access.declared import PUBLIC, access
from apps.service.health import HealthReport, Live, Ready
from apps.service.problems import READY, problems

router = APIRouter(route_class=CompiledRoute, tags=["health"])


@router.get("/health", responses=problems(*READY))
@access(PUBLIC)
async def health(service: ServiceDep) -> HealthReport:
    """Can it predict?"""
    return service.health.report()


@router.get("/health/live")
@access(PUBLIC)
async def live() -> Live:
    """Does the process answer? (Kubernetes: liveness)"""
    return Live()


@router.get("/health/ready", responses=problems(*READY))
@access(PUBLIC)
async def ready(service: ServiceDep) -> Ready:
    """Is it to be sent requests? (Kubernetes: readiness)"""
    service.health.check_ready()
    return Ready()
