"""Who sends a request: from an access token or an API key to a Caller.

What has been looked up once is kept until something is revoked, which every process looks for each second; so
a request with credentials that are known costs a look into a dict."""

import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from apps.service.access.accounts import Accounts
from apps.service.access.callers import Caller
from apps.service.access.database import AccountError, Unavailable
from apps.service.access.grants import Grants
from apps.service.access.logins import Logins
from apps.service.access.tokens import InvalidToken, SecretError, Tokens
from apps.service.problems import Problem
from apps.service.settings import SettingsError

LOOK_SECONDS = 1.0
MAX_KNOWN = 10_000
CHALLENGE = 'Bearer realm="servelab", error="invalid_token"'


class Me(BaseModel):
    """Who a caller is, and may do."""

    subject: str
    kind: str
    name: str
    tenant: str
    scopes: list[str]
    expires_at: float | None = None
    limits: list[dict] = []
    parallel: dict | None = None
    quota: dict | None = None
    tokens: list[dict] | None = None


class Identity:
    def __init__(self, settings, log, logins: Logins) -> None:
        """Raises SettingsError for a secret that is weak, and for files or a database that cannot be used."""
        self._log = log
        folder = Path(settings.access_path)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.tokens = Tokens(settings.jwt_secret, folder, settings.token_seconds)
            self.accounts = Accounts(settings.database_url, folder, log)
            self.accounts.create_tables()
        except SecretError as error:
            raise SettingsError(str(error)) from None
        except AccountError as error:
            raise SettingsError(f"DATABASE_URL: {error}") from None
        except OSError as error:
            raise SettingsError(f"ACCESS_PATH: {folder} cannot be used ({error.strerror})") from None
        except Unavailable as error:
            name = "DATABASE_URL" if settings.database_url else "ACCESS_PATH"
            raise SettingsError(f"{name}: the database cannot be used ({error.error})") from None
        self.grants = Grants(self.accounts, self.tokens, logins, settings.refresh_seconds, log)
        self.grants.took_rights = self.look_for_changes
        self._known: dict[tuple[str, str], Caller] = {}
        self._seen: tuple = ()  # how many changes, and which keys
        self._unread = False  # whether the file of keys is not what it was
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._look, name="access", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(LOOK_SECONDS)
        self.accounts.close()

    def _look(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self.look_for_changes()

    def look_for_changes(self) -> None:
        """Forget who is known where something was revoked, here or by another process."""
        try:
            self.tokens.look_again()
            self._unread = False
        except SecretError as error:
            if not self._unread:
                self._log.error("signing keys cannot be read", reason=str(error))
            self._unread = True
        with suppress(Unavailable):  # which has been logged
            seen = self.accounts.changes(), self.tokens.version
            if seen != self._seen:
                self._seen, self._known = seen, {}

    @property
    def stale(self) -> bool:
        """Whether the database does not answer, so that what was revoked since is not known."""
        return not self.accounts.answer

    def identify(self, authorization: str, api_key: str, wait: bool) -> Caller | None:
        """The caller, from the headers Authorization and X-API-Key, "" for none. Raises Problem:
        401 unless each that is there is valid, 503 where that cannot be found out now. Returns None where a
        database has to be asked and `wait` is False."""
        known = self._known
        caller = known.get((authorization, api_key))
        if caller is not None and (caller.expires_at is None or caller.expires_at > time.time()):
            return caller
        if not wait:
            return None
        found = []
        if authorization:
            found.append(self._by_token(authorization))
        if api_key:
            found.append(self._by_key(api_key))
        caller = replace(
            found[0], expires_at=min(filter(None, [one.expires_at for one in found]), default=None)
        )
        if not self.stale:
            if len(known) >= MAX_KNOWN:
                known.clear()
            known[authorization, api_key] = caller
        return caller

    def _by_token(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise invalid()
        try:
            claims = self.tokens.read(token.strip())
        except InvalidToken:
            raise invalid() from None
        scopes, tenant = frozenset(claims.scopes), "default"
        with suppress(Unavailable):  # its signature and its time are good, and it will soon expire
            if not self.stale:
                account = self.accounts.good(claims.subject, claims.epoch, claims.id, claims.family)
                if account is None:
                    raise invalid()
                scopes, tenant = scopes & {*account.scopes.split()}, account.tenant
        return Caller(
            f"{claims.kind}:{claims.subject}", scopes, tenant, claims.id, claims.subject, claims.expires_at
        )

    def _by_key(self, text: str) -> Caller:
        if self.stale:
            raise Unavailable("stale")
        found = self.accounts.key(text)
        if found is None:
            raise invalid()
        key, account = found
        scopes = frozenset(key.scopes.split()) & {*account.scopes.split()}
        subject = f"key:sk_{key.prefix}"
        return Caller(subject, scopes, account.tenant, key.prefix, account.name, key.expires_at)

    def me(self, caller: Caller) -> Me:
        kind = caller.subject.partition(":")[0]
        return Me(
            subject=caller.subject,
            kind=kind,
            name=caller.name,
            tenant=caller.tenant,
            scopes=sorted(caller.scopes),
            expires_at=caller.expires_at,
        )


def invalid() -> Problem:
    return Problem("unauthorized", "expected credentials that are valid", [("WWW-Authenticate", CHALLENGE)])
