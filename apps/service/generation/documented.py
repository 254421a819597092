"""What OpenAPI tells of generation beyond the views' signatures."""

from apps.service.generation.reply import SSE
from apps.service.generation.usage import DAYS, MOST_DAYS
from apps.service.problems import BODY

COMPLETES = (
    *BODY,
    "unknown-model",
    "prompt-too-long",
    "content-refused",
    "too-many-requests",
    "generation-busy",
    "generation-failed",
    "generation-timeout",
    "draining",
)
DAYS_QUERY = {
    "parameters": [
        {
            "name": "days",
            "in": "query",
            "required": False,
            "description": "how many days back, today included",
            "schema": {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": DAYS},
        }
    ]
}
STREAM = {
    200: {
        "content": {
            SSE: {
                "schema": {"type": "string"},
                "example": 'data: {"choices": [{"delta": {"content": "Hello"}}]}\n\ndata: [DONE]\n\n',
            }
        }
    }
}
