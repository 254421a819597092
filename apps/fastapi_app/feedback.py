"""Feedback: the truth about predictions, how good the model has been, and drift. There only with
PREDICTION_LOG=on."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from apps.fastapi_app.dependencies import CallerDep, ServiceDep
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.access.declared import access
from apps.service.feedback.documented import DRIFT_QUERY, GIVES, QUALITY_QUERY, REPORTS
from apps.service.feedback.drift import DriftReport
from apps.service.feedback.feedback import FeedbackAnswer, FeedbackRequest
from apps.service.feedback.quality import QualityReport
from apps.service.feedback.reports import hours_of
from apps.service.problems import problems

router = APIRouter(route_class=CompiledRoute, tags=["feedback"])


async def hours(request: Request) -> int:
    return hours_of(request.query_params.get("hours"))


async def version(request: Request) -> str | None:
    return request.query_params.get("version")


HoursDep = Annotated[int, Depends(hours)]
VersionDep = Annotated[str | None, Depends(version)]


@router.post("/feedback", responses=problems(*GIVES))
@access("predict")
async def feedback(body: FeedbackRequest, caller: CallerDep, service: ServiceDep) -> FeedbackAnswer:
    """Tell the truth about a prediction"""
    return await asyncio.to_thread(service.feedback.give, caller, body)


@router.get("/models/{name}/quality", responses=problems(*REPORTS), openapi_extra=QUALITY_QUERY)
@access("predict")
async def quality(name: str, hours: HoursDep, caller: CallerDep, service: ServiceDep) -> QualityReport:
    """How often was the model right, by version?"""
    return await asyncio.to_thread(service.feedback.reports.quality, caller, name, hours)


@router.get("/models/{name}/drift", responses=problems(*REPORTS), openapi_extra=DRIFT_QUERY)
@access("predict")
async def drift(
    name: str, version: VersionDep, hours: HoursDep, caller: CallerDep, service: ServiceDep
) -> DriftReport:
    """How far is what comes from what the model was trained on?"""
    return await asyncio.to_thread(service.feedback.reports.drift, caller, name, version, hours)
