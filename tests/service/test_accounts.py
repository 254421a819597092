"""Accounts in a real database: SQLite, and PostgreSQL where there is one."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from postgres import postgres
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import text

from apps.service.access import accounts as module
from apps.service.access.accounts import Accounts, epoch_of
from apps.service.access.database import AccountError, Unavailable

PASSWORD = "correct horse battery staple"
AT_ONCE = 8


@pytest.fixture(scope="module")
def running():
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path) -> str | None:
    """Of an empty database."""
    if request.param == "sqlite":
        return None
    return request.getfixturevalue("running").database()


@pytest.fixture(scope="module")
def hashed() -> str:
    """PASSWORD, as an account keeps it: hashed once, and not for every test's account."""
    return PasswordHash((Argon2Hasher(),)).hash(PASSWORD)


@pytest.fixture
def accounts(url, tmp_path, hashed, monkeypatch):
    found = Accounts(url, tmp_path)
    found.create_tables()
    with monkeypatch.context() as once:
        once.setattr(found, "_hash", lambda _: hashed)
        found.add("alice", ["predict", "jobs"], password=PASSWORD)
    yield found
    found.close()


def at_once(call) -> list:
    """What several threads get that call at the same time."""
    together = threading.Barrier(AT_ONCE)

    def one(number: int):
        together.wait(20)
        return call(number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [*pool.map(one, range(AT_ONCE))]


def test_servers_that_start_at_once_make_the_tables_once(url, tmp_path):
    servers = [Accounts(url, tmp_path) for _ in range(AT_ONCE)]
    at_once(lambda number: servers[number].create_tables())
    assert [server.changes() for server in servers] == [0] * AT_ONCE
    servers[0].add("alice", ["predict"], password=PASSWORD)
    assert servers[-1].account("alice").scopes == "predict"
    for server in servers:
        server.close()


def test_of_one_refresh_token_used_by_many_at_once_comes_one_and_then_none(accounts):
    token, _ = accounts.begin(accounts.account("alice"), ["predict"], 60)
    new = [found for found in at_once(lambda _: accounts.rotate(token, 60)) if found]
    assert len(new) == 1
    assert accounts.rotate(new[0][0], 60) is None
    assert accounts.good("alice", epoch_of(accounts.account("alice")), new[0][1]) is None


def test_one_token_may_be_revoked_by_many_at_once(accounts):
    before = accounts.changes()
    at_once(lambda _: accounts.revoke("an id", 1e10))
    assert accounts.changes() == before + AT_ONCE


def test_a_refresh_token_gives_what_the_account_still_may(accounts):
    token, family = accounts.begin(accounts.account("alice"), ["predict"], 60)
    new, same, account, scopes = accounts.rotate(token, 60)
    assert (same, account.name, scopes) == (family, "alice", ["predict"])
    accounts.disable("alice")
    assert accounts.rotate(new, 60) is None
    expired, _ = accounts.begin(account, ["predict"], -1)
    assert accounts.rotate(expired, 60) is None


@pytest.mark.parametrize("kind", ["user", "client"])
def test_a_new_password_and_an_account_of_the_same_name_end_what_was_before(accounts, kind):
    accounts.add("ci", ["predict"], kind=kind, password=PASSWORD)
    first = epoch_of(accounts.account("ci"))
    assert accounts.good("ci", first)
    token, _ = accounts.begin(accounts.account("ci"), ["predict"], 60)
    accounts.set_password("ci", PASSWORD)
    second = epoch_of(accounts.account("ci"))
    assert accounts.good("ci", second) and accounts.good("ci", first) is None
    assert accounts.rotate(token, 60) is None
    accounts.remove("ci")
    accounts.add("ci", ["predict"], kind=kind, password=PASSWORD)
    assert accounts.good("ci", second) is None


def test_an_unknown_name_takes_the_same_work_as_a_wrong_password(accounts, monkeypatch):
    verified = []
    real = accounts._hasher.verify
    monkeypatch.setattr(accounts._hasher, "verify", lambda *both: verified.append(both[1]) or real(*both))
    accounts.add("ci", ["predict"], kind="client", password=PASSWORD)
    for name in ("alice", "nobody", "ci", "no name at all!", ""):
        assert accounts.verified(name, "wrong", "user") is None
    assert len(verified) == 5
    parameters = {stored.rpartition("$")[0].rpartition("$")[0] for stored in verified}
    assert len(parameters) == 1  # of argon2: how much memory, how many rounds


def test_no_password_is_that_of_nobody(accounts):
    assert accounts.verified("alice", PASSWORD, "user").name == "alice"
    assert accounts.verified("alice", PASSWORD, "client") is None
    assert accounts.verified("nobody", PASSWORD, "user") is None


def test_two_passwords_are_hashed_at_a_time_and_a_long_one_is_not(accounts, monkeypatch):
    running, most, lock, real = 0, 0, threading.Lock(), accounts._hasher.verify

    def verify(*both):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return real(*both)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(accounts._hasher, "verify", verify)
    at_once(lambda _: accounts.verified("alice", "wrong", "user"))
    assert most == 2
    monkeypatch.setattr(accounts._hasher, "verify", None)  # to call it would fail
    assert accounts.verified("alice", "a" * 1025, "user") is None
    assert accounts.verified("alice", "é" * 513, "user") is None


@pytest.mark.parametrize("password", ["short", "a" * 1025, "é" * 513])
def test_a_password_that_cannot_be_stored_is_refused_without_repeating_it(accounts, password):
    with pytest.raises(AccountError) as refused:
        accounts.set_password("alice", password)
    assert password not in str(refused.value)


def test_a_key_is_its_own_and_no_other(accounts):
    key, stored = accounts.add_key("alice", "a label", ["jobs"])
    assert accounts.key(key)[0].prefix == stored.prefix
    for other in (key[:-1] + ("a" if key[-1] != "a" else "b"), key + "a", key.upper(), stored.digest, "é"):
        assert accounts.key(other) is None
    accounts.disable("alice")
    assert accounts.key(key) is None


def test_an_account_has_so_many_keys_at_most(accounts, monkeypatch):
    monkeypatch.setattr(module, "KEYS_EACH", 2)
    for _ in range(2):
        _, stored = accounts.add_key("alice", "", ["jobs"])
    with pytest.raises(AccountError, match="revoke one first"):
        accounts.add_key("alice", "", ["jobs"])
    accounts.revoke_key(stored.prefix, "alice")
    accounts.add_key("alice", "", ["jobs"])


def test_a_failure_of_the_database_repeats_nothing_of_what_was_asked(accounts):
    with accounts._session() as session:
        session.execute(text("DROP TABLE refresh_tokens"))
    with pytest.raises(Unavailable) as failed:
        accounts.rotate("a-token-nobody-should-read", 60)
    assert failed.value.__cause__ is None and failed.value.__suppress_context__
    assert "token" not in str(failed.value) + str(failed.value.detail)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_the_file_is_its_owners_and_holds_no_secret(tmp_path):
    accounts = Accounts(None, tmp_path)
    accounts.create_tables()
    accounts.add("alice", ["predict"], password=PASSWORD)
    key, _ = accounts.add_key("alice", "", ["predict"])
    token, _ = accounts.begin(accounts.account("alice"), ["predict"], 60)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o77 == 0, path.name
        held = path.read_bytes()
        assert not [secret for secret in (PASSWORD, key, key[12:], token) if secret.encode() in held]
    accounts.close()
