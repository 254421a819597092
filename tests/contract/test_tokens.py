"""Access tokens that are none: each is refused by both servers with 401 and invalid_token, and says nothing
of why. What the libraries take by themselves is more: https://www.rfc-editor.org/rfc/rfc8725"""

import json
import string
import time

import httpx
import jwt
import pytest
from credentials import Guarded, bearer, encoded, predict
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.service.access import tokens


def claims_of(guarded: Guarded) -> dict:
    return jwt.decode(guarded.make(), options={"verify_signature": False})


def header(**fields) -> str:
    return encoded(json.dumps({"typ": "at+jwt", **fields}).encode())


def unsigned(guarded: Guarded, alg: str) -> str:
    return f"{header(alg=alg)}.{encoded(json.dumps(claims_of(guarded)).encode())}."


def public_key(guarded: Guarded, encoding: Encoding, format: PublicFormat) -> bytes:
    key = json.loads((guarded.folder / "signing_keys.json").read_text())["keys"][0]
    return tokens.private(key).public_key().public_bytes(encoding, format)


def hmac(guarded: Guarded, secret: bytes, alg: str = "HS256") -> str:
    """Signed with a secret that everybody knows: the servers' public key, in one of its forms."""
    import hashlib
    import hmac

    kid = json.loads((guarded.folder / "signing_keys.json").read_text())["keys"][0]["kid"]
    signed = f"{header(alg=alg, kid=kid)}.{encoded(json.dumps(claims_of(guarded)).encode())}"
    digest = hashlib.sha256 if alg == "HS256" else hashlib.sha512
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), digest).digest())}"


def flipped(guarded: Guarded, part: int) -> str:
    parts = guarded.make().split(".")
    middle = len(parts[part]) // 2
    letter = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + letter + parts[part][middle + 1 :]
    return ".".join(parts)


def twin(token: str) -> str:
    """The same bytes: the last letter of a signature has four bits that mean nothing."""
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    return token[:-1] + letters[letters.index(token[-1]) ^ 1]


def rs256(guarded: Guarded) -> str:
    key = rsa.generate_private_key(65537, 2048)
    return jwt.encode(claims_of(guarded), key, "RS256", headers={"typ": "at+jwt"})


def twice(guarded: Guarded) -> str:
    text = json.dumps(claims_of(guarded))
    return guarded.sign(text.replace('"sub": "alice"', '"sub": "only-jobs", "sub": "alice"').encode())


JWKS = "/.well-known/jwks.json"


def now() -> int:
    """When it is asked, and not when the tests were collected, which may be long ago."""
    return int(time.time())


