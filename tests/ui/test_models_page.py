"""The page Models: versions of a real registry, which both servers follow; without a browser, and in one."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from classroom.servers import free_port, serve
from looks import KINDS, choose, fits, press_until
from playwright.sync_api import Browser, expect
from scripted import press, said
from streamlit.testing.v1 import AppTest

from model_training import datasets
from model_training.export import export
from model_training.train import train
from tests.waiting import PATIENCE
from ui import changes, registry, rollout, visit
from ui.metrics import read_rollout
from ui.servers import servers

ROW = {"features": [5.1, 3.5, 1.4, 0.2]}
PUBLISH = """
import sys
from pathlib import Path
from model_training.registry.registry import Registry
from tests.waiting import PATIENCE
from model_training.registry.tracking_server import quiet
quiet()
registry = Registry()
for folder in sys.argv[1:]:
    registry.register(Path(folder), "iris")
registry.promote("iris", "1")
"""


@pytest.fixture(scope="module")
def following(tmp_path_factory):
    """The addresses of both full servers, which follow the champion of iris, as the page is told them.
    Versions 1 and 2 are good, 3 takes other features; a fourth is trained, and not registered."""
    folder = tmp_path_factory.mktemp("registry")
    iris, wine = datasets.load("iris"), datasets.load("wine")
    trainings = [train(iris, 1), train(iris, 3), train(replace(wine, name="iris"))]
    for number, training in enumerate(trainings, 1):
        export(training, folder / str(number))
    export(train(iris, 5), folder / "models" / "iris")
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{(folder / 'mlflow.db').as_posix()}"}
    env |= {"REGISTRY_FOLDER": str(folder), "MODEL_URI": "models:/iris@champion"}
    env |= {"MODEL_STORE": str(folder / "store"), "MODELS_FOLDER": str(folder / "models")}
    command = [sys.executable, "-c", PUBLISH, *(str(folder / number) for number in "123")]
    subprocess.run(command, env=os.environ | env, check=True, timeout=100)
    told = {}
    with ExitStack() as stack:
        for name in ("fastapi", "flask"):
            port = free_port()
            server = stack.enter_context(serve(name, env=env | {"METRICS_PORT": str(port)}))
            told[f"{name.upper()}_URL"] = server.url
            told[f"{name.upper()}_METRICS_URL"] = f"http://127.0.0.1:{port}/metrics"
        await_active(told, "1")
        yield told


def await_active(told: dict[str, str], version: str, **more) -> None:
    """Until both servers answer with that version."""
    deadline = time.monotonic() + PATIENCE
    for name in ("FASTAPI_URL", "FLASK_URL"):
        while True:
            found = httpx.get(f"{told[name]}/models/iris/versions", trust_env=False).json()
            if found.get("active") == version and found["registry"] == "available":
                break
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


@pytest.fixture
def begun(following) -> dict[str, str]:
    """The servers, with which version 1 answers and nothing challenges it."""
    fastapi = next(server for server in known(following))
    registry.follow(fastapi, "iris", "champion")
    registry.end_challenge(fastapi, "iris")
    registry.roll_out(fastapi, "iris", "off", 10)
    registry.move(fastapi, "iris", "champion", "1")
    await_active(following, "1")
    return following


@pytest.fixture
def models(page, begun) -> AppTest:
    return page("models", begun["FASTAPI_URL"], begun["FLASK_URL"], *metrics_of(begun))


def metrics_of(following: dict[str, str]) -> tuple[str, str]:
    return following["FASTAPI_METRICS_URL"], following["FLASK_METRICS_URL"]


def known(following: dict[str, str]):
    return tuple(replace(server, url=following[server.setting]) for server in servers())


def settle(app: AppTest) -> AppTest:
    """When the server has done what it was told."""
    visit._visits[app.session_state["visit"]].telling.join(PATIENCE)
    return app.run()


def until(app: AppTest, text: str) -> AppTest:
    """Servers follow within two seconds."""
    deadline = time.monotonic() + PATIENCE
    while text not in facts(app):
        assert time.monotonic() < deadline, facts(app)
        time.sleep(0.2)
        app.run()
    return app


def facts(app: AppTest) -> str:
    return "\n".join(str(table.value.to_dict()) for table in app.table)


def pick(app: AppTest, version: str) -> AppTest:
    return next(one for one in app.selectbox if one.label == "Version").select(version).run()


def labels(app: AppTest) -> set[str]:
    return {button.label for button in app.button if not button.disabled}


def test_where_no_registry_is_followed_the_page_says_how_to(page, pair, nobody):
    app = page("models", pair[0].url, nobody)
    assert "stop what runs and start" in said(app) and "python kit.py up --follow" in said(app)
    assert not [one for one in app.get("button_group") if one.label == "Server"]  # nothing to choose it for
    assert "Flask is not running" in said(app)
    assert not app.selectbox and not app.exception


def test_a_version_is_promoted_and_rolled_back_and_neither_without_a_question(models):
    app = models
    assert "version 1 (" in facts(app) and "'champion'" in facts(app)
    assert "Roll back" in labels(app) and "Make it champion" in labels(app)
    app = press(pick(app, "2"), "Make it champion")
    assert "Make version 2 the champion?" in said(app)
    app = press(app, "Leave it")
    assert "Make version 2 the champion?" not in said(app) and "version 2 (" not in facts(app)
    app = press(app, "Make it champion")
    do_it = next(button for button in app.button if button.label == "Do it")
    app = settle(do_it.click().run())
    assert "Version 2 is the champion." in said(app)
    until(app, "'Answers': 'version 2 (")
    assert "Make it champion" not in labels(pick(app, "2"))  # it is

    app = press(app, "Roll back")
    assert "The version that was champion before" in said(app)
    app = settle(press(app, "Do it"))
    until(app, "'Answers': 'version 1 (")
    assert not app.exception


def test_a_second_click_on_the_same_answer_does_nothing(models, monkeypatch):
    told, done = [], threading.Event()
    monkeypatch.setattr(registry, "roll_back", lambda server, name: told.append(name) or done.wait(PATIENCE))
    app = press(models.run(), "Roll back")
    token = app.session_state["question"][0]
    app = press(app, "Do it")
    assert labels(app).isdisjoint({"Roll back", "Make it champion", "Register what was trained last"})
    assert "question" not in app.session_state  # so that the browser's second click finds none
    assert f"do {token}" not in [button.key for button in app.button]
    done.set()
    settle(app)
    assert told == ["iris"]


def test_a_late_click_on_an_earlier_answer_leaves_the_next_question(monkeypatch):
    state = {"question": ("later", "Roll back?", ())}
    monkeypatch.setattr(changes.st, "session_state", state)
    changes.answer(None, "earlier")
    changes.leave("earlier")
    assert state["question"][0] == "later"
    changes.leave("later")
    changes.leave("later")
    assert not state


def test_served_by_hand_refused_and_followed_again(models):
    app = press(press(pick(models, "3"), "Serve it by hand"), "Do it")
    app = settle(app)
    assert "FastAPI did not take that version" in said(app) and "What was served goes on." in said(app)
    assert "409 Model refused" in said(app)
    app = settle(press(press(pick(app, "2"), "Serve it by hand"), "Do it"))
    until(app, "'Answers': 'version 2 (")
    assert "Pinned to version 2" in said(app) and "Serve it by hand" not in labels(pick(app, "2"))
    app = settle(press(app, "Follow the champion again"))
    until(app, "'Answers': 'version 1 (")
    assert "Follow the champion again" not in labels(app) and not app.exception


def test_a_challenger_and_what_it_does(models, following):
    app = models
    assert "make it challenger" in said(app) and "Apply" not in labels(app)
    app = settle(press(pick(app, "2"), "Make it challenger"))
    until(app, "'Challenger': 'version 2 (")
    mode = next(one for one in app.button_group if one.label == "What the challenger does")
    app = mode.set_value("canary").run()
    app.number_input[0].set_value(100).run()
    app = settle(press(app, "Apply"))
    assert "The rollout is canary, 100 of 100 callers" in said(app)
    until(app, "the challenger answers 100 of 100 callers")
    deadline = time.monotonic() + PATIENCE
    while "'challenger, version 2': {0: '0'" in facts(app) or "challenger, version 2" not in facts(app):
        assert time.monotonic() < deadline, facts(app)
        httpx.post(f"{following['FASTAPI_URL']}/predict", json=ROW, trust_env=False)
        time.sleep(0.2)
        app.run()
    app = settle(press(app, "End the challenge"))
    until(app, "'Challenger': 'none'")
    assert not app.exception


@pytest.mark.parametrize(
    ("status", "slug", "words", "to_access"),
    [
        (401, "unauthorized", "has access on, and does not know who asks.", True),
        (403, "forbidden", "does not let them do that", True),
        (404, "unknown-model", "has no such version, or no such model", False),
        (409, "model-refused", "did not take that version", False),
        (503, "registry-unavailable", "does not reach the registry of models", False),
        (507, "insufficient-storage", "has no room left on its disk", False),
    ],
)
def test_each_refusal_says_why_and_what_to_do(page, nobody, status, slug, words, to_access):
    with Refusing(status, slug) as url:
        app = page("models", url, nobody)
        app = settle(press(app, "Register what was trained last"))
        text = said(app)
        assert words in text and "why it was so" in text
        links = [link.proto.label for link in app.get("page_link")]
        assert ("To the page Access" in links) == to_access
        assert "Register what was trained last" in labels(app) and not app.exception


class Refusing:
    """A server that lists a version, and refuses whatever it is told."""

    LISTED = {"name": "iris", "registry": "unavailable", "following": "champion", "active": "1"}
    LISTED |= {"rollout": {"mode": "off", "percent": 10}}
    LISTED["versions"] = [{"version": "1", "state": "active", "aliases": ["champion"]}]

    def __init__(self, status: int, slug: str) -> None:
        problem = {"type": f"/problems/{slug}", "title": "No", "status": status, "detail": "why it was so"}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                listed = Refusing.LISTED if self.path.endswith("/versions") else {"following": "iris"}
                self.tell(200, listed)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.tell(status, problem)

            def tell(self, status, body):
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"},
        {"rollout": {"mode": "on", "percent": 10}},
        {"rollout": {"mode": "off", "percent": 101}},
        {"versions": [{"version": "one", "state": "active", "aliases": []}]},
        {"versions": [{"version": "1", "state": "gone", "aliases": []}]},
        {"versions": [{"version": "1", "state": "active", "aliases": [], "metrics": {"accuracy": "high"}}]},
        {"versions": None},
    ],
)
def test_what_is_no_list_of_versions_is_not_shown_as_one(change):
    assert registry.read_versions(Refusing.LISTED).active == "1"
    with pytest.raises((ValueError, TypeError, LookupError, AttributeError)):
        registry.read_versions(Refusing.LISTED | change)


METRICS = """# TYPE http_requests_total counter
http_requests_total{{method="POST",route="/predict",status="200"}} {n}
# TYPE rollout_requests_total counter
rollout_requests_total{{role="active",result="answered"}} {n}
rollout_requests_total{{role="active",result="failed"}} 1
rollout_requests_total{{role="challenger",result="answered"}} {few}
# TYPE rollout_prediction_seconds histogram
rollout_prediction_seconds_bucket{{role="active",le="0.001"}} {n}
rollout_prediction_seconds_bucket{{role="active",le="+Inf"}} {n}
# TYPE predictions_total counter
predictions_total{{model="iris",version="aaa",label="setosa"}} {n}
predictions_total{{model="iris",version="bbb",label="virginica"}} {few}
# TYPE shadow_comparisons_total counter
shadow_comparisons_total{{result="agree"}} {few}
"""


def test_the_counters_are_read_by_role_and_a_restart_begins_anew():
    looks = [
        read_rollout(METRICS.format(n=n, few=few), at) for at, n, few in ((1, 50, 9), (3, 5, 1), (5, 9, 4))
    ]
    first, last = rollout.since_restart(looks)
    assert (first.at, last.at) == (3, 5)
    part = rollout.part(first.roles["active"], last.roles["active"])
    assert (part.requests, part.failed, dict(part.buckets)[0.001]) == (4, 0, 4)
    assert last.answers == {"aaa": {"setosa": 9}, "bbb": {"virginica": 4}} and last.compared == {"agree": 4}
    assert read_rollout(METRICS.format(n=1, few=1).split("# TYPE rollout_requests")[0], 1) is None


@pytest.fixture(scope="module")
def ui(following):
    with serve("ui", env=following) as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_version_from_registering_to_rolling_back(browser: Browser, begun, ui, kind, tmp_path):
    page = browser.new_context(**KINDS[kind], base_url=ui.url).new_page()
    page.goto("/models")
    expect(page.get_by_text("Follows champion")).to_have_count(2)
    fits(page)
    page.get_by_role("button", name="Register what was trained last").click()
    expect(page.get_by_text(re.compile("It goes on if this page|is in the registry"))).to_be_visible()
    page.reload()
    expect(page.get_by_text("What was trained or adopted last as iris is in the registry.")).to_be_visible()
    page.reload()  # it is still told
    expect(page.get_by_text("What was trained or adopted last as iris is in the registry.")).to_be_visible()

    choose(page, "Version", "version 4")
    page.get_by_role("button", name="Make it challenger").click()
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible()
    page.get_by_role("radiogroup", name="What the challenger does").get_by_text("Shadow").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("The rollout is shadow, on every server of this machine.")).to_be_visible()
    stop = threading.Event()
    load = threading.Thread(target=ask_on, args=(begun["FASTAPI_URL"], stop))
    load.start()
    try:
        expect(page.get_by_text("rows: the challenger says the same.")).to_be_visible()
        expect(page.get_by_text("active: setosa 100 %")).to_be_visible()
        fits(page)
        page.screenshot(path=tmp_path / f"shadow-{kind}.png", full_page=True)
    finally:
        stop.set()
        load.join()

    page.get_by_role("button", name="Make it champion").click()
    expect(page.get_by_text("Make version 4 the champion?")).to_be_visible()
    fits(page)
    page.get_by_role("button", name="Do it").dblclick()
    expect(page.get_by_text("Version 4 is the champion.")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile(r"Answers version 4 \("))).to_have_count(2)
    asked = page.get_by_text("The version that was champion before this one is so again")
    press_until(page.get_by_role("button", name="Roll back"), asked)
    rolled_back = page.get_by_text("The champion before this one is champion again.")
    press_until(page.get_by_role("button", name="Do it"), rolled_back)
    expect(page.get_by_role("row", name=re.compile(r"Answers version 1 \("))).to_have_count(2)
    page.get_by_role("button", name="End the challenge").click()
    expect(page.get_by_text("There is no challenger any more.")).to_be_visible()
    fits(page)
    page.context.close()


def ask_on(url: str, stop: threading.Event) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        while not stop.wait(0.02):
            client.post("/predict", json=ROW)
