"""A load test as the page runs it: against real servers, by the real load generator, for a short time."""

import re
import shutil
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from classroom.servers import serve
from scripted import said
from streamlit.testing.v1 import AppTest

from tests.waiting import PATIENCE
from ui import client, generator, knee, load, load_charts, load_reading
from ui import servers as known
from ui.card import read_card

ROOT = Path(__file__).resolve().parents[2]
ROW = [5.1, 3.5, 1.4, 0.2]


def a_test(*servers, rate: int = 40, seconds: int = 2) -> load.Test:
    return load.Test(servers=list(servers), rate=rate, seconds=seconds, row=ROW)


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
    with generator.Generator(replace(full_pair[0], url="http://192.0.2.1"), 1, 1, ROW) as process:
        (told,) = process.events()
    assert told["event"] == "error" and "expected a host on this machine" in told["message"]
    failure = load.not_loaded(full_pair[0], told["message"])
    assert "The load generator could not load FastAPI: expected a host" in failure.sentence


def test_a_generator_that_is_not_there_is_told(full_pair, monkeypatch, tmp_path):
    monkeypatch.setattr(generator, "ROOT", tmp_path)
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


def turn(answered_rate=100.0, sent=500, p50=2.0, slowest=9.0, **told) -> generator.Turn:
    figures = {"answered": sent, "failed": 0, "statuses": {"200": sent}, "errors": {}, "lag": 0.1, **told}
    percentiles = {"p50": p50, "p90": 3.0, "p95": 4.0, "p99": 5.0, "p999": slowest, "max": slowest}
    return generator.Turn(answered_rate, sent, percentiles=percentiles, histogram={2.0: sent}, **figures)


def told(one: list[generator.Turn], other: list[generator.Turn] | None = None, moments=()) -> list[str]:
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


# --- the knee


def climb(bears: dict[str, int], unlucky: tuple[int, ...] = ()) -> knee.Search:
    """A search whose servers keep up to the rates that they bear, but for the first try of unlucky rates."""
    pair = list(known.servers())[: len(bears)]
    search = knee.Search(servers=pair, row=ROW)
    for _, step in search.plan():
        first = len([one for one in search.tried(step.server) if one.rate == step.rate]) == 0
        kept = step.rate <= bears[step.server.name] and not (first and step.rate in unlucky)
        step.turns.append(
            turn(step.rate if kept else step.rate / 2, sent=step.rate * 2, p50=2.0 if kept else 900.0)
        )
    search.stopped = False
    return search


def test_the_rate_doubles_and_then_what_lies_between_is_tried():
    search = climb({"FastAPI": 1000})
    assert [step.rate for step in search.steps] == [50, 100, 200, 400, 800, 1600, 1600, 1131, 1131, 951]
    assert (search.borne(search.servers[0]), search.too_much(search.servers[0])) == (951, 1131)
    said = load_reading.knees(search)
    assert said[0] == "FastAPI bears 951 requests a second."
    assert said[1].startswith(
        "FastAPI kept up with 951 requests a second, and not with 1,131: its knee is between"
    )
    figures = load_reading.steps(search, search.servers[0])
    assert figures["951"] == "p95 4.0 ms" and figures["1,131"] == "p95 4.0 ms; answered 566"


def test_two_servers_climb_side_by_side_each_to_its_own_knee():
    search = climb({"FastAPI": 200, "Flask": 5000})
    assert [step.server.name for step in search.steps[:4]] == ["FastAPI", "Flask", "FastAPI", "Flask"]
    assert search.borne(search.servers[1]) == 5000 and search.too_much(search.servers[1]) is None
    assert "Flask kept up with 5,000 requests a second, the most that was tried." in load_reading.knees(
        search
    )
    assert [name for name, *_ in load_reading.in_short(search)] == [":blue[●] FastAPI", ":orange[■] Flask"]


def test_a_rate_that_failed_once_is_tried_again_before_it_counts():
    search = climb({"FastAPI": 5000}, unlucky=(200,))
    assert search.borne(search.servers[0]) == 5000
    assert [step.rate for step in search.steps][2:5] == [200, 200, 400]


def test_a_server_that_bears_nothing_has_no_knee():
    search = climb({"FastAPI": 10})
    assert [step.rate for step in search.steps] == [50, 50] and search.told
    assert load_reading.knees(search)[:2] == [
        "No knee was found: the lowest rate was too much already.",
        "FastAPI did not keep up with 50 requests a second.",
    ]


