"""Access tokens: JSON Web Tokens of RFC 9068, signed with a key that is generated, or with JWT_SECRET.

What a decoder accepts by itself is more than a server should. https://www.rfc-editor.org/rfc/rfc8725"""

import base64
import json
import os
import re
import secrets
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = AUDIENCE = "servelab"
TYPE = "at+jwt"  # RFC 9068, section 2.1: an access token, and no other kind
REQUIRED = ["exp", "iat", "sub", "aud", "iss", "jti"]
LEEWAY_SECONDS = 5  # between the clocks of two machines
MAX_BYTES = 4096
SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII).fullmatch
MIN_SECRET_BYTES = 32  # RFC 7518, section 3.2: as long as the hash
SAMPLES = ("secret", "change", "passw", "example", "your", "default", "sample", "qwerty", "placeholder")
SAMPLES += ("09d25e094faa6ca2", "aym1sysppbydfgzl")  # FastAPI's tutorial, RFC 7515


class SecretError(ValueError):
    """JWT_SECRET, or the file of keys, cannot be used. The message does not repeat it."""


class InvalidToken(Exception):
    """Not a token of ours that is good now."""


@dataclass(frozen=True, slots=True)
class Claims:
    subject: str  # the account's name
    kind: str  # "user" or "client"
    scopes: tuple[str, ...]
    epoch: str  # of the account: as long as it has this password
    id: str
    family: str  # of what one login gave; "" for a client's
    expires_at: int


