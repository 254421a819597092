"""Signing in, the page Access, and what all pages say to 401, 403 and 429: against both servers, guarded."""

import json
import time
from contextlib import suppress
from dataclasses import replace

import psutil
import pytest
from credentials import PASSWORD, eventually, guarded_pair, predict
from scripted import press, said
from streamlit.testing.v1 import AppTest

from tests.waiting import PATIENCE
from ui import account, answers, client, load, sign_in, visit
from ui.load_runs import Run
from ui.servers import servers

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, iris_root):
    """Tokens of eight seconds, so that the page has to renew them, and few requests to spend."""
    limits = {"RATE_LIMITS": "predict=200/minute,jobs=2/minute", "MAX_PARALLEL": "8", "DAILY_QUOTA": "5000"}
    folder = tmp_path_factory.mktemp("access")
    with guarded_pair(folder, iris_root / "models" / "iris", {**limits, "TOKEN_SECONDS": "8"}) as running:
        yield running


@pytest.fixture
def known(guarded):
    return tuple(
        replace(one, url=process.url)
        for one, process in zip(servers(), guarded.servers.values(), strict=True)
    )


def sign_in_as(app: AppTest, name: str, password: str = PASSWORD) -> AppTest:
    field(app, "Name").set_value(name)
    field(app, "Password").set_value(password)
    return press(app, "Sign in")


def field(app: AppTest, label: str):
    return next(one for one in app.text_input if one.label == label)


def meters(app: AppTest) -> list[str]:
    return [one.proto.text for one in app.get("progress")]


def everything(app: AppTest) -> str:
    """All that the page was sent, the values of its fields and tables too."""
    values = [one.value for one in app.text_input] + meters(app)
    return str(app) + json.dumps(values) + said(app)


def test_where_access_is_off_the_page_says_so(page, pair, nobody):
    app = page("access", pair[0].url, nobody)
    assert "Whoever reaches" in said(app) and "python kit.py up --access" in said(app)
    assert "Flask is not running" in said(app)
    assert not app.text_input and "Sign out" not in [one.label for one in app.button] and not app.exception


def test_who_is_not_signed_in_is_told_where_to(page, known):
    for name in ("predict", "batch", "compare", "follow", "load"):
        app = page(name, known[0].url, known[1].url)
        assert "FastAPI has access on, and does not know who asks." in said(app), name
        assert "Sign in on the page Access" in said(app)
        assert [link.proto.label for link in app.get("page_link")][-1] == "To the page Access"
        assert not app.exception


def test_sign_in_once_predict_make_and_revoke_a_key_and_sign_out(page, known, guarded):
    app = page("access", known[0].url, known[1].url)
    app = sign_in_as(app, "alice", "not her password")
    text = said(app)
    assert "FastAPI knows no such credentials." in text and "Flask knows no such credentials." in text
    assert field(app, "Password").value == ""
    app = sign_in_as(app, "alice")
    text = said(app)
    assert "Signed in at FastAPI." in text and "Signed in at Flask." in text
    facts = app.table[0].value.iloc[:, -1].tolist()
    assert {"alice", "a password", "admin, generate, jobs, predict", "default"} <= set(facts)
    assert "jobs: 2 of 2 left in 60 seconds" in meters(app) and "may be answered at a time" in text
    assert "Sign in" not in [one.label for one in app.button]

    app.switch_page("views/predict.py").run()
    app = press(app, "Predict")
    assert app.subheader[0].value.startswith("setosa, ")
    assert "Authorization: Bearer $SERVELAB_TOKEN" in said(
        app
    ) and "authorization: Bearer $SERVELAB_TOKEN" in said(app)
    granted = [app.session_state["sign in"].credential(server).value for server in known]
    assert all(len(one) > 100 for one in granted)

    app.switch_page("views/access.py").run()
    field(app, "What the key is for").set_value("a robot's")
    app = press(app, "Make a key")
    key = next(code.value for code in app.code if code.value.startswith("sk_"))
    assert sign_in.KEY(key) and "It is shown this once" in said(app)
    prefix = key.split("_")[1]
    assert guarded.servers["flask"].get("/model", headers={"X-API-Key": key}).status_code == 200
    app.switch_page("views/predict.py").run()
    app.switch_page("views/access.py").run()
    assert key not in everything(app) and f"sk_{prefix}" in said(app) and "a robot's" in said(app)

    app = press(app, f"Revoke sk_{prefix}")
    assert "It cannot be taken back." in said(app)
    app = press(press(app, "Keep it"), f"Revoke sk_{prefix}")
    app = press(app, "Revoke it")
    assert f"sk_{prefix}" not in said(app) and "There are none yet." in said(app)
    assert guarded.servers["fastapi"].get("/model", headers={"X-API-Key": key}).status_code == 401

    mine = app.session_state["sign in"]
    refresh = [mine._grants[server.url].refresh for server in known]
    app = press(app, "Sign out")
    assert "You are signed out." in said(app) and not mine.anywhere
    for server, token in zip(known, refresh, strict=True):
        assert isinstance(
            sign_in.ask(server, grant_type="refresh_token", refresh_token=token), answers.Failure
        )
    for secret in (PASSWORD, key, *granted, *refresh):
        assert secret not in everything(app)
    app.switch_page("views/predict.py").run()
    assert "does not know who asks" in said(app) and not app.exception


