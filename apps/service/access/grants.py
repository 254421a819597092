"""What a token is given for: RFC 6749's grants, and RFC 7009's revocation. And keys, for their owners."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from pydantic import BaseModel, ConfigDict, Field

from apps.service.access.accounts import Accounts, epoch_of
from apps.service.access.callers import Caller
from apps.service.access.database import Account, AccountError, ApiKey
from apps.service.access.tokens import InvalidToken, Tokens
from apps.service.problems import Problem

FORM = "application/x-www-form-urlencoded"
FIELDS = 20  # of a form, at most
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749, section 5.1


def form_body(*required: str, **fields: str) -> dict:
    """A form, for OpenAPI: its fields with what they mean."""
    properties = {name: {"type": "string", "description": meaning} for name, meaning in fields.items()}
    schema = {"type": "object", "properties": properties, **({"required": [*required]} if required else {})}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}


TOKEN_FORM = form_body(
    grant_type="`password`, `client_credentials` or `refresh_token`; left out beside a username: `password`",
    username="a user's name",
    password="and password",
    client_id="a client's name, where it does not come with HTTP Basic",
    client_secret="and secret",
    refresh_token="one that was not used before",
    scope="some of the account's scopes, with spaces between; all if left out",
)
REVOKE_FORM = form_body("token", token="an access token, or a refresh token with all that came of its login")


class TokenAnswer(BaseModel):
    """RFC 6749, section 5.1."""

    access_token: str
    token_type: str = "Bearer"
    expires_in: int = Field(description="seconds")
    refresh_token: str | None = None
    scope: str = Field(description="scopes, with spaces between")


class RevokeAnswer(BaseModel):
    """RFC 7009, section 2.2: that the token is worthless now, or always was, is all there is to tell."""


class JsonWebKey(BaseModel):
    """RFC 8037: a public key of Ed25519."""

    kty: str
    crv: str
    use: str
    alg: str
    kid: str
    x: str


class JsonWebKeys(BaseModel):
    """RFC 7517."""

    keys: list[JsonWebKey]


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid", strict=True)

    label: str = Field(max_length=64)
    scopes: list[str] = Field(max_length=10)
    expires_in_days: float | None = Field(None, gt=0, le=3650, allow_inf_nan=False)


class KeyAnswer(BaseModel):
    """A key without its secret."""

    prefix: str
    label: str
    scopes: list[str]
    created_at: float
    expires_at: float | None = None


class NewKey(KeyAnswer):
    """A key as it is shown once."""

    key: str


class KeyList(BaseModel):
    keys: list[KeyAnswer]


@dataclass(frozen=True)
class Form:
    """The form of a request for a token, who sent it from where, and its header Authorization."""

    fields: dict[str, str]
    authorization: str
    address: str


def form(context) -> Form:
    """Read a request's form. Raises Problem (400, 415); RFC 6749 wants each field once, and UTF-8."""
    if context.content_type.partition(";")[0].strip().lower() != FORM or context.content_encoding:
        raise Problem("unsupported-media-type", f"expected the header Content-Type: {FORM}")
    try:
        pairs = parse_qsl(
            context.body.decode(), keep_blank_values=True, strict_parsing=bool(context.body), errors="strict",
            max_num_fields=FIELDS,
        )  # fmt: skip
    except ValueError:
        raise refused("invalid_request", "expected a form in UTF-8, with few fields") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise refused("invalid_request", "expected each field once")
    return Form(
        {name: value for name, value in fields.items() if value},
        context.header("authorization"),
        context.address,
    )


def refused(error: str, description: str) -> Problem:
    """RFC 6749, section 5.2, as a problem."""
    return Problem("token-refused", description, error=error, error_description=description)


def not_verified(error: str, description: str, challenge: str = 'Bearer realm="servelab"') -> Problem:
    headers = [("WWW-Authenticate", challenge)]
    return Problem("unauthorized", description, headers, error=error, error_description=description)


