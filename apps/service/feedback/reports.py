"""Reports on models: quality, where the truth is known, and drift, where it is not."""

import time
from contextlib import suppress

import numpy as np
from sqlalchemy.orm import Session

from apps.service.access.callers import Caller
from apps.service.feedback import queries
from apps.service.feedback.bins import Bins
from apps.service.feedback.drift import DriftReport, DriftWindow, feature_drift, psis
from apps.service.feedback.prediction_log import WINDOW_SECONDS, PredictionLog
from apps.service.feedback.quality import QualityReport, version_quality
from apps.service.feedback.records import Database
from apps.service.model import Model
from apps.service.problems import Problem
from model_training.card import Card

HOURS, MOST_HOURS = 24, 720
PARTS = 24  # that the hours of a report on drift have at most
DRIFT_SECONDS, TRUTH_SECONDS = 3600, 86400  # that the gauges look back


class Reports:
    """None is called on an event loop. Each raises Problem: 503 feedback-unavailable, 404 unknown-model for a
    model that has never predicted here."""

    def __init__(self, settings, database: Database, log: PredictionLog, model: Model) -> None:
        self._guarded, self._database = settings.guarded, database
        self._log, self._model = log, model

    def quality(self, caller: Caller | None, name: str, hours: int) -> QualityReport:
        """Of each version that has predicted in the last `hours`."""
        since, tenant = time.time() - hours * 3600, self._sees(caller)
        self._log.flush()
        with self._database.session() as session:
            known = self._known(session, name)
            rows, last = queries.predictions(session, name, since, tenant)
            truths = queries.pairs(session, name, since, tenant)
            errors = queries.absolute_errors(session, name, since, tenant)
        versions = [
            version_quality(version, known[version], rows[version], truths[version], errors.get(version))
            for version in sorted(rows, key=last.get, reverse=True)
        ]
        return QualityReport(name=name, hours=hours, since=since, versions=versions)

    def drift(self, caller: Caller | None, name: str, version: str | None, hours: int) -> DriftReport:
        """Of the version, or of the one that predicted last."""
        now, tenant = time.time(), self._sees(caller)
        since = now - hours * 3600
        self._log.flush()
        with self._database.session() as session:
            known = self._known(session, name)
            if version is None:
                _, last = queries.predictions(session, name, 0, tenant)
                version = max(known, key=lambda one: last.get(one, 0))
            if version not in known:
                raise unknown_model()
            found = queries.windows(session, name, version, since, tenant)
        bins = Bins(known[version])
        parts, seconds = in_parts(found, bins, since, now)
        total = sum((counts for _, counts in parts.values()), np.zeros(bins.width, int))
        return DriftReport(
            name=name,
            version=version,
            hours=hours,
            since=since,
            rows=sum(rows for rows, _ in parts.values()),
            features=[
                feature_drift(one, bins.of_feature(total, number)) for number, one in enumerate(bins.features)
            ],
            windows=[
                DriftWindow(start=start, seconds=seconds, rows=rows, psi=psis(bins, counts))
                for start, (rows, counts) in sorted(parts.items())
            ],
        )

    def _known(self, session: Session, name: str) -> dict[str, Card]:
        """Every version that has ever predicted, and the one that is served. Raises Problem 404 where there
        is none."""
        found = queries.models(session, name)
        with suppress(Problem):  # no model is served just now
            if self._model.serving.name == name:
                found = {self._model.serving.version: self._model.serving.card} | found
        if not found:
            raise unknown_model()
        return found

    def _sees(self, caller: Caller | None) -> str | None:
        """Whose predictions a report is of: with access on the caller's tenant's, for an admin
        everybody's."""
        return caller.tenant if self._guarded and "admin" not in caller.scopes else None

    def gauges(self) -> list[tuple[str, tuple[str, ...], float]]:
        """Of all models that have predicted in the last 24 hours, as FeedbackMetrics.measured takes them."""
        now, found = time.time(), []
        with self._database.session() as session:
            for name, version in queries.recent(session, now - TRUTH_SECONDS):
                card = queries.card_of(session, name, version)
                bins = Bins(card)
                hour = queries.windows(session, name, version, now - DRIFT_SECONDS, None)
                total = np.zeros(bins.width, int)
                for _, counts in in_parts(hour, bins, now - DRIFT_SECONDS, now)[0].values():
                    total += counts
                for feature, psi in zip(card.features, psis(bins, total), strict=True):
                    if psi is not None:
                        found.append(("psi", (name, version, feature.name), psi))
                truths = queries.pairs(session, name, now - TRUTH_SECONDS, None)[version]
                if truths:
                    told = version_quality(version, card, 0, truths, None)
                    found.append(("accuracy", (name, version), told.accuracy))
                    found.append(("known", (name, version), told.truths))
                    if told.test_accuracy is not None:
                        found.append(("test", (name, version), told.test_accuracy))
        return found


def unknown_model() -> Problem:
    return Problem("unknown-model", "expected a model, and a version, that predicts here, or has")


def hours_of(text: str | None) -> int:
    """As a query has it, None where it has none. Raises Problem."""
    if text is None:
        return HOURS
    if text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_HOURS:
        return int(text)
    raise Problem("invalid-input", f"expected hours from 1 to {MOST_HOURS}")


def in_parts(
    found: list[tuple[int, int, np.ndarray]], bins: Bins, since: float, now: float
) -> tuple[dict[int, tuple[int, np.ndarray]], int]:
    """The minutes together in PARTS or one more, by their starts, and how many seconds each is. What was
    counted by the bins of another card is left out."""
    seconds = -int(-(now - since) // (PARTS * WINDOW_SECONDS)) * WINDOW_SECONDS
    parts: dict[int, tuple[int, np.ndarray]] = {}
    for start, rows, counts in found:
        if len(counts) == bins.width:
            part = start // seconds * seconds
            before, so_far = parts.get(part, (0, np.zeros(bins.width, int)))
            parts[part] = before + rows, so_far + counts
    return parts, seconds
