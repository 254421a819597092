"""Users, clients, API keys, refresh tokens, and what was revoked."""

import hashlib
import re
import secrets
import threading
import time
from pathlib import Path

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from apps.service.access.database import (
    Account,
    AccountError,
    ApiKey,
    Change,
    Database,
    RefreshToken,
    Revoked,
)
from apps.service.access.declared import SCOPES

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII).fullmatch
KEY = re.compile(r"sk_([0-9a-f]{8})_[A-Za-z0-9_-]{43}", re.ASCII).fullmatch
MAX_PASSWORD_BYTES = 1024
MIN_PASSWORD = 12
KEYS_EACH = 50  # that an account may have
HASHES_AT_ONCE = threading.BoundedSemaphore(2)  # each takes 64 MB and 50 ms of a core


class Accounts:
    """Everything about accounts, in one database. Any method may wait for it: none is called on an event
    loop. Each raises Unavailable where the database does not answer."""

    def __init__(self, url: str | None, folder: Path, log=None) -> None:
        """As Database. Raises AccountError and OSError."""
        self._database = Database(url, folder, log)
        self._session, self.create_tables = self._database.session, self._database.create_tables
        self.close = self._database.close
        self._hasher = PasswordHash((Argon2Hasher(),))
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    @property
    def answer(self) -> bool:
        """Whether the database did so when it was last asked."""
        return self._database.answers

    def changes(self) -> int:
        """A number that is another one after each change that takes rights away."""
        with self._session() as session:
            return session.scalar(select(Change.number)) or 0

    # --- accounts

    def add(
        self,
        name: str,
        scopes: list[str],
        *,
        kind: str = "user",
        tenant: str = "default",
        password: str | None = None,
    ) -> str:
        """A new account; returns its password, a generated one unless it is given. Raises AccountError."""
        if not NAME(name):
            raise AccountError(
                "expected a name of at most 64 letters, digits and ._@-, a letter or digit first"
            )
        check_scopes(scopes)
        password = password or secrets.token_urlsafe(18)
        account = Account(
            name=name,
            kind=kind,
            password=self._hash(password),
            scopes=" ".join(sorted(set(scopes))),
            tenant=tenant,
            created_at=time.time(),
        )
        try:
            with self._session() as session:
                session.add(account)
        except IntegrityError:
            raise AccountError(f"there is an account {name} already") from None
        return password

    def all(self) -> list[Account]:
        with self._session() as session:
            return [*session.scalars(select(Account).order_by(Account.name))]

    def account(self, name: str) -> Account | None:
        """Who may do something now: None for nobody, and for one that is disabled."""
        with self._session() as session:
            found = session.get(Account, name)
            return None if found is None or found.disabled else found

    def disable(self, name: str, disabled: bool = True) -> None:
        with self._session() as session:
            self._existing(session, name).disabled = disabled
            took_rights(session)

    def set_password(self, name: str, password: str | None = None) -> str:
        """Another password, a generated one unless it is given, which it returns; whoever is signed in with
        the old one is not any more. Raises AccountError."""
        password = password or secrets.token_urlsafe(18)
        hashed = self._hash(password)
        with self._session() as session:
            self._existing(session, name).password = hashed
            self._end_logins(session, name)
        return password

    def remove(self, name: str) -> None:
        """With its keys and refresh tokens."""
        with self._session() as session:
            account = self._existing(session, name)
            self._end_logins(session, name)
            session.execute(delete(ApiKey).where(ApiKey.owner == name))
            session.delete(account)

    def _existing(self, session: Session, name: str) -> Account:
        account = session.get(Account, name)
        if account is None:
            raise AccountError(f"there is no account {name!r}")
        return account

    def _end_logins(self, session: Session, name: str) -> None:
        """Access tokens end by themselves: they name the password that they were given for."""
        session.execute(delete(RefreshToken).where(RefreshToken.owner == name))
        took_rights(session)

    def _hash(self, password: str) -> str:
        if not len(password) >= MIN_PASSWORD or len(password.encode()) > MAX_PASSWORD_BYTES:
            raise AccountError(
                f"expected a password of {MIN_PASSWORD} characters or more, and 1024 bytes at most"
            )
        with HASHES_AT_ONCE:
            return self._hasher.hash(password)

    def verified(self, name: str, password: str, kind: str) -> Account | None:
        """The account that has this name, password and kind. Takes the same time for a wrong password as for
        an unknown name, since the same is done."""
        account = self.account(name) if NAME(name) else None
        stored = account.password if account is not None and account.kind == kind else self._nobody
        if len(password.encode(errors="replace")) > MAX_PASSWORD_BYTES:
            return None
        with HASHES_AT_ONCE:
            right = self._hasher.verify(password, stored)
        return account if right and stored is not self._nobody else None

    # --- API keys

    def add_key(
        self, owner: str, label: str, scopes: list[str], days: float | None = None
    ) -> tuple[str, ApiKey]:
        """A new key as its owner gets to see it, once, and as it is stored. Raises AccountError."""
        check_scopes(scopes)
        if len(label) > 64 or not label.isprintable():
            raise AccountError("expected a label of at most 64 characters that can be printed")
        prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        key, now = f"sk_{prefix}_{secret}", time.time()
        with self._session() as session:
            account = self._existing(session, owner)
            if beyond := sorted(set(scopes) - set(account.scopes.split())):
                raise AccountError(f"expected scopes that {owner} has, without {', '.join(beyond)}")
            kept = len([*session.scalars(select(ApiKey.prefix).where(ApiKey.owner == owner))])
            if kept >= KEYS_EACH:
                raise AccountError(f"expected at most {KEYS_EACH} keys of one account: revoke one first")
            stored = ApiKey(
                prefix=prefix,
                digest=digest(key),
                owner=owner,
                label=label,
                scopes=" ".join(sorted(set(scopes))),
                created_at=now,
                expires_at=None if days is None else now + days * 86400,
            )
            session.add(stored)
        return key, stored

    def keys(self, owner: str | None = None) -> list[ApiKey]:
        wanted = select(ApiKey).order_by(ApiKey.created_at)
        with self._session() as session:
            return [*session.scalars(wanted if owner is None else wanted.where(ApiKey.owner == owner))]

    def revoke_key(self, prefix: str, owner: str | None = None) -> ApiKey | None:
        """The key that was, of `owner` if that is given; None where there is no such."""
        with self._session() as session:
            key = session.get(ApiKey, prefix)
            if key is None or owner not in (None, key.owner):
                return None
            session.delete(key)
            took_rights(session)
            return key

    def key(self, text: str) -> tuple[ApiKey, Account] | None:
        """The key whose text this is, and its owner; None if it is none, has expired, or its owner is
        disabled. It is looked up by its hash, so that the time it takes tells nothing of other keys."""
        if not KEY(text):
            return None
        with self._session() as session:
            key = session.scalar(select(ApiKey).where(ApiKey.digest == digest(text)))
            if key is None or (key.expires_at is not None and key.expires_at <= time.time()):
                return None
            account = session.get(Account, key.owner)
            return None if account is None or account.disabled else (key, account)

    # --- logins

    def begin(self, account: Account, scopes: list[str], seconds: float) -> tuple[str, str]:
        """A refresh token, good for `seconds`, and its family: all that will come of this login."""
        family, token = secrets.token_hex(16), secrets.token_urlsafe(32)
        with self._session() as session:
            session.execute(delete(RefreshToken).where(RefreshToken.expires_at < time.time()))
            session.execute(delete(Revoked).where(Revoked.until < time.time()))
            session.add(refresh_token(token, family, account.name, " ".join(scopes), seconds))
        return token, family

    def rotate(self, token: str, seconds: float) -> tuple[str, str, Account, list[str]] | None:
        """The next refresh token, its family, account and scopes, in exchange for one that was not used yet;
        None for any other. One that is used twice has been stolen, from one side or the other, so nothing of
        its family is good any more. https://www.rfc-editor.org/rfc/rfc9700#section-4.14"""
        with self._session() as session:
            old = session.get(RefreshToken, digest(token))
            if old is None or old.expires_at <= time.time() or session.get(Revoked, old.family):
                return None
            mine = update(RefreshToken).where(RefreshToken.digest == old.digest, RefreshToken.used.is_(False))
            if session.execute(mine.values(used=True)).rowcount != 1:  # by now: of two at once, one gets here
                revoke_family(session, old.family)
                return None
            account = session.get(Account, old.owner)
            if account is None or account.disabled:
                return None
            scopes = [scope for scope in old.scopes.split() if scope in account.scopes.split()]
            new = secrets.token_urlsafe(32)
            session.add(refresh_token(new, old.family, old.owner, old.scopes, seconds))
            return new, old.family, account, scopes

    def revoke_refresh(self, token: str) -> bool:
        """End all that came of the login that gave this refresh token. Whether there was one."""
        with self._session() as session:
            found = session.get(RefreshToken, digest(token))
            if found is None:
                return False
            revoke_family(session, found.family)
            return True

    def revoke(self, id: str, until: float) -> None:
        """An access token, by its id, which expires at `until`."""
        with self._session() as session:
            took_rights(session)  # first: others that revoke wait here
            session.merge(Revoked(id=id, until=until))

    def good(self, name: str, epoch: str, *ids: str) -> Account | None:
        """The account, if it may be used, is in that epoch, and none of the ids has been revoked."""
        with self._session() as session:
            if session.scalar(select(Revoked.id).where(Revoked.id.in_(ids)).limit(1)):
                return None
            found = session.get(Account, name)
            return None if found is None or found.disabled or epoch_of(found) != epoch else found


def took_rights(session: Session) -> None:
    session.execute(update(Change).values(number=Change.number + 1))


def revoke_family(session: Session, family: str) -> None:
    took_rights(session)  # first: others that revoke wait here
    until = max(
        session.scalars(select(RefreshToken.expires_at).where(RefreshToken.family == family)), default=0
    )
    session.merge(Revoked(id=family, until=max(until, time.time() + 86400)))


def refresh_token(token: str, family: str, owner: str, scopes: str, seconds: float) -> RefreshToken:
    return RefreshToken(
        digest=digest(token), family=family, owner=owner, scopes=scopes, expires_at=time.time() + seconds
    )


def epoch_of(account: Account) -> str:
    """The time between one password of an account and the next; tokens name it, and end with it."""
    return digest(account.password)[:16]


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def check_scopes(scopes: list[str]) -> None:
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise AccountError(f"expected scopes among {', '.join(SCOPES)}; {len(unknown)} of these are not")
    if not scopes:
        raise AccountError(f"expected one scope or more, of {', '.join(SCOPES)}")