class Grants:
    def __init__(self, accounts: Accounts, tokens: Tokens, logins, refresh_seconds: int, log) -> None:
        self._accounts, self._tokens, self._logins, self._log = accounts, tokens, logins, log
        self._refresh_seconds = refresh_seconds
        self.took_rights: Callable[[], None] = lambda: None  # told at once, others find out

    def token(self, form: Form) -> TokenAnswer:
        """A token for a password, a client's secret or a refresh token. Raises Problem."""
        grant = form.fields.get("grant_type") or ("password" if "username" in form.fields else "")
        if not grant:
            raise refused("invalid_request", "expected the field grant_type")
        if grant == "password":
            return self._password(form)
        if grant == "client_credentials":
            return self._client(form)
        if grant == "refresh_token":
            return self._refresh(form)
        raise refused(
            "unsupported_grant_type", "expected grant_type password, client_credentials or refresh_token"
        )

    def _password(self, form: Form) -> TokenAnswer:
        name, password = form.fields.get("username", ""), form.fields.get("password", "")
        if not name or not password:
            raise refused("invalid_request", "expected the fields username and password")
        account = self._verified(name, password, "user", form.address)
        if account is None:
            raise not_verified("invalid_grant", "expected a name and its password")
        scopes = asked_for(form, account.scopes.split())
        refresh, family = self._accounts.begin(account, scopes, self._refresh_seconds)
        return self._answer(account, scopes, family, refresh)

    def _client(self, form: Form) -> TokenAnswer:
        name, secret = client_of(form)
        challenge = 'Basic realm="servelab"' if form.authorization else 'Bearer realm="servelab"'
        account = self._verified(name, secret, "client", form.address) if name and secret else None
        if account is None:
            raise not_verified("invalid_client", "expected a client's id and its secret", challenge)
        return self._answer(account, asked_for(form, account.scopes.split()))

    def _refresh(self, form: Form) -> TokenAnswer:
        token = form.fields.get("refresh_token", "")
        if not token:
            raise refused("invalid_request", "expected the field refresh_token")
        self._logins.attempt("", form.address)
        found = self._accounts.rotate(token, self._refresh_seconds)
        if found is None:
            self.took_rights()
            self._log.warning("refresh token refused")
            raise refused("invalid_grant", "expected a refresh token that is good, and was not used before")
        self._logins.succeeded("", form.address)
        refresh, family, account, scopes = found
        return self._answer(account, asked_for(form, scopes), family, refresh)

    def _verified(self, name: str, password: str, kind: str, address: str) -> Account | None:
        self._logins.attempt(name, address)
        account = self._accounts.verified(name, password, kind)
        if account is None:
            self._log.warning("login refused")  # without the name: people type passwords into its field
        else:
            self._logins.succeeded(name, address)
        return account

    def _answer(self, account: Account, scopes: list[str], family: str = "", refresh: str | None = None):
        token, seconds = self._tokens.make(account.name, account.kind, scopes, epoch_of(account), family)
        self._log.info("token given", subject=f"{account.kind}:{account.name}")
        return TokenAnswer(
            access_token=token, expires_in=seconds, refresh_token=refresh, scope=" ".join(scopes)
        )

    def revoke(self, form: Form) -> None:
        """RFC 7009: a token of either kind; one that is not good is as good as revoked."""
        token = form.fields.get("token", "")
        if not token:
            raise refused("invalid_request", "expected the field token")
        try:
            claims = self._tokens.read(token)
        except InvalidToken:
            if self._accounts.revoke_refresh(token):
                self.took_rights()
                self._log.info("token revoked")
            return
        self._accounts.revoke(claims.id, claims.expires_at)
        self.took_rights()
        self._log.info("token revoked", subject=f"{claims.kind}:{claims.subject}")

    # --- keys

    def keys(self, caller: Caller) -> KeyList:
        return KeyList(keys=[told(key) for key in self._accounts.keys(caller.name)])

    def add_key(self, caller: Caller, asked: KeyRequest) -> NewKey:
        """Raises Problem: 400 for what cannot be, 403 for a caller that is itself a key."""
        owner = person(caller)
        if set(asked.scopes) - caller.scopes:
            raise Problem("invalid-input", f"expected scopes among yours: {', '.join(sorted(caller.scopes))}")
        try:
            key, stored = self._accounts.add_key(owner, asked.label, asked.scopes, asked.expires_in_days)
        except AccountError as error:
            raise Problem("invalid-input", str(error)) from None
        self._log.info("key made", subject=caller.subject, prefix=stored.prefix)
        return NewKey(key=key, **told(stored).model_dump())

    def revoke_key(self, caller: Caller, prefix: str) -> KeyAnswer:
        """Raises Problem: 404 where the caller has no such key."""
        key = self._accounts.revoke_key(prefix, person(caller))
        if key is None:
            raise Problem("not-found", "expected the prefix of one of your keys")
        self.took_rights()
        self._log.info("key revoked", subject=caller.subject, prefix=key.prefix)
        return told(key)


def person(caller: Caller) -> str:
    if not caller.subject.startswith(("user:", "client:")):
        raise Problem("forbidden", "expected an access token: a key makes and revokes no keys")
    return caller.name


def told(key: ApiKey) -> KeyAnswer:
    return KeyAnswer(
        prefix=key.prefix,
        label=key.label,
        scopes=key.scopes.split(),
        created_at=key.created_at,
        expires_at=key.expires_at,
    )


def asked_for(form: Form, scopes: list[str]) -> list[str]:
    """The scopes of a form, or all of `scopes`. Raises Problem for one that is not among them."""
    asked = form.fields.get("scope", "").split()
    if set(asked) - set(scopes):
        raise refused("invalid_scope", "expected scopes that the account has")
    return sorted(set(asked) or set(scopes))


def client_of(form: Form) -> tuple[str, str]:
    """A client's id and secret: from the header (RFC 6749, section 2.3.1) or the form, not from both."""
    fields, (scheme, _, text) = form.fields, form.authorization.partition(" ")
    if scheme.lower() != "basic":
        return fields.get("client_id", ""), fields.get("client_secret", "")
    if "client_secret" in fields:
        raise refused("invalid_request", "expected the client's secret once")
    try:
        name, _, secret = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote_plus(name), unquote_plus(secret)
