"""What OpenAPI tells of feedback beyond the views' signatures."""

from apps.service.feedback.reports import HOURS, MOST_HOURS
from apps.service.problems import BODY

GIVES = (*BODY, "unknown-prediction", "feedback-unavailable")
REPORTS = ("invalid-input", "unknown-model", "feedback-unavailable")
OF_HOURS = {
    "name": "hours",
    "in": "query",
    "required": False,
    "description": "how many hours back",
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST_HOURS, "default": HOURS},
}
OF_VERSION = {
    "name": "version",
    "in": "query",
    "required": False,
    "description": "which version; without it, the one that predicted last",
    "schema": {"type": "string"},
}
QUALITY_QUERY = {"parameters": [OF_HOURS]}
DRIFT_QUERY = {"parameters": [OF_HOURS, OF_VERSION]}
