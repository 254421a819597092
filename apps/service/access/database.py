"""The database of accounts: a SQLite file, or another by URL, through SQLAlchemy.

Nothing secret is in it as it is: passwords are argon2 hashes; keys and refresh tokens, which are random and
long, are SHA-256. https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import ForeignKey, create_engine, event, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from apps.service.problems import Problem

BUSY_SECONDS = 5  # that SQLite waits for another process's write
SILENT_SECONDS = 3  # that PostgreSQL may say nothing
TRIES = 5  # to create the tables, beside other processes that do the same


class AccountError(ValueError):
    """What was asked for cannot be done; the message says why, without anything secret."""


class Unavailable(Problem):
    """The database does not do what it is asked; `error` is the kind of its failure."""

    def __init__(self, error: str) -> None:
        super().__init__("access-unavailable", "who may do what cannot be looked up now")
        self.error = error


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]  # "user", or "client": a program
    password: Mapped[str]
    scopes: Mapped[str]
    tenant: Mapped[str]
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[float]


class ApiKey(Base):
    __tablename__ = "api_keys"

    prefix: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str] = mapped_column(ForeignKey("accounts.name", ondelete="CASCADE"), index=True)
    label: Mapped[str]
    scopes: Mapped[str]
    created_at: Mapped[float]
    expires_at: Mapped[float | None]


class RefreshToken(Base):
    __tablename__ = "refresh_tokens"

    digest: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[str] = mapped_column(index=True)  # all that came of one login
    owner: Mapped[str] = mapped_column(ForeignKey("accounts.name", ondelete="CASCADE"), index=True)
    scopes: Mapped[str]
    expires_at: Mapped[float]
    used: Mapped[bool] = mapped_column(default=False)


class Revoked(Base):
    """The id of an access token, or of the family of all that one login gave."""

    __tablename__ = "revoked"

    id: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[float]  # when every token of it has expired


class Change(Base):
    """One row, which grows with each change that takes rights away."""

    __tablename__ = "changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class Database:
    def __init__(self, url: str | None, folder: Path, log=None) -> None:
        """`url` as SQLAlchemy has it; without one, a SQLite file in `folder`. Raises AccountError for a URL
        that is none, OSError for a folder that cannot be used."""
        try:
            parsed = make_url(url) if url else URL.create("sqlite", database=str(folder / "accounts.db"))
            self._engine = create_engine(parsed, **options(parsed))
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
            raise AccountError(
                "expected a URL as SQLAlchemy has it, such as postgresql+psycopg://user:password@host/name, "
                "and its driver installed"
            ) from None
        if not url:
            os.close(os.open(folder / "accounts.db", os.O_CREAT | os.O_RDWR, 0o600))
        if parsed.get_backend_name() == "sqlite":
            event.listen(self._engine, "connect", prepare_sqlite)
        self._log = log
        self.answers = True  # as far as was last seen

    def create_tables(self) -> None:
        """What is not there yet. Of several processes that start at once, one creates a table, and the others
        fail and look again. Raises Unavailable."""
        for last in [*[False] * (TRIES - 1), True]:
            try:
                Base.metadata.create_all(self._engine)
                with Session(self._engine) as session, session.begin():
                    if session.scalar(select(Change.id)) is None:
                        session.add(Change(id=1, number=0))
                return
            except DBAPIError as error:
                if last:
                    raise Unavailable(kind_of(error)) from None
                time.sleep(0.2)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction. Raises Unavailable, without what was asked, which the library's own error repeats;
        IntegrityError is left to who knows what it means."""
        try:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                yield session
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            if self.answers and self._log is not None:
                self._log.error("the database of accounts does not answer", error=kind_of(error))
            self.answers = False
            raise Unavailable(kind_of(error)) from None
        if not self.answers:
            self.answers = True
            if self._log is not None:
                self._log.warning("the database of accounts answers again")

    def close(self) -> None:
        self._engine.dispose()


def options(url: URL) -> dict:
    """Of an engine: so that a database which has gone, or is silent, costs seconds and not minutes."""
    if url.get_backend_name() == "sqlite":
        return {}
    found: dict = {"pool_pre_ping": True, "pool_timeout": SILENT_SECONDS}
    if url.drivername in ("postgresql+psycopg", "postgresql+psycopg2", "postgresql"):
        told = {
            "connect_timeout": SILENT_SECONDS,
            "tcp_user_timeout": SILENT_SECONDS * 1000,
            "options": f"-c statement_timeout={SILENT_SECONDS}s",
        }
        found["connect_args"] = {name: value for name, value in told.items() if name not in url.query}
    return found


def prepare_sqlite(connection, _) -> None:
    """Readers do not wait for a writer, and writers wait for each other."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def kind_of(error: SQLAlchemyError) -> str:
    return type(getattr(error, "orig", None) or error).__name__