class Tokens:
    """Makes and reads them."""

    def __init__(self, secret: str | None, folder: Path, seconds: int) -> None:
        """`seconds`: how long one is good. Raises SecretError."""
        self._seconds = seconds
        self._file = folder / "signing_keys.json"
        self._secret = secret and check_secret(secret)
        self._algorithm = "HS256" if secret else "EdDSA"
        self._seen: tuple = ()
        self._keys: list[dict[str, Any]] = []  # the first signs
        if not secret:
            self._create()
            self.look_again()

    def make(
        self, subject: str, kind: str, scopes: list[str], epoch: str, family: str = ""
    ) -> tuple[str, int]:
        """A token, and the seconds it is good for."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "kind": kind,
            "scope": " ".join(scopes),
            "epoch": epoch,
            "iat": now,
            "exp": now + self._seconds,
            "jti": secrets.token_hex(16),
            **({"sid": family} if family else {}),
        }
        header = {"typ": TYPE}
        if self._secret:
            key = self._secret
        else:
            header["kid"], key = self._keys[0]["kid"], private(self._keys[0])
        return jwt.encode(claims, key, algorithm=self._algorithm, headers=header), self._seconds

    def read(self, token: str) -> Claims:
        """What a token says. Raises InvalidToken, without a reason that would help to guess one."""
        if len(token) > MAX_BYTES or not SHAPE(token):
            raise InvalidToken
        try:
            header_text, payload, _ = parts = [decoded(part) for part in token.split(".")]
            if ".".join(map(encoded, parts)) != token:
                raise InvalidToken  # the same token, written in another way
            header = json.loads(header_text, object_pairs_hook=once)
            if header.get("typ") != TYPE or header.get("alg") != self._algorithm or "crit" in header:
                raise InvalidToken
            claims = jwt.decode(
                token,
                self._key_of(header.get("kid")),
                algorithms=[self._algorithm],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED, "enforce_minimum_key_length": True},
            )
            json.loads(payload, object_pairs_hook=once)
            return self._claims(claims)
        except (
            jwt.PyJWTError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            RecursionError,
            OverflowError,
        ):
            raise InvalidToken from None

    def _claims(self, claims: dict[str, Any]) -> Claims:
        for name in ("exp", "iat", "nbf"):
            if type(claims.get(name, 0)) is not int:
                raise InvalidToken
        lasts = claims["exp"] - claims["iat"]
        if not 0 < lasts <= self._seconds or claims["exp"] <= time.time():
            raise InvalidToken
        texts = [claims.get(name) for name in ("sub", "kind", "scope", "epoch", "jti")]
        texts.append(claims.get("sid", ""))
        if not all(isinstance(text, str) for text in texts):
            raise InvalidToken
        subject, kind, scope, epoch, id, family = texts
        return Claims(subject, kind, tuple(scope.split()), epoch, id, family, claims["exp"])

    # --- keys

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys that tokens are checked with, RFC 7517; none where a secret signs."""
        common = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA"}
        return {"keys": [{**common, "kid": key["kid"], "x": public(key)} for key in self._alive()]}

    def rotate(self) -> str:
        """A new key signs from now on, and the one before it is good until its last token has expired: then
        two are alive, and older ones are forgotten. Returns the new key's id. Raises SecretError where tokens
        are signed with JWT_SECRET."""
        if self._secret:
            raise SecretError("JWT_SECRET: it signs the tokens; set another to change it")
        self.look_again()
        retired = {**self._keys[0], "retired_at": int(time.time())}
        self._write([new_key(), retired], replace=True)
        self.look_again()
        return self._keys[0]["kid"]

    @property
    def version(self) -> tuple:
        """Another one where the keys are others."""
        return self._seen

    def look_again(self) -> bool:
        """Read the file of keys if it is another one than before; whether it was. Raises SecretError."""
        if self._secret:
            return False
        try:
            stat = self._file.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._seen:
                return False
            keys = json.loads(self._file.read_text(encoding="utf-8"))["keys"]
            for key in keys:
                private(key), key["kid"]
            if not keys:
                raise ValueError
        except OSError as error:
            raise SecretError(f"ACCESS_PATH: {self._file} cannot be read ({error.strerror})") from None
        except (ValueError, KeyError, TypeError):
            raise SecretError(
                f"ACCESS_PATH: {self._file} does not hold signing keys; remove it to have new ones"
            ) from None
        self._keys, self._seen = keys, seen
        return True

    def _alive(self) -> list[dict[str, Any]]:
        oldest = time.time() - self._seconds - LEEWAY_SECONDS
        return [key for key in self._keys if key.get("retired_at", oldest + 1) > oldest]

    def _key_of(self, kid: Any):
        if self._secret:
            return self._secret
        known = {key["kid"]: key for key in self._alive()}
        if kid not in known and self.look_again():  # another process may have rotated them a moment ago
            known = {key["kid"]: key for key in self._alive()}
        return private(known[kid]).public_key()

    def _create(self) -> None:
        """Keys, where there are none yet. Of two servers that start at once, one is first."""
        if not self._file.exists():
            self._write([new_key()], replace=False)

    def _write(self, keys: list[dict[str, Any]], replace: bool) -> None:
        draft = self._file.with_name(f"{self._file.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({"keys": keys}, file)
            if replace:
                draft.replace(self._file)
            else:
                try:
                    os.link(draft, self._file)
                except FileExistsError:
                    pass
                except OSError:  # a file system without hard links
                    draft.replace(self._file)
        except OSError as error:
            raise SecretError(f"ACCESS_PATH: {self._file} cannot be written ({error.strerror})") from None
        finally:
            draft.unlink(missing_ok=True)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses a name that stands twice: which of the two would another reader take?"""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def check_secret(secret: str) -> str:
    """Raises SecretError for one that somebody could guess."""
    generate = "python -c 'import secrets; print(secrets.token_hex(32))'"
    advice = f"unset it to have keys generated, or make one: {generate}"
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise SecretError(f"JWT_SECRET: expected {MIN_SECRET_BYTES} bytes or more; {advice}")
    steps = {later - earlier for earlier, later in pairwise(secret.encode())}
    repeats = secret in (secret + secret)[1:-1]
    if min(len(set(secret)), len(steps)) < 10 or repeats or any(one in secret.lower() for one in SAMPLES):
        raise SecretError(f"JWT_SECRET: expected a random one, and this looks like a sample; {advice}")
    return secret


def new_key() -> dict[str, Any]:
    key = Ed25519PrivateKey.generate()
    return {
        "kid": secrets.token_hex(8),
        "d": encoded(key.private_bytes_raw()),
        "created_at": int(time.time()),
    }


def private(key: dict[str, Any]) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(decoded(key["d"]))


def public(key: dict[str, Any]) -> str:
    return encoded(private(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
