"""A load test as the page runs it: against real servers, by the real load generator, for a short time."""

import re
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from classroom.servers import Server, serve
from streamlit.testing.v1 import AppTest

from ui import client, load, load_reading
from ui import servers as known
from ui.card import read_card

ROOT = Path(__file__).resolve().parents[2]
ROW = [5.1, 3.5, 1.4, 0.2]


def a_test(*servers, rate: int = 40, seconds: int = 2) -> load.Test:
    return load.Test([load.Load(server, rate) for server in servers], rate, seconds, ROW)


def test_both_servers_take_turns_and_every_request_is_counted(pair, generators):
    test, seen = a_test(*pair), []
    for over, part, told in test.run(client.model_card(pair[0])):
        assert len(generators()) <= 1
        if told["event"] == "result":
            seen.append((over, part.server.name))
    assert seen == [(0, "FastAPI"), (1, "Flask"), (2, "Flask"), (3, "FastAPI")]
    assert test.failure is None and not test.stopped and generators() == []
    for part in test.loads:
        assert (part.total("sent"), part.counts("statuses")) == (80, {"200": 80})
        assert sum(part.counts("histogram").values()) == 80
        assert [moment.at for moment in part.moments] == sorted(moment.at for moment in part.moments)
        assert 0 < part.percentile("p50") <= part.percentile("p99") <= part.percentile("max")


def test_whoever_closes_the_test_ends_the_load(full_pair, generators):
    test = a_test(*full_pair, seconds=60)
    with closing(test.run(client.model_card(full_pair[0]))) as events:
        next(events)
        assert len(generators()) == 1
    assert generators() == [] and test.stopped and test.failure is None
    assert not load.ONE_AT_A_TIME.locked()


def test_of_two_tests_at_the_same_time_the_second_waits(full_pair):
    with load.ONE_AT_A_TIME:
        test = a_test(full_pair[0])
        assert list(test.run(client.model_card(full_pair[0]))) == []
    assert "Another load test is running" in test.failure.sentence


def test_a_server_that_is_down_is_not_loaded(full_pair, nobody):
    test = a_test(full_pair[0], replace(full_pair[1], url=nobody))
    assert list(test.run(client.model_card(full_pair[0]))) == []
    assert "Flask is not running" in test.failure.sentence and test.failure.commands


def test_a_server_that_ends_midway_ends_the_test(models, generators):
    with serve("flask", env={"MODEL_PATH": str(models("iris")), "METRICS_PORT": "0"}) as server:
        flask = replace(known.servers()[1], url=server.url)
        test = a_test(flask, rate=50, seconds=60)
        for _, _, told in test.run(client.model_card(flask)):
            if told["answered"]:
                server.stop()
    assert "Flask is not running" in test.failure.sentence and not test.loads[0].turns
    assert generators() == []


def test_a_server_without_a_model_is_not_loaded(tmp_path):
    card = read_card({"features": ["a"]})
    env = {"MODEL_PATH": str(tmp_path / "model.pkl"), "METRICS_PORT": "0"}
    with serve("fastapi", env=env) as server:
        test = a_test(replace(known.servers()[0], url=server.url))
        assert list(test.run(card)) == []
    assert "has no model" in test.failure.sentence and test.failure.commands == ("python kit.py train",)


def test_what_the_generator_says_is_passed_on(full_pair, monkeypatch):
    monkeypatch.delenv("SERVELAB_LOAD_ANY_HOST", raising=False)
    with load.Generator(replace(full_pair[0], url="http://192.0.2.1"), 1, 1, ROW) as generator:
        (told,) = generator.events()
    assert told["event"] == "error" and "expected a host on this machine" in told["message"]
    failure = load.not_loaded(full_pair[0], told["message"])
    assert "The load generator could not load FastAPI: expected a host" in failure.sentence


def test_a_generator_that_is_not_there_is_told(full_pair, monkeypatch, tmp_path):
    monkeypatch.setattr(load, "ROOT", tmp_path)
    test = a_test(full_pair[0])
    assert list(test.run(client.model_card(full_pair[0]))) == []
    assert "ended without a result" in test.failure.sentence and "benchmarks" in test.failure.sentence


def test_the_image_of_the_page_has_the_generator(tmp_path):
    """What the Dockerfile copies for it suffices to run it."""
    stage = (ROOT / "Dockerfile").read_text(encoding="utf-8").partition(" AS ui\n")[2].partition("\nFROM ")[0]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for source, target in re.findall(r"^COPY (\S+) (\S+)$", stage, re.M):
        assert f"!{source.split('/')[0]}\n" in ignored
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / target)
        else:
            (tmp_path / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, tmp_path / target)
    command = [sys.executable, "-m", "benchmarks.load", "--help"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).returncode == 0


# --- what a test says


def turn(answered_rate=100.0, sent=500, p50=2.0, slowest=9.0, **told) -> load.Turn:
    figures = {"answered": sent, "failed": 0, "statuses": {"200": sent}, "errors": {}, "lag": 0.1, **told}
    percentiles = {"p50": p50, "p90": 3.0, "p95": 4.0, "p99": 5.0, "p999": slowest, "max": slowest}
    return load.Turn(answered_rate, sent, percentiles=percentiles, histogram={2.0: sent}, **figures)


