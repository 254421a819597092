"""Jobs: rows that are left to be predicted, and fetched when they are. There only with JOBS=on."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from apps.fastapi_app.dependencies import ModelDep, RequestIdDep, RootDep, ServiceDep
from apps.frameworks.fastapi_views import CompiledRoute
from apps.service.access.declared import access
from apps.service.bodies import streamed
from apps.service.jobs import Job, JobList, Owner, downloads, owner_of
from apps.service.jobs.documented import ACCEPTED, CSV_RESULT, JOB, RESULT, SUBMIT, UPLOAD
from apps.service.jobs.uploads import Upload
from apps.service.predictions import BatchAnswer
from apps.service.problems import problems

router = APIRouter(route_class=CompiledRoute, tags=["jobs"])


async def owner(request: Request) -> Owner:
    return owner_of(request.scope["context"].caller)


OwnerDep = Annotated[Owner, Depends(owner)]


async def upload(request: Request, model: ModelDep, owner: OwnerDep) -> Upload:
    keys = request.headers.getlist("Idempotency-Key")  # as in WSGI, several are one with commas
    return Upload(request.scope["context"], model.serving, owner, ", ".join(keys) if keys else None)


UploadDep = Annotated[Upload, Depends(upload)]


def told(job: Job, root: str, status: int = 200) -> Response:
    job = job.under(root)
    body = job.model_dump_json(exclude_none=True)
    return Response(body, status, media_type="application/json", headers=job.headers(status))


@router.post(
    "/jobs", status_code=202, response_model=Job, responses=problems(*SUBMIT) | ACCEPTED, openapi_extra=UPLOAD
)
@access("jobs")
@streamed("jobs_max_bytes")
async def submit(request: Request, upload: UploadDep, root: RootDep) -> Response:
    """Leave rows to be predicted"""
    async with upload:
        async for piece in request.stream():
            await asyncio.to_thread(upload.add, piece)
        job = await asyncio.to_thread(upload.accept)
    return told(job, root, 202)


@router.get("/jobs", responses=problems("jobs-unavailable"))
@access("jobs")
async def jobs(owner: OwnerDep, service: ServiceDep, root: RootDep) -> JobList:
    """My jobs, the newest first"""
    return JobList(jobs=[job.under(root) for job in await asyncio.to_thread(service.jobs.listed, owner)])


@router.get("/jobs/{id}", response_model=Job, responses=problems(*JOB))
@access("jobs")
async def job(id: str, owner: OwnerDep, service: ServiceDep, root: RootDep) -> Response:
    """How far is it?"""
    return told(await asyncio.to_thread(service.jobs.get, owner, id), root)


@router.delete("/jobs/{id}", response_model=Job, responses=problems(*JOB))
@access("jobs")
async def cancel(id: str, owner: OwnerDep, service: ServiceDep, root: RootDep) -> Response:
    """Cancel it, if it has not ended"""
    return told(await asyncio.to_thread(service.jobs.cancel, owner, id), root)


@router.get("/jobs/{id}/result.json", response_model=BatchAnswer, responses=problems(*RESULT))
@access("jobs")
async def result_json(id: str, owner: OwnerDep, service: ServiceDep, request_id: RequestIdDep) -> Response:
    """Its result as JSON, as /predict/batch would answer"""
    parts = await asyncio.to_thread(downloads.json_result, service.jobs, owner, id, request_id)
    return StreamingResponse(parts, media_type="application/json", headers=downloads.attachment(id, "json"))


@router.get("/jobs/{id}/result.csv", response_class=Response, responses=problems(*RESULT) | CSV_RESULT)
@access("jobs")
async def result_csv(id: str, owner: OwnerDep, service: ServiceDep) -> Response:
    """Its result as CSV, a line for each row"""
    parts = await asyncio.to_thread(downloads.csv_result, service.jobs, owner, id)
    return StreamingResponse(parts, media_type="text/csv", headers=downloads.attachment(id, "csv"))
