"""The calls that the page shows, makes wrong on purpose, and measures."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from ui import client, latency, mistakes
from ui.servers import Server, servers
from ui.snippets import snippets

ROW = [5.1, 3.5, 1.4, 0.2]


@pytest.mark.parametrize("tool", ["curl", "PowerShell", "httpx", "requests"])
@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/predict", {"features": ROW}, '"label":"setosa"'),
        ("/predict/batch", {"instances": [ROW, ROW]}, '"label":["setosa","setosa"]'),
    ],
)
def test_every_call_that_can_be_copied_runs(full_pair, tool, path, body, answer):
    shells = {"curl": ["bash", "-c"], "PowerShell": ["pwsh", "-NoProfile", "-Command"]}
    command = shells.get(tool, [sys.executable, "-c"])
    if not all(map(shutil.which, [command[0], *(["curl"] if tool == "curl" else [])])):
        pytest.skip(f"missing: {tool}")
    for server in full_pair:
        code, _ = snippets(server.url + path, body)[tool]
        done = subprocess.run([*command, code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said = "".join(done.stdout.split()).replace("'", '"')
        assert ("setosa" if tool == "PowerShell" else answer) in said


def test_both_servers_refuse_every_mistake_alike(pair):
    card = client.model_card(pair[0])
    found = mistakes.mistakes(card, ROW)
    assert len({mistake.name for mistake in found}) == len(found) >= 15
    for mistake in found:
        alike, words = mistakes.verdict(*(mistake.send(server, "an-id") for server in pair))
        assert alike, f"{mistake.name}: {words}"
        assert words.startswith("Both refuse it alike: status 4")


def test_without_ranges_nothing_is_out_of_range(pair):
    card = client.model_card(pair[0])
    bare = replace(card, features=tuple(replace(f, minimum=None, maximum=None) for f in card.features))
    assert "a number out of range" not in [mistake.name for mistake in mistakes.mistakes(bare, ROW)]


def exchange(server: Server, status: int, body: object) -> client.Exchange:
    return client.Exchange(server, "POST", "", "", {}, status, {}, json.dumps(body), body, 1.0)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ((400, {"detail": "x"}), (400, {"detail": "y"}), "not in the same words"),
        ((400, {"detail": "x"}), (422, {"detail": "x"}), "not with the same status: FastAPI 400, Flask 422"),
        ((200, {}), (400, {}), "FastAPI accepts what the other refuses"),
        ((200, {}), (200, {}), "Both accept it, and should not"),
        ((400, {}), (500, {}), "became a server's error"),
    ],
)
def test_what_is_not_alike_is_said(one, other, words):
    fastapi, flask = servers()
    alike, said = mistakes.verdict(exchange(fastapi, *one), exchange(flask, *other))
    assert not alike and words in said


def timing(server: int, *milliseconds: float) -> latency.Timing:
    return latency.Timing(servers()[server], list(milliseconds))


def test_percentiles_are_nearest_rank():
    hundred = timing(0, *range(1, 101))
    assert [hundred.percentile(share) for share in (0.5, 0.9, 0.99, 1)] == [50, 90, 99, 100]
    assert timing(0, 4.0).percentile(0.5) == 4.0
    assert timing(0, *[10.0] * 50).per_second == 100


def test_the_reading_says_no_more_than_the_figures():
    noisy = [2.0 + 0.01 * index for index in range(100)]
    same = latency.reading(timing(0, *noisy), timing(1, *[value + 0.02 for value in noisy]))
    assert same[0].startswith("No difference that 100 requests")
    small = latency.reading(timing(0, *noisy), timing(1, *[value + 2 for value in noisy]))
    assert small[0] == "FastAPI was quicker, but there is no difference you could feel."
    large = latency.reading(timing(0, *[value + 300 for value in noisy]), timing(1, *noisy))
    assert large[0] == "Flask was quicker, and a person would notice."
    tail = latency.reading(timing(0, *noisy[:98], 90, 90), timing(1, *noisy))
    assert any("One answer in a hundred from FastAPI took 90.0 ms or more" in sentence for sentence in tail)
    assert not any("hundred" in sentence for sentence in small)


def test_measuring_sends_the_same_number_to_both(pair):
    progress = [tuple(len(t.milliseconds) for t in timings) for timings in latency.measure(pair, ROW, 20)]
    assert progress == [(n, n) for n in range(1, 21)]


def test_measuring_ends_at_the_first_failure(pair, nobody):
    steps = list(latency.measure((pair[0], replace(pair[1], url=nobody)), ROW, 20))
    assert [type(step) for step in steps] == [client.Failure]
    refused = list(latency.measure(pair, ROW[:3], 20))
    assert "status 400" in refused[0].sentence
