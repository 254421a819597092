"""The models that jobs were submitted to, kept in the database: every worker loads exactly these."""

import hashlib
import time
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from apps.service.jobs.records import Database, ModelRecord
from apps.service.model import Serving
from apps.service.problems import Problem
from model_training.card import Card


class Models:
    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, serving: Serving) -> str:
        """Its id in the database, where it is from now on. Raises Problem 503 where the model's file is not
        what is served any more."""
        known = serving.card.files[serving.format]
        id = hashlib.sha256(serving.card_json + known.sha256.encode()).hexdigest()
        used = update(ModelRecord).where(ModelRecord.id == id).values(used_at=time.time())
        with self._database.session() as session:
            if session.execute(used).rowcount:
                return id
        record = ModelRecord(
            id=id,
            format=serving.format,
            name=known.file,
            card=serving.card_json,
            file=bytes_of(serving.path, known.file, known.sha256),
            used_at=time.time(),
        )
        try:
            with self._database.session() as session:
                session.add(record)
        except IntegrityError:  # another request has stored it meanwhile
            pass
        return id

    def card(self, id: str) -> Card:
        with self._database.session() as session:
            return Card.model_validate_json(session.get_one(ModelRecord, id).card)


def bytes_of(path: Path, file: str, sha256: str) -> bytes:
    """The model's file, as it was loaded from `path`. Raises Problem."""
    folder = path if path.is_dir() else path.parent
    for candidate in (folder / file, path):
        try:
            data = candidate.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
    raise Problem("model-unavailable", "the model's file is not the one that is served")