def test_a_turn_s_late_answers_are_told_from_its_load():
    test = a_test(known.servers()[0], seconds=10)
    part = test.loads[0]
    for number, base in ((0, 0.0), (1, 7.0)):
        part.moments += [load.Moment(base + at, 40, 1, 1, 0, number, at) for at in (1.0, 5.0)]
    part.moments[2:2] = [load.Moment(at, 40, 1, 1, 0, 0, at) for at in (6.0, 7.0)]
    assert test.turn_seconds == 5 and load_charts.after_turns(part, 5) == [(5.0, 7.0)]


# --- the page


def run_to_its_end(app: AppTest) -> AppTest:
    deadline = time.monotonic() + PATIENCE
    while any(button.label == "Stop the test" for button in app.button) and time.monotonic() < deadline:
        time.sleep(0.2)
        app.run()
    return app


def start(app: AppTest, *names: str, rate: int = 30, seconds: int = 2) -> AppTest:
    app.button_group[0].set_value("My own").run()
    app.button_group[1].set_value(list(names))
    app.number_input[0].set_value(rate)
    app.number_input[1].set_value(seconds)
    next(button for button in app.button if button.label == "Start").click().run()
    return run_to_its_end(app)


def test_the_page_loads_both_and_keeps_what_came_of_it(page, pair):
    app = start(page("load", pair[0].url, pair[1].url), "FastAPI", "Flask")
    assert not app.exception
    assert [(field.min, field.max) for field in app.number_input] == [(1, 5000), (2, 60)]
    assert "60 requests to each server, in 2 turns of 1 s." in said(app)
    assert "30 requests a second" in app.header[1].value
    figures = app.table[0].value
    assert list(figures.columns) == ["figure", ":blue[●] FastAPI", ":orange[■] Flask"]
    assert list(figures.set_index("figure").loc["answered"]) == ["60", "60"]
    app.switch_page("views/health.py").run()
    app.switch_page("views/load.py").run()
    assert "30 requests a second" in app.header[1].value
    app = start(app, "Flask", rate=20)
    kept = app.table[0].value
    assert [test.split(" ", 1)[1] for test in kept["test"]] == ["My own, 20 a second"] + 2 * [
        "My own, 30 a second"
    ]
    assert "40 requests to Flask, in 1 turn of 2 s." in said(app)
    earlier = next(box for box in app.selectbox if box.label == "Show")
    app = earlier.set_value(1).run()
    assert "60 requests to each server" in said(app) and not app.exception


def test_a_test_goes_on_while_other_pages_are_looked_at_and_is_stopped_by_its_button(page, full, generators):
    app = page("load", full["fastapi"].url, full["flask"].url)
    app.button_group[0].set_value("Steady").run()
    next(button for button in app.button if button.label == "Start").click().run()
    app.switch_page("views/predict.py").run()
    deadline = time.monotonic() + PATIENCE
    while not generators() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(generators()) == 1
    app.switch_page("views/load.py").run()
    assert "4,000 requests to each server" in said(app)
    app = next(button for button in app.button if button.label == "Stop the test").click().run()
    assert "Stopped after " in said(app) and generators() == [] and not load.ONE_AT_A_TIME.locked()
    assert not app.exception


def test_the_page_finds_the_knee(page, full, monkeypatch):
    monkeypatch.setattr(knee, "STEP", 1.0)
    monkeypatch.setattr(knee, "MOST", 40)
    app = page("load", full["fastapi"].url, full["flask"].url)
    app.button_group[0].set_value("Find the knee").run()
    next(button for button in app.button if button.label == "Start").click().run()
    app = run_to_its_end(app)
    assert app.header[1].value == "FastAPI bears 40 requests a second, Flask bears 40 requests a second."
    figures = app.table[0].value
    assert list(figures["requests a second"]) == ["40"] and "p95 " in figures.iloc[0, 1]
    assert not app.exception


def test_the_page_without_a_choice_or_a_server(page, full, nobody):
    app = start(page("load", full["fastapi"].url, nobody))
    assert "No server is chosen." in said(app)
    app = start(app, "FastAPI", "Flask")
    assert "Flask is not running" in said(app) and "python -m apps.flask_app" in said(app)
    assert not app.table and not app.exception