def told(one: list[load.Turn], other: list[load.Turn] | None = None, moments=()) -> list[str]:
    test = a_test(*known.servers()[: 2 if other else 1], rate=100, seconds=10)
    for part, turns in zip(test.loads, (one, other), strict=False):
        part.turns = turns
    test.loads[0].moments = list(moments)
    return load_reading.reading(test)


def test_both_kept_up_and_one_was_quicker():
    said = told([turn(p50=2.0), turn(p50=2.2)], [turn(p50=3.0), turn(p50=2.9)])
    assert said[0] == "Both kept up with 100 requests a second."
    assert (
        "Half of FastAPI's answers came within 2.1 ms of when they were due, 99 of 100 within 5 ms." in said
    )
    assert said[-1] == "In every turn FastAPI was the quicker one."


def test_turns_that_overlap_show_no_difference():
    said = told([turn(p50=2.0), turn(p50=3.0)], [turn(p50=2.9), turn(p50=3.5)])
    assert said[-1].startswith("That is no difference that this test can show")


def test_one_fell_behind():
    waiting = [load.Moment(at, 60, 9.0, 9.0, 40 * at, 0, at) for at in (0.5, 1.0, 1.5, 2.0)]
    said = told([turn(60.0, slowest=2900)], [turn()], waiting)
    assert said[0] == "Flask kept up with 100 requests a second, FastAPI did not."
    assert said[1] == (
        "FastAPI was asked 100 times a second and answered 60 times. After 1.5 seconds of a turn it was half "
        "a second behind, and from then on every request waited for those before it, the last of them 2.9 "
        "seconds."
    )


def test_refusals_and_failures_are_counted_by_kind():
    refusing = turn(statuses={"200": 300, "503": 200})
    failing = turn(70.0, sent=500, answered=350, statuses={"200": 350}, failed=150, errors={"timeout": 150})
    said = told([refusing], [failing])
    assert said[0] == "Neither kept up with 100 requests a second."
    assert any("FastAPI refused 200 requests: 200 with status 503. 503 is how" in words for words in said)
    assert "150 of 500 requests to Flask got no answer (timeout: 150)." in said


def test_one_alone_and_a_late_generator():
    said = told([turn(lag=87.4)])
    assert said[0] == "FastAPI kept up with 100 requests a second."
    assert said[-1].startswith("The load generator itself was up to 87 ms late")
    nothing = turn(0.0, answered=0, statuses={}, failed=500, errors={"timeout": 500})
    nothing = replace(nothing, percentiles=dict.fromkeys(nothing.percentiles), histogram={})
    said = told([nothing])
    assert said[0] == "FastAPI did not keep up with 100 requests a second."
    part = load.Load(known.servers()[0], 100, [nothing])
    assert load_reading.figures(part)["p50, ms"] == "none"
    assert load_reading.figures(replace(part, turns=[turn()]))["p99.9, ms"] == "too few"


# --- the page


def start(app: AppTest, *names: str, rate: int = 30, seconds: int = 2) -> AppTest:
    app.button_group[0].set_value(list(names))
    app.number_input[0].set_value(rate)
    app.number_input[1].set_value(seconds)
    return next(button for button in app.button if button.label == "Start").click().run(timeout=90)


def said(app: AppTest) -> str:
    kinds = (app.title, app.header, app.markdown, app.caption, app.warning, app.code)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def test_the_page_loads_both_and_says_what_came_of_it(page, pair):
    app = page("load", pair[0].url, pair[1].url)
    assert [(field.min, field.max) for field in app.number_input] == [(1, 5000), (2, 60)]
    app = start(app, "FastAPI", "Flask")
    assert not app.exception
    assert "60 requests to each server, in 2 turns of 1 s." in said(app)
    assert "30 requests a second" in app.header[1].value
    figures = app.table[0].value
    assert list(figures.columns) == ["figure", ":blue[●] FastAPI", ":orange[■] Flask"]
    assert list(figures.set_index("figure").loc["answered"]) == ["60", "60"]
    assert "Start" in [button.label for button in app.button]
    app.switch_page("views/health.py").run()
    app.switch_page("views/load.py").run()
    assert "30 requests a second" in app.header[1].value


def test_the_page_loads_one(page, full: dict[str, Server]):
    app = start(page("load", full["fastapi"].url, full["flask"].url), "Flask")
    assert "60 requests to Flask, in 1 turn of 2 s." in said(app)
    assert list(app.table[0].value.columns) == ["figure", ":orange[■] Flask"]
    assert not app.exception


def test_the_page_without_a_choice_or_a_server(page, full, nobody):
    app = start(page("load", full["fastapi"].url, nobody))
    assert "No server is chosen." in said(app)
    app = start(app, "FastAPI", "Flask")
    assert "Flask is not running" in said(app) and "python -m apps.flask_app" in said(app)
    assert not app.table and not app.exception
