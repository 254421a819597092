"""What became of predictions: they are logged, and the truth about them is taken in when it is known."""

import threading
import time
from typing import Annotated, ClassVar

from pydantic import Field
from sqlalchemy import select, update

from apps.service.access.callers import Caller
from apps.service.batching import Outcome
from apps.service.bodies import Answer, Body
from apps.service.feedback.prediction_log import WRITE_SECONDS, PredictionLog
from apps.service.feedback.quality import classes_of
from apps.service.feedback.queries import card_of
from apps.service.feedback.records import Database, PredictionRecord
from apps.service.feedback.reports import Reports
from apps.service.model import Model, Serving
from apps.service.problems import Problem

DEFAULT_TENANT = "default"
SEATS, WAIT_SECONDS, LOOK_SECONDS = 2, 2 * WRITE_SECONDS, 0.1


class FeedbackRequest(Body):
    """The truth about a prediction: the `label` of its class, or the `value`."""

    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="of the prediction")]
    row: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        None, description="which of a batch's rows, from 0"
    )
    label: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="of a classifier: the true class"
    )
    value: float | None = Field(None, description="of a regressor: the true value")
    shape: ClassVar[str] = '{"request_id": "...", "label": "..."}'


class FeedbackAnswer(Answer):
    """`correct` for a classifier, `error` (the truth less what was predicted) for a regressor."""

    request_id: str
    row: int
    name: str
    version: str
    correct: bool | None = None
    error: float | None = None


class Feedback:
    """`give` may wait for a database, and is not called on an event loop. It raises Problem: 503
    feedback-unavailable where it does not answer."""

    def __init__(self, settings, database: Database, log: PredictionLog, model: Model) -> None:
        self._guarded, self._database, self._log = settings.guarded, database, log
        self.reports = Reports(settings, database, log, model)
        self._seats = threading.Semaphore(SEATS)
        log.measure = self.reports.gauges

    def start(self) -> None:
        self._log.start()

    def close(self) -> None:
        self._log.close()
        self._database.close()

    def predicted(self, context, serving: Serving, rows: list, outcome: Outcome, seconds: float) -> None:
        """A request has been answered. Never waits."""
        tenant = DEFAULT_TENANT if context.caller is None else context.caller.tenant
        self._log.add(tenant, context.request_id, serving, rows, outcome)

    def give(self, caller: Caller | None, truth: FeedbackRequest) -> FeedbackAnswer:
        """The truth about a prediction that this caller's tenant has got. What was told of it before is
        replaced. Raises Problem: 404 unknown-prediction, 400 where it is none of the model's classes."""
        tenant = caller.tenant if self._guarded else None
        found = self._looked_up(tenant, truth) or self._awaited(tenant, truth)
        told = self._checked(found, truth)
        with self._database.session() as session:
            mine = update(PredictionRecord).where(PredictionRecord.id == found.id)
            session.execute(mine.values(**told, truth_at=time.time()))
        answer = FeedbackAnswer(
            request_id=found.request_id, row=found.number, name=found.model, version=found.version
        )
        if found.value is None:
            answer.correct = found.label == told["truth_label"]
        else:
            answer.error = told["truth_value"] - found.value
        return answer

    def _looked_up(self, tenant: str | None, truth: FeedbackRequest) -> PredictionRecord | None:
        """The newest of that id. Raises Problem 400 where it is not told which of several rows."""
        mine = select(PredictionRecord).where(PredictionRecord.request_id == truth.request_id)
        if tenant is not None:
            mine = mine.where(PredictionRecord.tenant == tenant)
        mine = mine.order_by(PredictionRecord.id.desc()).limit(1)
        with self._database.session() as session:
            found = session.scalar(mine.where(PredictionRecord.number == (truth.row or 0)))
            if found is not None and truth.row is None and session.scalar(mine).number > 0:
                raise Problem("invalid-input", "expected row, the number of a row of that batch, from 0")
        return found

    def _awaited(self, tenant: str | None, truth: FeedbackRequest) -> PredictionRecord:
        """What was predicted just now: this process writes it at once, and another one within WRITE_SECONDS.
        So many as have a seat wait for that. Raises Problem 404."""
        self._log.flush()
        found = self._looked_up(tenant, truth)
        if found is None and self._seats.acquire(blocking=False):
            try:
                end = time.monotonic() + WAIT_SECONDS
                while found is None and time.monotonic() < end:
                    time.sleep(LOOK_SECONDS)
                    found = self._looked_up(tenant, truth)
            finally:
                self._seats.release()
        if found is None:
            raise Problem(
                "unknown-prediction", "expected the request_id, and for a batch the row, of an answer"
            )
        return found

    def _checked(self, found: PredictionRecord, truth: FeedbackRequest) -> dict:
        """What the record is to have. Raises Problem 400."""
        if found.label is not None:
            with self._database.session() as session:
                classes = classes_of(card_of(session, found.model, found.version))
            if truth.value is not None or truth.label not in classes:
                raise Problem("invalid-input", f"expected a label among {', '.join(classes)}")
            return {"truth_label": truth.label, "truth_value": None}
        if found.value is None:
            raise Problem("invalid-input", "expected a prediction of a model with one output")
        if truth.label is not None or truth.value is None:
            raise Problem("invalid-input", "expected value, the number that would have been right")
        return {"truth_label": None, "truth_value": truth.value}
