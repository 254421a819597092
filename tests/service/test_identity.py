"""Who is known while the database of accounts is away, and when it is back."""

from types import SimpleNamespace

import pytest
from sqlalchemy import text

from apps.service.access.declared import Declared, together
from apps.service.access.gate import Gate
from apps.service.access.identity import Identity
from apps.service.problems import Problem
from apps.service.settings import Settings

PASSWORD = "correct horse battery staple"


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __getattr__(self, level: str):
        return lambda event, **fields: self.lines.append(f"{level}: {event} {fields}")


@pytest.fixture
def identity(tmp_path):
    found = Identity(Settings(access_path=tmp_path), Log(), logins=None)
    found.accounts.add("alice", ["predict", "admin"], password=PASSWORD)
    found.look_for_changes()
    yield found
    found.close()


def bearer(identity: Identity) -> str:
    account = identity.accounts.account("alice")
    return "Bearer " + identity.grants._answer(account, ["predict", "admin"]).access_token


def break_database(identity: Identity, away: bool) -> None:
    """A fault of a real database: a table of it is not there."""
    old, new = ("accounts", "away") if away else ("away", "accounts")
    with identity.accounts._database._engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
        if away:
            connection.execute(text("ALTER TABLE changes RENAME TO changes_away"))
        else:
            connection.execute(text("ALTER TABLE changes_away RENAME TO changes"))


def refused(call) -> int:
    with pytest.raises(Problem) as problem:
        call()
    return problem.value.status


def test_without_a_database_tokens_go_on_for_predictions_and_nothing_else(identity):
    known, verifiable = bearer(identity), bearer(identity)
    key, _ = identity.accounts.add_key("alice", "", ["predict"])
    known_key, _ = identity.accounts.add_key("alice", "", ["predict"])
    for authorization, text_ in ((known, ""), ("", known_key)):
        assert identity.identify(authorization, text_, wait=True).name == "alice"
        assert identity.identify(authorization, text_, wait=False).name == "alice"
    assert identity.identify(verifiable, "", wait=False) is None

    break_database(identity, away=True)
    identity.look_for_changes()
    assert identity.stale
    assert identity.identify(known, "", wait=False).name == "alice"
    assert identity.identify("", known_key, wait=False).name == "alice"
    assert identity.identify(verifiable, "", wait=True).scopes == {"predict", "admin"}
    assert refused(lambda: identity.identify("", key, wait=True)) == 503
    assert refused(lambda: identity.identify("Bearer a.b.c", "", wait=True)) == 401

    gate = Gate(Settings(), identity._log, identity, None, None)
    asked = SimpleNamespace(
        caller=None,
        counted="",
        peer="127.0.0.1",
        header=lambda name: known if name == "authorization" else "",
    )
    asked.needed = together(frozenset({Declared("predict", "")}))
    assert gate.enter(asked)
    asked.caller, asked.needed = None, together(frozenset({Declared("admin", "")}))
    assert refused(lambda: gate.enter(asked)) == 503

    break_database(identity, away=False)
    identity.look_for_changes()
    assert not identity.stale
    assert identity.identify("", key, wait=True).name == "alice"
    asked.caller = None
    assert gate.enter(asked)
    lines = [line for line in identity._log.lines if "database" in line]
    assert [line.partition(":")[0] for line in lines] == ["error", "warning"]
    assert PASSWORD not in str(identity._log.lines) and "alice" not in str(lines)


def test_what_is_revoked_here_is_worthless_here_at_once(identity):
    mine = bearer(identity)
    assert identity.identify(mine, "", wait=True)
    form = SimpleNamespace(fields={"token": mine.removeprefix("Bearer ")})
    identity.grants.revoke(form)
    assert identity.identify(mine, "", wait=False) is None
    assert refused(lambda: identity.identify(mine, "", wait=True)) == 401


def test_a_token_of_forgotten_keys_is_not_known_any_more(identity):
    mine = bearer(identity)
    assert identity.identify(mine, "", wait=True)
    identity.tokens.rotate()
    identity.look_for_changes()
    assert identity.identify(mine, "", wait=True)
    identity.tokens.rotate()
    identity.look_for_changes()
    assert refused(lambda: identity.identify(mine, "", wait=True)) == 401


def test_of_two_credentials_the_first_that_expires_ends_both(identity):
    mine = bearer(identity)
    key, stored = identity.accounts.add_key("alice", "", ["predict"], days=1e-4)
    assert identity.identify(mine, key, wait=True).expires_at == stored.expires_at


def test_what_is_known_is_bounded(identity, monkeypatch):
    monkeypatch.setattr("apps.service.access.identity.MAX_KNOWN", 3)
    for _ in range(10):
        identity.identify(bearer(identity), "", wait=True)
        assert len(identity._known) <= 3
