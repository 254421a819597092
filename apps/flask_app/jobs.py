"""Jobs: rows that are left to be predicted, and fetched when they are. There only with JOBS=on."""

from typing import Annotated

from flask import Blueprint, Response, request

from apps.flask_app.dependencies import RequestIdDep, RootDep, ServiceDep, model
from apps.frameworks.flask_views import Depends, typed
from apps.frameworks.wsgi import current_context
from apps.service.access.declared import access
from apps.service.bodies import streamed
from apps.service.jobs import Job, JobList, Owner, downloads, owner_of
from apps.service.jobs.documented import ACCEPTED, CSV_RESULT, JOB, RESULT, SUBMIT, UPLOAD
from apps.service.jobs.uploads import PIECE_BYTES, Upload
from apps.service.predictions import BatchAnswer
from apps.service.problems import problems

router = Blueprint("jobs", __name__)


def owner() -> Owner:
    return owner_of(current_context().caller)


OwnerDep = Annotated[Owner, Depends(owner)]


def upload() -> Upload:
    return Upload(current_context(), model().serving, owner(), request.headers.get("Idempotency-Key"))


UploadDep = Annotated[Upload, Depends(upload)]


def told(job: Job, root: str, status: int = 200) -> Response:
    job = job.under(root)
    body = job.model_dump_json(exclude_none=True)
    return Response(body, status, mimetype="application/json", headers=job.headers(status))


@router.post("/jobs")
@typed(problems(*SUBMIT) | ACCEPTED, status_code=202, response_model=Job, openapi_extra=UPLOAD)
@access("jobs")
@streamed("jobs_max_bytes")
def submit(upload: UploadDep, root: RootDep) -> Response:
    """Leave rows to be predicted"""
    with upload:
        while piece := request.stream.read(PIECE_BYTES):
            upload.add(piece)
        job = upload.accept()
    return told(job, root, 202)


@router.get("/jobs")
@typed(problems("jobs-unavailable"))
@access("jobs")
def jobs(owner: OwnerDep, service: ServiceDep, root: RootDep) -> JobList:
    """My jobs, the newest first"""
    return JobList(jobs=[job.under(root) for job in service.jobs.listed(owner)])


@router.get("/jobs/<id>")
@typed(problems(*JOB), response_model=Job)
@access("jobs")
def job(id: str, owner: OwnerDep, service: ServiceDep, root: RootDep) -> Response:
    """How far is it?"""
    return told(service.jobs.get(owner, id), root)


@router.delete("/jobs/<id>")
@typed(problems(*JOB), response_model=Job)
@access("jobs")
def cancel(id: str, owner: OwnerDep, service: ServiceDep, root: RootDep) -> Response:
    """Cancel it, if it has not ended"""
    return told(service.jobs.cancel(owner, id), root)


@router.get("/jobs/<id>/result.json")
@typed(problems(*RESULT), response_model=BatchAnswer)
@access("jobs")
def result_json(id: str, owner: OwnerDep, service: ServiceDep, request_id: RequestIdDep) -> Response:
    """Its result as JSON, as /predict/batch would answer"""
    parts = downloads.json_result(service.jobs, owner, id, request_id)
    return Response(parts, mimetype="application/json", headers=downloads.attachment(id, "json"))


@router.get("/jobs/<id>/result.csv")
@typed(problems(*RESULT) | CSV_RESULT)
@access("jobs")
def result_csv(id: str, owner: OwnerDep, service: ServiceDep) -> Response:
    """Its result as CSV, a line for each row"""
    parts = downloads.csv_result(service.jobs, owner, id)
    return Response(parts, mimetype="text/csv", headers=downloads.attachment(id, "csv"))
