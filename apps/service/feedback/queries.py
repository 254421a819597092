"""What is asked of the database of predictions. A `tenant` of None is all of them."""

from collections import defaultdict

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from apps.service.feedback.bins import unpacked
from apps.service.feedback.prediction_log import WINDOW_SECONDS
from apps.service.feedback.records import ModelRecord, PredictionRecord, WindowRecord
from model_training.card import Card


def card_of(session: Session, name: str, version: str) -> Card:
    mine = (ModelRecord.name == name, ModelRecord.version == version)
    return Card.model_validate_json(session.scalar(select(ModelRecord.card).where(*mine)))


def models(session: Session, name: str) -> dict[str, Card]:
    """Every version that has ever predicted."""
    mine = select(ModelRecord.version, ModelRecord.card).where(ModelRecord.name == name)
    return {version: Card.model_validate_json(card) for version, card in session.execute(mine).all()}


def of_tenant(chosen, table, tenant: str | None):
    return chosen if tenant is None else chosen.where(table.tenant == tenant)


def predictions(session: Session, name: str, since: float, tenant: str | None) -> tuple[dict, dict]:
    """How many rows each version has predicted, and in which minute the last of them."""
    asked = select(WindowRecord.version, func.sum(WindowRecord.rows), func.max(WindowRecord.start))
    asked = asked.where(WindowRecord.model == name, WindowRecord.start >= since - WINDOW_SECONDS)
    found = session.execute(of_tenant(asked, WindowRecord, tenant).group_by(WindowRecord.version)).all()
    return {version: int(rows) for version, rows, _ in found}, {version: last for version, _, last in found}


def with_truth(asked, name: str, since: float, tenant: str | None):
    mine = (PredictionRecord.model == name, PredictionRecord.at >= since)
    return of_tenant(asked.where(*mine, PredictionRecord.truth_at.is_not(None)), PredictionRecord, tenant)


def pairs(session: Session, name: str, since: float, tenant: str | None) -> dict[str, dict]:
    """By version: how many rows of a true class were predicted to be of a class."""
    columns = (PredictionRecord.version, PredictionRecord.truth_label, PredictionRecord.label)
    asked = with_truth(select(*columns, func.count()), name, since, tenant)
    asked = asked.where(PredictionRecord.label.is_not(None)).group_by(*columns)
    found: defaultdict[str, dict] = defaultdict(dict)
    for version, true, predicted, count in session.execute(asked).all():
        found[version][true, predicted] = count
    return found


def absolute_errors(session: Session, name: str, since: float, tenant: str | None) -> dict:
    """By version: how many values are known, and the mean of how far off the predictions were."""
    off = func.avg(func.abs(PredictionRecord.value - PredictionRecord.truth_value))
    asked = with_truth(select(PredictionRecord.version, func.count(), off), name, since, tenant)
    asked = asked.where(PredictionRecord.value.is_not(None)).group_by(PredictionRecord.version)
    return {version: (count, mean) for version, count, mean in session.execute(asked).all()}


def windows(
    session: Session, name: str, version: str, since: float, tenant: str | None
) -> list[tuple[int, int, np.ndarray]]:
    """The start of each minute, its rows and its counts."""
    asked = select(WindowRecord.start, WindowRecord.rows, WindowRecord.counts)
    mine = (WindowRecord.model == name, WindowRecord.version == version)
    asked = asked.where(*mine, WindowRecord.start >= since - WINDOW_SECONDS)
    found = session.execute(of_tenant(asked, WindowRecord, tenant)).all()
    return [(start, rows, unpacked(counts)) for start, rows, counts in found]


def recent(session: Session, since: float) -> list[tuple[str, str]]:
    """The name and version of each model that has predicted."""
    found = select(WindowRecord.model, WindowRecord.version).distinct()
    return [tuple(one) for one in session.execute(found.where(WindowRecord.start >= since)).all()]