def test_a_key_signs_in_and_makes_no_keys(page, known, guarded):
    key, _ = guarded.accounts.add_key("alice", "the page", ["predict"], None)
    app = page("access", known[0].url, known[1].url)
    field(app, "Key").set_value("sk_not a key")
    assert "This is no API key" in said(press(app, "Use this key"))
    field(app, "Key").set_value(key)
    app = press(app, "Use this key")
    assert "Signed in at Flask." in said(app) and "which makes and revokes no keys" in said(app)
    assert "Make a key" not in [one.label for one in app.button]
    app.switch_page("views/batch.py").run()
    app = press(app, "Predict all")
    assert "rows predicted" in said(app) and "X-API-Key: $SERVELAB_KEY" in said(app)
    guarded.accounts.revoke_key(key.split("_")[1])
    assert eventually(lambda: predict(guarded.servers["fastapi"], {"X-API-Key": key}).status_code == 401)
    app = press(app, "Predict all")
    assert "does not take the credentials of this page any more" in said(app)
    app.switch_page("views/access.py").run()
    assert "any more" in said(app) and field(app, "Key").value == "" and key not in everything(app)
    assert not app.exception


def test_a_missing_scope_and_a_limit_are_told_in_words(page, known, guarded):
    app = sign_in_as(page("access", known[0].url, known[1].url), "only-jobs")
    app.switch_page("views/predict.py").run()
    assert (
        "FastAPI knows who asks, and does not let them do that: expected credentials with the scope predict"
        in said(app)
    )
    assert "Sign in on the page Access with credentials that may" in said(app)
    app = sign_in_as(page("access", known[0].url, known[1].url), "only-predict")
    app.switch_page("views/compare.py").run()
    app = press(app, "Measure")
    text = said(app)
    assert "takes no more requests from here for now: expected at most 200 requests in 60 seconds" in text
    assert "Try again in" in text and not app.exception


def test_a_token_is_renewed_in_time_and_its_refresh_token_used_once(known):
    mine = sign_in.SignIn()
    assert mine.with_password(known[1], "alice", PASSWORD) is None
    assert mine.credential(known[0]) is None  # it goes to nobody else
    first = mine.credential(known[1]).value
    mine._grants[known[1].url] = replace(mine._grants[known[1].url], renew_at=time.time())
    with sign_in.acting_for(mine):
        assert isinstance(account.me(known[1]), account.Me)
    assert mine.credential(known[1]).value != first
    mine.sign_out(known)
    assert mine.credential(known[1]) is None


def test_a_token_lasts_while_nobody_renews_it_and_ends_with_the_login(known, nobody):
    mine = sign_in.SignIn()
    mine.with_password(known[0], "alice", PASSWORD)
    away = replace(known[0], url=nobody)
    now = time.time()
    mine._grants = {nobody: replace(mine._grants[known[0].url], renew_at=now, expires_at=now + 100)}
    assert mine.credential(away) is not None
    mine._grants = {nobody: replace(mine._grants[nobody], expires_at=now - 7200)}
    assert mine.credential(away) is not None  # to sign in with again when the server is back
    mine._grants = {known[0].url: replace(mine._grants[nobody], refresh="worthless")}
    assert mine.credential(known[0]) is None and not mine.anywhere


def test_a_load_test_says_who_asks_and_its_arguments_do_not(known, generators):
    mine = sign_in.SignIn()
    mine.with_password(known[0], "only-generate", PASSWORD)
    mine.with_password(known[0], "alice", PASSWORD)
    with sign_in.acting_for(mine):
        card = client.model_card(known[0])
    trial, here = load.Test(servers=[known[0]], row=ROW, name="Gentle", rate=10, seconds=2), visit.Visit("x")
    run = Run(trial, card, here.loads, mine)
    run.start()
    seen, deadline = [], time.monotonic() + PATIENCE
    while not seen and run.is_alive() and time.monotonic() < deadline:
        with suppress(psutil.NoSuchProcess):  # it has just ended
            seen = [(one.cmdline(), one.environ()) for one in generators()]
    run.join()
    assert trial.failure is None and trial.loads[0].turns[0].statuses == {"200": 20}
    assert seen and "Bearer" not in str(seen) and mine.credential(known[0]).value.split()[1] not in str(seen)


def test_nothing_secret_is_in_what_is_kept(known):
    """An exchange has a placeholder, and no representation has a token."""
    mine = sign_in.SignIn()
    mine.with_password(known[0], "alice", PASSWORD)
    with sign_in.acting_for(mine):
        exchange = client.send(known[0], "GET", "/me")
        made = account.make_key(known[0], "", ["predict"], 1)
        account.revoke_key(known[0], made.prefix)
    token = mine.credential(known[0]).value.split()[1]
    assert exchange.sent_headers["authorization"] == "Bearer $SERVELAB_TOKEN"
    refused = mine.with_password(known[0], "alice", "wrong but secret")
    shown = repr((exchange, made, mine._grants, mine.credential(known[0]), refused))
    for secret in (
        token,
        made.secret,
        mine._grants[known[0].url].refresh,
        PASSWORD,
        "wrong+but",
        "wrong but",
    ):
        assert secret not in shown


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"subject": 7}', b"\xff", b""])
def test_rubbish_instead_of_who_i_am(page, answering, body):
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    url = answering(lambda connection: connection.sendall(head + body))
    app = page("access", url, url)
    assert "Something at" in said(app) and not app.exception


@pytest.mark.parametrize(
    ("seconds", "words"), [("9", "9 seconds."), ("60", "60 seconds, at "), ("7200", "120 minutes, at ")]
)
def test_when_to_try_again(answering, seconds, words):
    body = b'{"type": "/problems/too-many-requests", "title": "T", "detail": "x"}'
    head = f"HTTP/1.1 429 No\r\nConnection: close\r\nRetry-After: {seconds}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    url = answering(lambda connection: connection.sendall(head.encode() + body))
    failure = client.model_card(replace(servers()[0], url=url))
    assert f"Try again in {words}" in failure.remedy
