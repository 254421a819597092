"""Both servers with their accounts in a real PostgreSQL, which stops and comes back."""

import httpx
import pytest
from credentials import bearer, eventually, guarded_pair, predict
from postgres import postgres


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def shared(database, iris_root, tmp_path_factory):
    env = {"DATABASE_URL": database.url}
    with guarded_pair(tmp_path_factory.mktemp("access"), iris_root / "models" / "iris", env) as found:
        yield found


def test_while_it_is_away_tokens_predict_and_nobody_new_is_let_in(database, shared):
    fastapi, flask = shared.servers.values()
    known = bearer(shared.token(fastapi)["access_token"])
    new = [{"X-API-Key": shared.accounts.add_key("alice", "", ["predict"])[0]} for _ in range(2)]
    assert predict(fastapi, known).status_code == predict(flask, known).status_code == 200

    database.stop()
    for server, key in zip(shared.servers.values(), new, strict=True):
        assert predict(server, known).status_code == 200
        assert predict(server, bearer(shared.sign(claims_of(known)))).status_code == 200
        refused = predict(server, key)
        assert refused.status_code == 503 and refused.headers["Retry-After"]
        assert refused.json()["type"] == "/problems/access-unavailable"
        login = httpx.post(f"{server.url}/token", data={"username": "alice", "password": "x"})
        assert login.status_code == 503
        assert httpx.get(f"{server.url}/keys", headers=known).status_code == 503
        assert httpx.get(f"{server.url}/health").status_code == 200

    database.start()
    for server, key in zip(shared.servers.values(), new, strict=True):
        assert eventually(lambda server=server, key=key: predict(server, key).status_code == 200)
        log = server.log.read_text()
        assert log.count("the database of accounts does not answer") == 1
        assert "the database of accounts answers again" in log
        assert "argon2" not in log and "SELECT" not in log and database.url not in log


def claims_of(headers: dict[str, str]) -> dict:
    import jwt

    token = headers["Authorization"].removeprefix("Bearer ")
    return jwt.decode(token, options={"verify_signature": False})
