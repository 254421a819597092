"""The database of accounts: a SQLite file, or another by URL.

Nothing secret is in it as it is: passwords are argon2 hashes; keys and refresh tokens, which are random and
long, are SHA-256. https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html"""

from pathlib import Path

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from apps.service import databases
from apps.service.problems import Problem


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


class Database(databases.Database):
    def __init__(self, url: str | None, folder: Path, log=None) -> None:
        """`url` as SQLAlchemy has it; without one, a SQLite file in `folder`. Raises AccountError for a URL
        that is none, OSError for a folder that cannot be used."""
        try:
            super().__init__(url, folder / "accounts.db", "accounts", Unavailable, log)
        except databases.DatabaseError as error:
            raise AccountError(str(error)) from None

    def create_tables(self) -> None:
        """What is not there yet. Raises Unavailable."""
        self.create(Base, first_change)


def first_change(session: Session) -> None:
    if session.scalar(select(Change.id)) is None:
        session.add(Change(id=1, number=0))
