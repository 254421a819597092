"""OAuth2 clients that are not ours, as they come: they obtain, use and refresh tokens, and give them back.
https://docs.authlib.org/en/stable/client/"""

import httpx
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.integrations.requests_client import OAuth2Session
from credentials import PASSWORD, ROW, eventually


@pytest.fixture(params=["fastapi", "flask"])
def url(request, guarded) -> str:
    return guarded.servers[request.param].url


@pytest.fixture(params=[OAuth2Client, OAuth2Session], ids=["httpx", "requests"])
def client(request):
    """Makes one, with whichever HTTP library."""
    made = []

    def make(*arguments, **options):
        made.append(request.param(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_password_gives_a_token_that_the_client_renews_by_itself(url, client):
    renewed = []
    session = client(
        "any-program",
        token_endpoint=f"{url}/token",
        token_endpoint_auth_method="none",
        scope="predict",
        update_token=lambda token, **old: renewed.append(old),
    )
    first = dict(session.fetch_token(f"{url}/token", username="alice", password=PASSWORD))
    assert first["token_type"] == "Bearer" and first["scope"] == "predict"
    assert session.post(f"{url}/predict", json=ROW).json()["label"] == "setosa"

    session.token = {**first, "expires_at": 1}
    assert session.post(f"{url}/predict", json=ROW).status_code == 200
    assert session.token["access_token"] != first["access_token"]
    assert session.token["refresh_token"] != first["refresh_token"]
    assert renewed[0]["refresh_token"] == first["refresh_token"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_program_gets_a_token_for_its_secret(url, client, method):
    session = client(
        "robot",
        PASSWORD,
        token_endpoint=f"{url}/token",
        token_endpoint_auth_method=method,
        grant_type="client_credentials",
    )
    first = dict(session.fetch_token())
    assert "refresh_token" not in first
    assert session.post(f"{url}/predict", json=ROW).status_code == 200

    session.token = {**first, "expires_at": 1}
    assert session.post(f"{url}/predict", json=ROW).status_code == 200
    assert session.token["access_token"] != first["access_token"]


def test_what_is_refused_is_an_error_that_the_client_knows(url, client):
    session = client("any-program", token_endpoint_auth_method="none")
    with pytest.raises(OAuthError) as refused:
        session.fetch_token(f"{url}/token", username="alice", password="wrong")
    assert refused.value.error == "invalid_grant"
    session = client("robot", "wrong")
    with pytest.raises(OAuthError) as refused:
        session.fetch_token(f"{url}/token", grant_type="client_credentials")
    assert refused.value.error == "invalid_client"


def test_a_client_gives_a_token_back(url, client):
    session = client("any-program", token_endpoint_auth_method="none")
    token = dict(session.fetch_token(f"{url}/token", username="alice", password=PASSWORD))
    answer = session.revoke_token(f"{url}/token/revoke", token["refresh_token"], "refresh_token")
    assert answer.status_code == 200
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert eventually(lambda: httpx.get(f"{url}/model", headers=headers).status_code == 401)
