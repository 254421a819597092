"""The page Batch while a server takes no requests, or has died: it says so, and goes on by itself."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import httpx
import looks
import pytest
from classroom.servers import Server, free_port, serve
from looks import fits
from playwright.sync_api import Browser, expect
from scripted import press, said

from ui import answers, servers
from ui.jobs import Pause
from ui.transport import Exchange

ROWS = "sepal length,sepal width,petal length,petal width\n" + "5.1,3.5,1.4,0.2\n" * 300
KEPT = "Jobs do not need this page, which looks again by itself."


@pytest.fixture
def env(iris_root, tmp_path) -> dict[str, str]:
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "JOBS": "on", "JOBS_FOLDER": str(tmp_path)}
    return env | {"METRICS_PORT": "0"}


def test_a_server_that_takes_no_more_requests_is_told_and_the_jobs_come_back(page, env):
    port = free_port()
    limited = Server("flask", env=env | {"RATE_LIMITS": "jobs=12/minute"}, port=port)
    limited.wait()
    try:
        app = page("batch", limited.url, limited.url)
        app.file_uploader[0].set_value(("rows.csv", ROWS.encode(), "text/csv"))
        app = press(app.run(), "Predict the file")
        seen = set()
        for _ in range(100):
            seen |= {one for one in ("Waiting for a worker", "no more requests", KEPT) if one in said(app)}
            if "no more requests" in seen and not app.selectbox:  # neither the job nor the list
                break
            time.sleep(0.1)
            app.run()
        assert seen == {"Waiting for a worker", "no more requests", KEPT}
        assert said(app).count("no more requests") == 1 and "Jobs" in [head.value for head in app.header]
        assert not app.exception
    finally:
        limited.stop()
    with_no_limits = Server("flask", env=env, port=port)
    with_no_limits.wait()
    try:
        app.run()
        assert "Waiting for a worker" in said(app) and KEPT not in said(app)
        assert app.selectbox[0].options[0].endswith("rows.csv · 300 rows")
    finally:
        with_no_limits.stop()


def test_a_choice_is_not_sent_back_to_the_browser(page, env):
    """It could come there after the next choice, and undo it."""
    with serve("flask", env=env) as flask:
        for _ in range(2):
            flask.post("/jobs", content=ROWS, headers={"Content-Type": "text/csv"})
        app = page("batch", flask.url, flask.url)
        titles = app.selectbox[0].options
        assert len(set(titles)) == 2
        app.selectbox[0].select_index(1)
        for _ in range(2):
            app.run()
            assert not app.selectbox[0].proto.set_value and app.selectbox[0].index == 1
        choice = app.segmented_control[0]
        choice.set_value("Flask")
        app.run().run()
        assert app.segmented_control[0].proto.id == choice.proto.id
        assert not app.segmented_control[0].proto.set_value and app.segmented_control[0].value == "Flask"


@pytest.mark.parametrize(
    ("said", "seconds"), [("7", 7), ("", 2), ("Sat, 28 Nov 2026 10:00:00 GMT", 2), ("-1", 2), ("9" * 9, 2)]
)
def test_a_server_is_left_alone_as_long_as_it_says(said, seconds):
    exchange = Exchange(
        servers.servers()[0], "GET", "http://x/jobs", "", {}, 429, {"retry-after": said}, "", {}, 1
    )
    failure = answers.refused(exchange, "a job")
    assert failure.passes
    assert not Pause(failure, time.monotonic() - seconds + 1).over
    assert Pause(failure, time.monotonic() - seconds - 0.1).over


def test_what_does_not_pass_by_itself(full_pair):
    assert answers.down(full_pair[0]).passes
    assert not replace(
        answers.down(full_pair[0]),
        exchange=Exchange(full_pair[0], "GET", "http://x/jobs", "", {}, 403, {}, "", {}, 1),
    ).passes


@pytest.fixture
def hammer() -> Iterator:
    """Ask a server all the time, until told to stop: what a limit allows is used up by it."""
    stop, threads = threading.Event(), []

    def ask(url: str) -> None:
        with httpx.Client() as client:
            while not stop.is_set():
                client.get(f"{url}/jobs")
                time.sleep(0.005)

    def start(url: str) -> threading.Event:
        threads.append(threading.Thread(target=ask, args=(url,)))
        threads[0].start()
        return stop

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def test_in_a_browser_polling_outlives_a_limit_and_a_server_that_dies(browser: Browser, env, hammer):
    port = free_port()
    server = Server("fastapi", env=env | {"RATE_LIMITS": "jobs=8/second"}, port=port)
    server.wait()
    worker = None
    window = browser.new_context(viewport=looks.PHONE).new_page()
    try:
        with serve("ui", env={"FASTAPI_URL": server.url, "FLASK_URL": server.url}) as ui:
            window.goto(f"{ui.url}/batch")
            window.get_by_role("tab", name="A CSV file").click()
            file = {"name": "rows.csv", "mimeType": "text/csv", "buffer": ROWS.encode()}
            window.locator("input[type=file]").set_input_files(file)
            window.get_by_role("button", name="Predict the file").click()
            waiting = window.get_by_role("heading", name="Waiting for a worker")
            expect(waiting).to_be_visible()
            stop = hammer(server.url)
            expect(window.get_by_text("takes no more requests from here for now")).to_be_visible()
            expect(window.get_by_text(KEPT)).to_be_visible()
            fits(window)
            stop.set()
            expect(waiting).to_be_visible()

            server.process.kill()
            expect(window.get_by_text("FastAPI is not running")).to_be_visible()
            window.reload()
            expect(window.get_by_text(KEPT)).to_be_visible()
            expect(window.get_by_text("FastAPI is not running")).to_be_visible()
            fits(window)
            server.stop()
            server = Server("fastapi", env=env, port=port)
            server.wait()
            expect(waiting).to_be_visible()
            expect(window.get_by_text("FastAPI is not running")).to_be_hidden()
            worker = Server("worker", env=env)
            expect(window.get_by_role("heading", name="300 of 300 rows predicted")).to_be_visible()
            fits(window)
    finally:
        window.context.close()
        for process in (server, worker):
            if process:
                process.stop()
