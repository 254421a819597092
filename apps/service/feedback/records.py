"""The database of predictions: one row for each that was given, and counts of features by the minute."""

import threading
import time
from itertools import chain

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from apps.service import databases
from apps.service.problems import Problem
from apps.service.settings import SettingsError

ROWS_IN_STATEMENT = 500
AGAIN_SECONDS = 1.0  # between two tries to create the tables


class Unavailable(Problem):
    """The database does not do what it is asked; `error` is the kind of its failure."""

    def __init__(self, error: str) -> None:
        super().__init__("feedback-unavailable", "the database of predictions does not answer now")
        self.error = error


class Base(DeclarativeBase):
    pass


class PredictionRecord(Base):
    """A row that was predicted. The truth about it comes later, or never."""

    __tablename__ = "predictions"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[float]  # seconds since 1970
    app: Mapped[str]
    tenant: Mapped[str]
    request_id: Mapped[str] = mapped_column(index=True)  # a client may send the same one twice
    number: Mapped[int]  # of the row in its request, from 0
    model: Mapped[str]
    version: Mapped[str]
    label: Mapped[str | None]  # a classifier's
    value: Mapped[float | None]  # a regressor's
    probability: Mapped[float | None]  # of `label`
    features: Mapped[str | None] = mapped_column(Text)  # JSON, with PREDICTION_LOG_FEATURES=on only
    truth_label: Mapped[str | None]
    truth_value: Mapped[float | None]
    truth_at: Mapped[float | None]

    __table_args__ = (
        Index(
            "predictions_with_truth",
            "model",
            "at",
            sqlite_where=text("truth_at IS NOT NULL"),
            postgresql_where=text("truth_at IS NOT NULL"),
        ),
    )


LOGGED = (
    "at",
    "app",
    "tenant",
    "request_id",
    "number",
    "model",
    "version",
    "label",
    "value",
    "probability",
    "features",
)


def add_predictions(session: Session, records: list[tuple]) -> None:
    """Each with a value for each of LOGGED. One statement has many of them, as the driver takes it:
    SQLAlchemy would look at each, which takes longer than all else, and holds up who predicts."""
    connection = session.connection()
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    row = f"({', '.join([mark] * len(LOGGED))})"
    for start in range(0, len(records), ROWS_IN_STATEMENT):
        part = records[start : start + ROWS_IN_STATEMENT]
        connection.exec_driver_sql(
            f"INSERT INTO predictions ({', '.join(LOGGED)}) VALUES {', '.join([row] * len(part))}",
            tuple(chain.from_iterable(part)),
        )


class ModelRecord(Base):
    """A model that has predicted: what its classes and its training data were."""

    __tablename__ = "prediction_models"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    card: Mapped[str] = mapped_column(Text)  # as JSON


class WindowRecord(Base):
    """What one process counted in one minute, of features by the bins of the model's card."""

    __tablename__ = "prediction_windows"

    model: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)  # seconds since 1970
    tenant: Mapped[str] = mapped_column(primary_key=True)
    process: Mapped[str] = mapped_column(primary_key=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    counts: Mapped[bytes] = mapped_column(LargeBinary)  # as bins.packed has them


class Database(databases.Database):
    """That database, which may be away when a server starts: tables are created when it is first asked."""

    def __init__(self, url: str | None, file, log) -> None:
        super().__init__(url, file, "predictions", Unavailable, log)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", databases.hurry_sqlite)
        self._creating, self._created, self._failed_at = threading.Lock(), False, 0.0

    def session(self):
        """As databases.Database. Raises Unavailable."""
        if not self._created:
            self._create()
        return super().session()

    def _create(self) -> None:
        with self._creating:
            if self._created:
                return
            if time.monotonic() - self._failed_at < AGAIN_SECONDS:
                raise Unavailable("away")
            try:
                self.create(Base)
                self._created = True
            except Unavailable as error:
                self._failed_at = time.monotonic()
                self._told(False, error.error)
                raise


def database_of(settings, log) -> Database:
    """Raises SettingsError for a folder or a URL that cannot be used."""
    folder = settings.prediction_log_folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Database(settings.database_url, folder / "predictions.db", log)
    except databases.DatabaseError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None
    except OSError as error:
        raise SettingsError(f"PREDICTION_LOG_FOLDER: {folder} cannot be used ({error.strerror})") from None
