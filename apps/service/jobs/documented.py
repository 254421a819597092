"""What OpenAPI says of jobs beyond what their views' types say."""

from apps.service.jobs.uploads import CSV, FORM, JSON
from apps.service.problems import MODEL

JOB = ("unknown-job", "jobs-unavailable")
RESULT = (*JOB, "job-not-done")
SUBMIT = (
    *MODEL,
    "invalid-json",
    "invalid-input",
    "out-of-range",
    "idempotency-conflict",
    "too-many-rows",
    "unsupported-media-type",
    "job-queue-full",
    "jobs-unavailable",
)
ACCEPTED = {
    202: {
        "description": "The job",
        "headers": {
            "Location": {"description": "the job's address", "required": True, "schema": {"type": "string"}}
        },
    }
}
CSV_RESULT = {200: {"description": "The result", "content": {CSV: {"schema": {"type": "string"}}}}}
UPLOAD = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "sent again with the same content, it gives the same job, and not another one",
            "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/JobRequest"}},
            CSV: {
                "schema": {
                    "type": "string",
                    "description": "a line with the names of the features in any order, and one for each row",
                }
            },
            FORM: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "string",
                            "contentMediaType": CSV,
                            "description": "the rows, as CSV; as JSON where its type says so",
                        }
                    },
                    "required": ["file"],
                }
            },
        },
    },
}
