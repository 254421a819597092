"""Health, for people, Kubernetes and whoever balances load."""

from flask import Blueprint

from apps.flask_app.dependencies import ServiceDep
from apps.frameworks.flask_views import typed
from apps.service.access.declared import PUBLIC, access
from apps.service.health import HealthReport, Live, Ready
from apps.service.problems import READY, problems

router = Blueprint("health", __name__)


@router.get("/health")
@typed(problems(*READY))
@access(PUBLIC)
def health(service: ServiceDep) -> HealthReport:
    """Can it predict?"""
    return service.health.report()


@router.get("/health/live")
@typed()
@access(PUBLIC)
def live() -> Live:
    """Does the process answer? (Kubernetes: liveness)"""
    return Live()


@router.get("/health/ready")
@typed(problems(*READY))
@access(PUBLIC)
def ready(service: ServiceDep) -> Ready:
    """Is it to be sent requests? (Kubernetes: readiness)"""
    service.health.check_ready()
    return Ready()
