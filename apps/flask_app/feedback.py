"""Feedback: the truth about predictions, how good the model has been, and drift. There only with
PREDICTION_LOG=on."""

from typing import Annotated

from flask import Blueprint, request

from apps.flask_app.dependencies import CallerDep, ServiceDep
from apps.frameworks.flask_views import Depends, typed
from apps.service.access.declared import access
from apps.service.feedback.documented import DRIFT_QUERY, GIVES, QUALITY_QUERY, REPORTS
from apps.service.feedback.drift import DriftReport
from apps.service.feedback.feedback import FeedbackAnswer, FeedbackRequest
from apps.service.feedback.quality import QualityReport
from apps.service.feedback.reports import hours_of
from apps.service.problems import problems

router = Blueprint("feedback", __name__)


def hours() -> int:
    return hours_of(request.args.get("hours"))


def version() -> str | None:
    return request.args.get("version")


HoursDep = Annotated[int, Depends(hours)]
VersionDep = Annotated[str | None, Depends(version)]


@router.post("/feedback")
@typed(problems(*GIVES))
@access("predict")
def feedback(body: FeedbackRequest, caller: CallerDep, service: ServiceDep) -> FeedbackAnswer:
    """Tell the truth about a prediction"""
    return service.feedback.give(caller, body)


@router.get("/models/<name>/quality")
@typed(problems(*REPORTS), openapi_extra=QUALITY_QUERY)
@access("predict")
def quality(name: str, hours: HoursDep, caller: CallerDep, service: ServiceDep) -> QualityReport:
    """How often was the model right, by version?"""
    return service.feedback.reports.quality(caller, name, hours)


@router.get("/models/<name>/drift")
@typed(problems(*REPORTS), openapi_extra=DRIFT_QUERY)
@access("predict")
def drift(
    name: str, version: VersionDep, hours: HoursDep, caller: CallerDep, service: ServiceDep
) -> DriftReport:
    """How far is what comes from what the model was trained on?"""
    return service.feedback.reports.drift(caller, name, version, hours)
