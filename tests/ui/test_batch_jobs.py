"""The page Batch where servers have jobs: one asks who comes, the other does not; both share a worker."""

import re
import sqlite3
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from classroom.servers import Server, serve
from credentials import PASSWORD, accounts_in
from looks import KINDS, choose, fits
from playwright.sync_api import Browser, Page, expect
from scripted import press, said
from streamlit.testing.v1 import AppTest

from apps.service.settings import Settings
from tests.waiting import PATIENCE
from ui import job_panels, rows, servers
from ui.card import read_card
from ui.jobs import Fault, Job
from ui.sign_in import SignIn
from ui.submission import Submission

ROOT = Path(__file__).resolve().parents[2]
NAMES = "sepal length,sepal width,petal length,petal width"


def csv(n: int, head: str = NAMES, **lines: str) -> bytes:
    """So many rows, and a head; some lines are other ones: `line_3="5,6"`."""
    text = [head, *("5.1,3.5,1.4,0.2" if index % 3 else "6.3,3.3,6.0,2.5" for index in range(n))]
    for name, line in lines.items():
        text[int(name.removeprefix("line_")) - 1] = line
    return "\n".join([*text, ""]).encode()


@dataclass
class Servers:
    """FastAPI asks who comes, Flask does not. There is no worker before one is started."""

    fastapi: Server
    flask: Server
    env: dict[str, str]
    folder: Path
    worker: Server | None = None

    def start_worker(self) -> None:
        if self.worker is None:
            self.worker = Server("worker", env=self.env)
            self.worker.wait()


