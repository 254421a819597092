"""The keys that sign tokens, and what is no secret."""

import base64
import hashlib
import hmac
import json
import secrets

import pytest

from apps.service.access.tokens import InvalidToken, SecretError, Tokens, check_secret, encoded


def made(tokens: Tokens) -> str:
    return tokens.make("alice", "user", ["predict"], "epoch")[0]


def test_a_token_of_a_key_that_was_retired_long_ago_is_refused(tmp_path):
    ours = Tokens(None, tmp_path, 900)
    token = made(ours)
    ours.rotate()
    assert ours.read(token).subject == "alice"
    file = tmp_path / "signing_keys.json"
    held = json.loads(file.read_text())
    held["keys"][1]["retired_at"] -= 1000
    file.write_text(json.dumps(held))
    ours.look_again()
    with pytest.raises(InvalidToken):
        ours.read(token)
    assert len(ours.jwks()["keys"]) == 1


def test_a_key_that_another_process_made_just_now_is_known(tmp_path):
    ours, theirs = Tokens(None, tmp_path, 900), Tokens(None, tmp_path, 900)
    theirs.rotate()
    before = ours.version
    assert ours.read(made(theirs)).subject == "alice"
    assert ours.version != before  # so that who is known by the keys of before is looked at anew


def test_of_three_keys_two_are_alive(tmp_path):
    ours = Tokens(None, tmp_path, 900)
    token = made(ours)
    ours.rotate()
    ours.rotate()
    assert len(ours.jwks()["keys"]) == 2
    with pytest.raises(InvalidToken):
        ours.read(token)


def test_a_token_is_written_in_one_way_only(tmp_path):
    """The last letter of a signature has four bits that mean nothing."""
    ours = Tokens(None, tmp_path, 900)
    token = made(ours)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + letters[letters.index(token[-1]) ^ 1]
    assert base64.urlsafe_b64decode(twin.split(".")[2] + "==") == base64.urlsafe_b64decode(
        token.split(".")[2] + "=="
    )
    assert ours.read(token)
    with pytest.raises(InvalidToken):
        ours.read(twin)


def test_no_bit_of_a_token_can_be_flipped(tmp_path):
    ours = Tokens(None, tmp_path, 900)
    token = made(ours)
    for place in range(len(token)):
        for bit in range(7):
            other = token[:place] + chr(ord(token[place]) ^ 1 << bit) + token[place + 1 :]
            with pytest.raises(InvalidToken):
                ours.read(other)


def test_with_a_secret_no_other_key_counts(tmp_path):
    ours = Tokens(secrets.token_hex(32), tmp_path, 900)
    assert ours.read(made(ours)).subject == "alice" and ours.jwks() == {"keys": []}
    for others in (Tokens(secrets.token_hex(32), tmp_path, 900), Tokens(None, tmp_path, 900)):
        with pytest.raises(InvalidToken):
            ours.read(made(others))
    with pytest.raises(SecretError, match="JWT_SECRET"):
        ours.rotate()


@pytest.mark.parametrize("alg", ["HS384", "HS512", "none", "hs256"])
def test_with_a_secret_there_is_one_algorithm(tmp_path, alg):
    secret = secrets.token_hex(64)
    ours = Tokens(secret, tmp_path, 900)
    head = encoded(json.dumps({"alg": alg, "typ": "at+jwt"}).encode())
    signed = f"{head}.{made(ours).split('.')[1]}"
    hashes = {"HS384": hashlib.sha384, "HS512": hashlib.sha512}
    signature = hmac.new(secret.encode(), signed.encode(), hashes.get(alg, hashlib.sha256)).digest()
    with pytest.raises(InvalidToken):
        ours.read(f"{signed}.{encoded(signature)}")


@pytest.mark.parametrize(
    "secret",
    [
        "changeme",
        "secret",
        "0123456789" * 2,
        "a" * 64,
        "ab" * 40,
        "0123456789" * 4,
        "hunter2hunter2!x" * 4,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "qwertyuiopasdfghjklzxcvbnm1234567890",
        "your-256-bit-secret-your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    ],
)
def test_a_weak_secret_stops_the_start_and_is_not_repeated(secret, tmp_path):
    with pytest.raises(SecretError) as refused:
        Tokens(secret, tmp_path, 900)
    assert "JWT_SECRET" in str(refused.value) and secret not in str(refused.value).replace("secrets", "")


def test_a_secret_made_as_the_sentence_says_is_taken():
    for _ in range(200):
        check_secret(secrets.token_hex(32))
        check_secret(secrets.token_urlsafe(32))
