"""What became of predictions: a log of them, the truth about them, and how far the data have drifted.
Imported with PREDICTION_LOG=on only."""

from apps.service.feedback.counted import FeedbackMetrics
from apps.service.feedback.feedback import Feedback
from apps.service.feedback.prediction_log import PredictionLog
from apps.service.feedback.records import database_of
from apps.service.model import Model

__all__ = ["Feedback", "feedback_of"]


def feedback_of(app: str, settings, log, metrics, model: Model) -> Feedback:
    """Raises SettingsError for a folder or a URL that cannot be used. A database that is away is none: what
    is to be written waits for it."""
    database = database_of(settings, log)
    counted = FeedbackMetrics(metrics.registry)
    return Feedback(settings, database, PredictionLog(app, settings, log, database, counted), model)