@pytest.fixture(scope="module")
def running(iris_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder, accounts = tmp_path_factory.mktemp("jobs"), tmp_path_factory.mktemp("access")
    accounts_in(accounts)
    env = {"MODEL_PATH": str(iris_root / "models" / "iris"), "JOBS": "on", "JOBS_FOLDER": str(folder)}
    env |= {"JOBS_MAX_WAITING": "2", "METRICS_PORT": "0"}
    asking = {**env, "ACCESS": "on", "ACCESS_PATH": str(accounts)}
    with serve("fastapi", env=asking) as fastapi, serve("flask", env=env) as flask:
        found = Servers(fastapi, flask, env, folder)
        yield found
        if found.worker:
            found.worker.stop()


@pytest.fixture
def batch(page, running: Servers) -> AppTest:
    """The page Batch with Flask chosen."""
    app = page("batch", running.fastapi.url, running.flask.url)
    app.segmented_control[0].set_value("Flask")
    return app.run()


def chosen(app: AppTest, content: bytes, name: str = "rows.csv") -> AppTest:
    app.file_uploader[0].set_value((name, content, "text/csv"))
    return app.run()


def until(app: AppTest, words: str) -> str:
    """What the page says once it says that, and looks at itself now and then as a browser would have it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        text = "\n".join([said(app), *(option for box in app.selectbox for option in box.options)])
        if words in text:
            return text
        time.sleep(0.1)
        app.run()
    raise AssertionError(f"never said {words!r}, but:\n{said(app)}")


def state_of(app: AppTest) -> list[str]:
    return list(app.table[-1].value["state"])


def test_a_file_waits_for_a_worker_is_cancelled_and_a_full_queue_is_told(batch, monkeypatch):
    app = press(chosen(batch, csv(1000)), "Predict the file")
    assert "apps.worker" not in until(app, "rows.csv · 1,000 rows")
    monkeypatch.setattr(job_panels, "PATIENCE", -1)
    assert "No worker has taken this job" in until(app, "python -m apps.worker")
    app = press(chosen(app, csv(10), "second.csv"), "Predict the file")
    until(app, "second.csv · 10 rows")
    app = press(chosen(app, csv(10), "third.csv"), "Predict the file")
    text = until(app, "Flask has as many jobs waiting as it takes.")
    assert re.search(r"Try again in .*cancel one", text)
    for _ in range(2):
        app = press(app, "Cancel")
        until(app, "0 of")
        app.selectbox[0].select_index(1)
        app.run()
    assert state_of(app) == ["cancelled", "cancelled"] and not app.exception


def test_lines_to_put_right_before_a_file_is_sent(batch):
    app = chosen(batch, csv(20, line_3="5,five,1,2", line_9="1,2,3"))
    assert list(app.table[0].value["line"]) == [3, 9]
    assert app.table[0].value["what is wrong there"].tolist() == [
        "sepal width is not a number",
        "expected 4 columns, got 3",
    ]
    assert next(button for button in app.button if button.label == "Predict the file").disabled
    app = press(app, "Predict the other lines")
    assert "18 of 20 rows predicted" in said(app)
    app = chosen(app, b"one,two\n1,2\n")
    assert "Nothing was sent." in said(app) and "Missing there: sepal length" in said(app)
    assert not app.exception


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (
            csv(30_000, line_25001="5.1,99,1.4,0.2"),
            (25_001, "sepal width", "expected a number from 0 to 6.8"),
        ),
        (
            b"\n" + csv(3_000, line_2501="5.1,x,1.4,0.2"),
            (2_502, "sepal width", "expected a number, such as 5.1"),
        ),
        (csv(3_000, line_2501="5.1,3.5,1.4"), (2_501, "", "expected 4 numbers in a row, got 3")),
        (
            csv(3_000, line_2501="5.1,3.5,1.4").replace(b",", b";"),
            (2_501, "", "expected 4 columns, got 3"),
        ),
    ],
    ids=["range", "moved", "short", "semicolons"],
)
def test_lines_that_only_the_server_has_seen_are_named_as_they_are_in_the_file(batch, content, fault):
    app = chosen(batch, content)
    assert "Nothing wrong was found" in said(app)
    before = app.table[0].value if app.table else None
    text = until(press(app, "Predict the file"), "No row was accepted.")
    line, column, what = app.table[0].value.iloc[0]
    assert (line, column) == fault[:2] and what.startswith(fault[2])
    assert "x" not in what.replace("expected", "") and "Lines to put right" in text
    assert before is None or state_of(app) == list(before["state"])


def test_a_job_from_sending_to_its_answers(batch, running):
    running.start_worker()
    head = "petal width;note;sepal length;sepal width;petal length"
    lines = "".join(
        "0,2;a;5,1;3,5;1,4\n" if index % 4 else "2,5;b;6,3;3,3;6;\n"[:-2] + "\n" for index in range(2000)
    )
    app = press(chosen(batch, f"{head}\n{lines}".encode(), "spreadsheet.csv"), "Predict the file")
    text = until(app, "2,000 of 2,000 rows predicted")
    assert "What all 2,000 answers are" in text and "rows a second" in text
    figures = next(table.value for table in app.table if "share" in table.value)
    assert figures.values.tolist() == [["setosa", "1,500", "75.0 %"], ["virginica", "500", "25.0 %"]]
    answers = app.dataframe[-1].value
    assert list(answers["label"][:5]) == ["virginica", "setosa", "setosa", "setosa", "virginica"]
    links = {link.label: link.url for link in app.get("link_button")}
    assert links["Download as CSV"].startswith(f"{running.flask.url}/jobs/")
    assert (
        len(running.flask.get(links["Download as JSON"].removeprefix(running.flask.url)).json()["label"])
        == 2000
    )
    assert not app.exception


def test_a_file_may_be_as_large_as_a_job():
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    most = Settings.model_fields["jobs_max_bytes"].default
    assert 0.95 * most < config["server"]["maxUploadSize"] * 2**20 <= most


def test_the_same_file_twice_is_one_job(running):
    server = replace(servers.servers()[1], url=running.flask.url)
    card = read_card(running.flask.get("/model").json())
    content = csv(50)
    sent = []
    for _ in range(2):
        dialect = rows.read_sample(content, card).dialect
        one = Submission(server, card, "rows.csv", content, dialect, "test-twice", SignIn())
        one.start()
        one.join()
        sent.append(one)
    assert isinstance(sent[0].job, Job) and sent[0].job.id == sent[1].job.id
    other = Submission(server, card, "rows.csv", csv(51), dialect, "test-twice", SignIn())
    other.run()
    assert "has a job of the same key, with another content" in other.failure.sentence


def test_a_connection_that_breaks_in_the_middle_is_told(answering, running):
    server = replace(servers.servers()[1], url=answering(lambda connection: None))
    card = read_card(running.flask.get("/model").json())
    dialect = rows.read_sample(csv(50), card).dialect
    one = Submission(server, card, "rows.csv", csv(50), dialect, "test-broken", SignIn())
    one.run()
    assert "broke before its answer was complete" in one.failure.sentence and one.faults == []


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ('{"type": "/problems/invalid-input", "title": "x", "errors": "none"}', []),
        ('{"type": "/problems/invalid-input", "title": "x", "errors": [1, {"line": 4}]}', [Fault(4, "", "")]),
        ("[]", []),
    ],
)
def test_an_answer_that_is_none_of_ours_is_a_failure(answering, running, body, faults):
    answer = f"HTTP/1.1 400 No\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    server = replace(
        servers.servers()[1], url=answering(lambda connection: connection.sendall(answer.encode()))
    )
    card = read_card(running.flask.get("/model").json())
    dialect = rows.read_sample(csv(5), card).dialect
    one = Submission(server, card, "rows.csv", csv(5), dialect, "test-strange", SignIn())
    one.run()
    assert one.failure and not one.job and one.faults == faults


def test_a_job_that_failed_says_why(batch, running):
    running.start_worker()
    until(press(chosen(batch, csv(10)), "Predict the file"), "10 of 10 rows predicted")
    (database,) = running.folder.glob("jobs*.db")
    with closing(sqlite3.connect(database)) as jobs, jobs:
        newest = "(SELECT id FROM jobs ORDER BY created_at DESC LIMIT 1)"
        jobs.execute(f"UPDATE jobs SET state = 'failed', error = 'the *worker* died' WHERE id = {newest}")
    batch.run()
    text = said(batch)
    assert "The job failed" in text and "the *worker* died" in text
    assert not batch.get("link_button") and not batch.exception


def test_who_may_not_have_jobs_still_sends_a_small_file(page, running):
    app = sign_in(page("access", running.fastapi.url, running.flask.url), "only-predict")
    app = app.switch_page("views/batch.py").run()
    assert "FastAPI knows who asks, and does not let them do that" in said(app)
    app = press(chosen(app, csv(5)), "Predict the file")
    assert "5 of 5 rows predicted" in said(app)


def test_without_jobs_the_page_says_how_to_get_them(page, full, nobody):
    app = page("batch", full["fastapi"].url, nobody)
    text = said(app)
    assert "JOBS=on" in text and '$env:JOBS = "on"; ' in text and "python -m apps.worker" in text
    app = press(chosen(app, csv(5)), "Predict the file")
    assert "5 of 5 rows predicted" in said(app) and not app.exception


def sign_in(app: AppTest, name: str) -> AppTest:
    for field, value in zip(("Name", "Password"), (name, PASSWORD), strict=True):
        next(one for one in app.text_input if one.label == field).set_value(value)
    return press(app, "Sign in")


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_browser(browser: Browser, running: Servers, ui: Server, kind: str, tmp_path: Path):
    """On the laptop FastAPI, which asks who comes: the answers go through the page."""
    running.start_worker()
    window = browser.new_context(**KINDS[kind], base_url=ui.url).new_page()
    if kind == "laptop":
        window.goto("/access")
        window.get_by_label("Name", exact=True).fill("alice")
        window.get_by_label("Password", exact=True).fill(PASSWORD)
        window.get_by_role("button", name="Sign in").click()
        expect(window.get_by_text("Signed in at FastAPI.")).to_be_visible()
        window.get_by_role("link", name="Batch", exact=True).click()
    else:
        window.goto("/batch")
        expect(window.get_by_text("has access on")).to_be_visible()
        window.get_by_role("radio", name="Flask").click()
        expect(window.get_by_text("Flask takes the file as a job")).to_be_attached()
    send(window, csv(200_000), "large.csv")
    expect(window.get_by_role("heading", name="200,000 of 200,000 rows predicted")).to_be_in_viewport()
    fits(window)
    window.get_by_role("button", name="Count all of them").click()
    expect(window.get_by_role("cell", name="133,333")).to_be_visible()
    expect(window.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()
    with window.expect_download() as download:
        window.get_by_role("link", name="Download as CSV").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "row,prediction,label,probability_setosa,probability_versicolor,probability_virginica"
    assert len(lines) == 200_001 and lines[-1].startswith("200000,")
    assert [line.split(",")[2] for line in lines[1:4]] == ["virginica", "setosa", "setosa"]

    send(window, csv(100_000, line_90001="5.1,99,1.4,0.2"), "broken.csv")
    expect(window.get_by_role("cell", name="expected a number from 0 to 6.8")).to_be_visible()
    expect(window.get_by_role("cell", name="90001")).to_be_visible()
    fits(window)
    window.get_by_role("button", name="Remove broken.csv").click()

    running.worker.stop()
    running.worker = None
    send(window, csv(20_000), "waits.csv")
    expect(window.get_by_role("heading", name="Waiting for a worker")).to_be_in_viewport()
    if kind == "phone":
        window.reload()
        window.get_by_role("radio", name="Flask").click()
        expect(window.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
        choose(window, "that Flask has", "large.csv")
        expect(window.get_by_role("heading", name="200,000 of 200,000 rows predicted")).to_be_visible()
        choose(window, "that Flask has", "waits.csv")
    window.get_by_role("button", name="Cancel").click()
    expect(window.get_by_role("heading", name="Cancelled")).to_be_visible()
    expect(window.get_by_role("cell", name="cancelled").first).to_be_visible()
    fits(window)
    window.context.close()


def send(window: Page, content: bytes, name: str) -> None:
    window.get_by_role("tab", name="A CSV file").click()
    expect(window.get_by_text("takes the file as a job")).to_be_visible()
    expect(window.locator("input[type=file]")).to_have_count(1)  # for a moment the one before is there, too
    file = {"name": name, "mimeType": "text/csv", "buffer": content}
    window.locator("input[type=file]").set_input_files(file)
    expect(window.get_by_text("Nothing wrong was found")).to_be_visible()
    window.get_by_role("button", name="Predict the file").click()


@pytest.fixture(scope="module")
def ui(running: Servers) -> Iterator[Server]:
    with serve("ui", env={"FASTAPI_URL": running.fastapi.url, "FLASK_URL": running.flask.url}) as server:
        yield server
