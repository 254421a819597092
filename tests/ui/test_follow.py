"""Follow: the way of one request, whatever the servers tell of it, and what it left behind."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from classroom.servers import free_port, serve
from looks import fits
from playwright.sync_api import Browser, expect
from scripted import press, said

from ui import client, trail, waterfall
from ui.card import read_card
from ui.servers import servers

ROOT = Path(__file__).resolve().parents[2]
TOLD = 'queue;dur=1.5;desc="a, b;dur=9", receive;dur=.25, total;dur=4, cdn;desc="x"'
SERVER_STEPS = ["received", "taken up", "validated", "waited", "predicted", "encoded"]
FASTAPI, FLASK = servers()


@pytest.fixture(scope="module")
def timed(models):
    """Both full servers that tell their times, with metrics and logs where the page looks for them."""
    ports = [free_port(), free_port()]
    env = {"MODEL_PATH": str(models("iris")), "SERVER_TIMING": "1", "LOG_FORMAT": "json"}
    with (
        serve("fastapi", env=env | {"METRICS_PORT": str(ports[0])}) as fastapi,
        serve("flask", env=env | {"METRICS_PORT": str(ports[1])}) as flask,
    ):
        yield {
            "FASTAPI_URL": fastapi.url,
            "FLASK_URL": flask.url,
            "FASTAPI_METRICS_URL": f"http://127.0.0.1:{ports[0]}/metrics",
            "FLASK_METRICS_URL": f"http://127.0.0.1:{ports[1]}/metrics",
            "FASTAPI_LOG": str(fastapi.log),
            "FLASK_LOG": str(flask.log),
        }


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (TOLD, {"queue": 1.5, "receive": 0.25, "total": 4}),
        ("", {}),
        ("total;dur=abc, a;dur=1.2.3, b;dur=-1, c;dur=1e9, d;dur=99999999999", {"c": 1}),
        ('total;desc="\\"dur=5\\"";dur="7"', {}),
        ("\x00;=,,;dur=1" * 1000, {}),
    ],
)
def test_the_header_is_read_as_far_as_it_can_be(header, found):
    assert waterfall.timing({"server-timing": header}) == found


def test_the_servers_steps_lie_within_the_pages():
    clock = waterfall.Clock({
        "send_request_headers.started": 1.000, "send_request_body.complete": 1.001,
        "receive_response_headers.complete": 1.010, "receive_response_body.complete": 1.012,
    })  # fmt: skip
    header = "receive;dur=1, queue;dur=1, validate;dur=2, predict;dur=1, encode;dur=0.5, total;dur=6"
    steps = waterfall.steps(clock, {"server-timing": header}, FLASK)
    assert [(step.name, round(step.start, 6), round(step.end, 6)) for step in steps] == [
        ("sent", 0, 1),
        ("received", 2, 3),  # 10 ms to the head of the answer, of which the server has 6
        ("taken up", 3, 4),
        ("validated", 4, 6),
        ("predicted", 6, 7),
        ("encoded", 7, 7.5),
        ("sent back", 7.5, 12),
    ]
    refused = waterfall.steps(clock, {"server-timing": "receive;dur=1, validate;dur=2, total;dur=6"}, FLASK)
    assert [step.name for step in refused] == ["sent", "received", "validated", "answered", "sent back"]
    assert [step.name for step in waterfall.steps(clock, {}, FLASK)] == ["sent", "answered", "sent back"]


def test_both_servers_are_followed_from_the_first_byte_to_the_last(page, timed, monkeypatch):
    for name, value in timed.items():
        monkeypatch.setenv(name, value)
    app = page("follow", *list(timed.values())[:4])
    app = press(press(app, "virginica"), "Follow it")
    assert not app.exception
    text = said(app)
    assert text.count("virginica, ") == 2
    ways = [table.value for table in app.table if "step" in table.value]
    for way in ways:
        assert list(way["step"]) == ["sent", *SERVER_STEPS, "sent back"]
    lines = [json.loads(code.value) for code in app.code if code.value.startswith("{")]
    traces = re.findall(r"\*\*Trace id\*\* `([0-9a-f]{32})`", text)
    ids = re.findall(r"\*\*Request id\*\* `([0-9a-f]{32})`", text)
    assert [(line["request_id"], line["trace_id"]) for line in lines] == list(zip(ids, traces, strict=True))
    for table in [table.value for table in app.table if "metric" in table.value]:
        counts = dict(zip(table["metric"].str.replace("\\", ""), table["moved by"], strict=True))
        answered = "http_requests_total (method=POST, route=/predict, status=200)"
        assert [by for name, by in counts.items() if name.endswith(answered)] == ["+1"]
        assert [by for name, by in counts.items() if "label=virginica" in name] == ["+1"]
    assert "apps/service/bodies.py" in text and "Lesson 07, A log line is for a machine (`07_" in text
    app = app.button_group[0].set_value("Flask").run()
    assert "Nothing sent yet" in said(app)
    app = press(app, "Follow it")
    assert len([table for table in app.table if "step" in table.value]) == 1 and not app.exception


def test_a_server_that_does_not_tell_its_times_is_followed_from_outside(page, pair, monkeypatch):
    monkeypatch.delenv("FASTAPI_LOG", raising=False)
    app = press(page("follow", pair[0].url, pair[1].url), "Follow it")
    text = said(app)
    assert not app.exception
    for way in [table.value for table in app.table if "step" in table.value]:
        assert list(way["step"]) == ["sent", "answered", "sent back"]
    assert "SERVER_TIMING=1 PORT=" in text and '$env:SERVER_TIMING = "1"; ' in text
    assert "grep " in text or "A minimal server gives its requests no id" in text


@pytest.mark.parametrize("name", ["progression", "logarithms"])
def test_any_model_is_followed(page, adopted, name):
    env = {"MODEL_PATH": str(adopted(name).folder), "METRICS_PORT": "0", "SERVER_TIMING": "1"}
    with serve("fastapi", env=env) as fastapi, serve("flask", env=env) as flask:
        app = press(page("follow", fastapi.url, flask.url), "Follow it")
    assert not app.exception
    ways = [table.value for table in app.table if "step" in table.value]
    assert [list(way["step"]) for way in ways] == [["sent", *SERVER_STEPS, "sent back"]] * 2
    assert "metrics cannot be read" in said(app)


def test_a_server_that_is_down_is_said_to_be_and_the_other_is_followed(page, timed, nobody):
    app = press(page("follow", nobody, timed["FLASK_URL"]), "Follow it")
    assert not app.exception
    assert "FastAPI is not running" in said(app) and len([t for t in app.table if "step" in t.value]) == 1
    app = page("follow", nobody, nobody)
    assert "python -m apps.fastapi_app" in said(app) and not app.exception


def test_the_lessons_are_linked_where_the_book_is(page, timed, monkeypatch):
    monkeypatch.setenv("BOOK_URL", "http://book.test/en/")
    app = press(page("follow", *list(timed.values())[:4]), "Follow it")
    links = re.findall(r"\[Lesson \d\d, [^\]]+\]\((\S+)\)", said(app))
    section = "a-faster-model-is-worth-what-it-has-of-the-whole"
    assert f"http://book.test/en/lessons/08_measure_then_make_it_fast.html#{section}" in links
    assert "[`apps/service/model.py`](http://book.test/en/files/apps/service/model.py.html)" in said(app)


def test_every_file_and_section_that_is_named_is_there():
    source = (ROOT / "ui" / "views" / "follow.py").read_text(encoding="utf-8")
    files = set(re.findall(r'"((?:apps|ui)/[\w/]+\.py)"', source))
    assert len(files) > 8 and all((ROOT / file).is_file() for file in files)
    sections = re.findall(r"""\((\d), ["']([^"']+)["']\s*\)""", source)
    for number, section in sections:
        (notebook,) = (ROOT / "notebooks").glob(f"0{number}_*.ipynb")
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        headings = {line.strip() for cell in cells for line in cell["source"]}
        assert f"## {section}" in headings, (number, section)
    assert len(sections) >= 12


def test_a_log_shows_the_one_line_and_no_other(tmp_path):
    log = tmp_path / "flask.log"
    log.write_bytes(
        b"x" * 300_000 + b'\n{"request_id":"one"}\n{"request_id":"two"}\n\xff\n{"request_id":"thr'
    )
    assert trail.log_line(log, '"one"') == '{"request_id":"one"}'
    assert trail.log_line(log, '"thr') is None
    assert trail.log_line(tmp_path / "none.log", "one") is None


def test_links_to_problems_lead_where_a_browser_gets(page, full, monkeypatch):
    monkeypatch.setenv("FASTAPI_PUBLIC_URL", "http://127.0.0.1:9000/")
    public = servers()
    assert (public[0].public_url, public[1].public_url) == ("http://127.0.0.1:9000", public[1].url)
    server = replace(public[0], url=full["fastapi"].url)
    answer = client.predict(server, [1.0], read_card({"features": ["a"]}))
    assert answer.problem.page == "http://127.0.0.1:9000/problems/invalid-input"


@pytest.fixture(scope="module")
def ui(timed):
    with serve("ui", env=timed) as running:
        yield running


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_follow_in_a_browser(browser: Browser, ui, width, scheme):
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, base_url=ui.url)
    window = context.new_page()
    window.goto("/follow")
    button = window.get_by_role("button", name="Follow it")
    button.focus()
    button.press("Enter")
    for framework in ("FastAPI", "Flask"):
        heading = window.get_by_role("heading", name=f"What it left behind in {framework}")
        expect(heading).to_be_visible()
    expect(window.get_by_role("table").filter(has_text="validated")).to_have_count(2)
    expect(window.get_by_test_id("stVegaLiteChart").locator("canvas, svg")).to_have_count(2)
    expect(window.get_by_text('"event": "request"').first).to_be_visible()
    fits(window)
    context.close()
