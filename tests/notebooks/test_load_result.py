"""classroom.load: what a lesson sees of a load test, over real servers."""

import pytest
from classroom.load import WIDTH, LoadError, LoadResult, load, plot_latency
from nbformat.v4 import new_output
from nbval.plugin import coalesce_streams

BODY = {"features": [5.1, 3.5, 1.4, 0.2]}


def test_both_servers_from_a_lesson(both, capsys):
    for server in both.values():
        result = load(server, rate=40, seconds=1, body=BODY)
        assert isinstance(result, LoadResult)
        assert result.answered == result.successes == 40 and result.failed == 0
        assert result.slower_than(0) == 40 and result.slower_than(result.max * 2) == 0
        told = new_output("stream", name="stdout", text=capsys.readouterr().out)
        assert told.text.count("\r") >= 2  # progress …
        (left,) = coalesce_streams([told])  # … of which nbval, like a terminal, sees the last line
        assert left.text == "40 requests/s for 1 s: 40 answered".ljust(WIDTH) + "\n"


def test_a_whole_url_and_a_get(both):
    result = load(both["flask"].url + "/health", rate=20, seconds=0.5)
    assert result.statuses == {"200": 10}


def test_nobody_there_says_what_to_do():
    with pytest.raises(LoadError, match="nobody listens at 127.0.0.1:1: start the server"):
        load("http://127.0.0.1:1/predict", rate=10, seconds=1)


def test_a_rate_that_cannot_be():
    with pytest.raises(LoadError, match="--rate"):
        load("http://127.0.0.1:1/predict", rate=-3, seconds=1)


def test_the_picture_has_a_caption_with_the_figures(both, monkeypatch):
    shown = []
    monkeypatch.setattr("classroom.plots.display", lambda *parts: shown.extend(parts))
    quiet = load(both["fastapi"], rate=20, seconds=0.5, body=BODY)
    plot_latency({"FastAPI": quiet, "Flask": load(both["flask"], rate=20, seconds=0.5, body=BODY)})
    picture, caption = shown
    assert picture.data.startswith(b"\x89PNG")
    assert "FastAPI: half within" in caption.data and "Flask: half within" in caption.data