TOKENS = {
    "alg-none": lambda g: unsigned(g, "none"),
    "alg-nOnE": lambda g: unsigned(g, "nOnE"),
    "alg-None-with-signature": lambda g: unsigned(g, "None") + "AAAA",
    "alg-missing": lambda g: f"{header()}.{encoded(b'{}')}.AAAA",
    "public-key-as-secret-pem": lambda g: hmac(
        g, public_key(g, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ),
    "public-key-as-secret-der": lambda g: hmac(
        g, public_key(g, Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ),
    "public-key-as-secret-raw": lambda g: hmac(g, public_key(g, Encoding.Raw, PublicFormat.Raw)),
    "public-key-as-secret-ssh": lambda g: hmac(g, public_key(g, Encoding.OpenSSH, PublicFormat.OpenSSH)),
    "public-key-as-secret-jwk": lambda g: hmac(g, httpx.get(f"{g.servers['flask'].url}{JWKS}").content),
    "alg-hs512": lambda g: hmac(g, b"a" * 64, "HS512"),
    "alg-rs256-own-key": rs256,
    "own-key-in-header": lambda g: g.sign(claims_of(g), jwk={"kty": "oct", "k": "AAAA"}, kid="other"),
    "flipped-header": lambda g: flipped(g, 0),
    "flipped-payload": lambda g: flipped(g, 1),
    "flipped-signature": lambda g: flipped(g, 2),
    "written-in-another-way": lambda g: twin(g.make()),
    "no-signature": lambda g: g.make().rpartition(".")[0] + ".",
    "two-parts": lambda g: g.make().rpartition(".")[0],
    "no-exp": lambda g: g.make(exp=None),
    "no-iat": lambda g: g.make(iat=None),
    "no-sub": lambda g: g.make(sub=None),
    "no-aud": lambda g: g.make(aud=None),
    "no-iss": lambda g: g.make(iss=None),
    "no-jti": lambda g: g.make(jti=None),
    "expired": lambda g: g.make(iat=now() - 1000, exp=now() - 100),
    "exp-as-text": lambda g: g.make(exp=str(now() + 600)),
    "exp-as-fraction": lambda g: g.make(exp=now() + 600.5),
    "exp-true": lambda g: g.make(exp=True),
    "exp-400-digits": lambda g: g.make(exp=10**400),
    "exp-infinite": lambda g: g.sign(json.dumps(claims_of(g) | {"exp": float("inf")}).encode()),
    "exp-in-a-year": lambda g: g.make(exp=now() + 365 * 86400),
    "iat-in-the-future": lambda g: g.make(iat=now() + 600, exp=now() + 1200),
    "nbf-in-the-future": lambda g: g.make(nbf=now() + 600),
    "other-audience": lambda g: g.make(aud="another"),
    "other-issuer": lambda g: g.make(iss="another"),
    "subject-a-number": lambda g: g.make(sub=1),
    "subject-unknown": lambda g: g.make(sub="nobody-of-that-name"),
    "scope-a-list": lambda g: g.make(scope=["predict"]),
    "claims-twice": twice,
    "payload-deep": lambda g: g.sign(b"[" * 5_000 + b"]" * 5_000),
    "payload-deep-short": lambda g: g.sign(b'{"a":' * 450 + b"1" + b"}" * 450),
    "payload-a-list": lambda g: g.sign(b"[]"),
    "payload-not-utf8": lambda g: g.sign(b"\xff\xfe"),
    "refresh-as-access": lambda g: g.token(g.servers["fastapi"])["refresh_token"],
    "typ-refresh": lambda g: g.sign(claims_of(g), typ="refresh"),
    "typ-jwt": lambda g: g.sign(claims_of(g), typ="JWT"),
    "crit": lambda g: g.sign(claims_of(g), crit=["x"], x=1),
    "kid-unknown": lambda g: g.sign(claims_of(g), kid="other"),
    "kid-a-path": lambda g: g.sign(claims_of(g), kid="../../etc/passwd"),
    "kid-a-list": lambda g: g.sign(claims_of(g), kid=[]),
    "two-words": lambda g: g.make() + " y",
    "dots": lambda g: "..",
    "long": lambda g: "a" * 5000 + ".b.c",
}


@pytest.mark.parametrize("case", TOKENS)
def test_what_is_no_token_is_refused(case, guarded):
    token = TOKENS[case](guarded)
    for server in guarded.servers.values():
        answer = predict(server, bearer(token))
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
        assert answer.json()["detail"] == "expected credentials that are valid"


@pytest.mark.parametrize("header", ["Basic eDp5", "Bearer", "Token abc", "é.é.é", "Bearer é.é.é"])
def test_what_is_no_bearer_is_refused(header, guarded):
    for server in guarded.servers.values():
        answer = predict(server, {"Authorization": header.encode("latin-1")})
        assert answer.status_code == 401
        assert "WWW-Authenticate" in answer.headers


def test_what_the_harness_makes_is_taken_where_nothing_is_wrong(guarded):
    for server in guarded.servers.values():
        assert predict(server, bearer(guarded.make())).status_code == 200
        assert predict(server, bearer(guarded.make(nbf=now() - 10))).status_code == 200
