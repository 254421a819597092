"""Databases: a SQLite file, or another by URL, through SQLAlchemy. Each area knows its own tables."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.orm import DeclarativeBase, Session

BUSY_SECONDS = 5  # that SQLite waits for another process's write
SILENT_SECONDS = 3  # that PostgreSQL may say nothing
GONE_SECONDS = 10  # that it waits for a client amid a transaction, whose locks others wait for
TRIES = 5  # to create the tables, beside other processes that do the same
SESSION = {  # PostgreSQL's; by itself it keeps the locks of a client that was cut off for two hours
    "statement_timeout": f"{SILENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{GONE_SECONDS}s",
    "tcp_keepalives_idle": GONE_SECONDS,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": "25s",
}


class DatabaseError(ValueError):
    """A URL that is none; the message says what was expected, without it."""


class Database:
    """Where an area keeps its tables: asked in transactions, and given up after seconds."""

    def __init__(
        self, url: str | None, file: Path, what: str, unavailable: Callable[[str], Exception], log=None
    ) -> None:
        """`url` as SQLAlchemy has it; without one, a SQLite `file`. `what` it is the database of, for the
        log; `unavailable` makes what is raised where it does not answer, from the kind of its failure. Raises
        DatabaseError for a URL that is none, OSError for a file that cannot be used."""
        try:
            parsed = make_url(url) if url else URL.create("sqlite", database=str(file))
            self._engine = create_engine(parsed, **options(parsed))
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
            raise DatabaseError(
                "expected a URL as SQLAlchemy has it, such as postgresql+psycopg://user:password@host/name, "
                "and its driver installed"
            ) from None
        if not url:
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        if parsed.get_backend_name() == "sqlite":
            event.listen(self._engine, "connect", prepare_sqlite)
        self._what, self._unavailable, self._log = what, unavailable, log
        self.answers = True  # as far as was last seen
        self._changing = threading.Lock()

    def create(self, tables: type[DeclarativeBase], first: Callable[[Session], None] | None = None) -> None:
        """The tables that are not there yet, and with `first` what has to be in them. Raises
        `unavailable`."""

        def make() -> None:
            tables.metadata.create_all(self._engine)
            if first is not None:
                with Session(self._engine) as session, session.begin():
                    first(session)

        try:
            in_turn(make)
        except DBAPIError as error:
            raise self._unavailable(kind_of(error)) from None

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction. Raises `unavailable`, without what was asked, which the library's own error
        repeats; IntegrityError is left to who knows what it means."""
        try:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            self._told(False, kind_of(error))
            raise self._unavailable(kind_of(error)) from None
        if not self.answers:
            self._told(True)

    def _told(self, answers: bool, error: str = "") -> None:
        """Each change has one line in the log, however many threads meet it."""
        with self._changing:
            changed, self.answers = answers != self.answers, answers
        if changed and self._log is not None:
            if answers:
                self._log.warning(f"the database of {self._what} answers again")
            else:
                self._log.error(f"the database of {self._what} does not answer", error=error)

    def close(self) -> None:
        self._engine.dispose()


def in_turn(make: Callable[[], None]) -> None:
    """What several processes do that start at once: one creates a table, and the others fail and look again.
    Raises DBAPIError."""
    for _ in range(TRIES - 1):
        try:
            make()
            return
        except DBAPIError:
            time.sleep(0.2)
    make()


def options(url: URL) -> dict:
    """Of an engine: so that a database which has gone, or is silent, costs seconds and not minutes."""
    if url.get_backend_name() == "sqlite":
        return {}
    found: dict = {"pool_pre_ping": True, "pool_timeout": SILENT_SECONDS}
    if url.drivername in ("postgresql+psycopg", "postgresql+psycopg2", "postgresql"):
        told = {
            "connect_timeout": SILENT_SECONDS,
            "tcp_user_timeout": SILENT_SECONDS * 1000,
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
        }
        found["connect_args"] = {name: value for name, value in told.items() if name not in url.query}
    return found


def prepare_sqlite(connection, _) -> None:
    """Readers do not wait for a writer, and writers wait for each other."""
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}").close()
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
            break
        except sqlite3.OperationalError:  # a new file, which others open too: SQLite waits for nobody then
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA foreign_keys = ON").close()


def hurry_sqlite(connection, _) -> None:
    """A power failure may undo the last transactions, whole ones; a process that dies undoes none."""
    connection.execute("PRAGMA synchronous = NORMAL").close()


def kind_of(error: SQLAlchemyError) -> str:
    return type(getattr(error, "orig", None) or error).__name__
