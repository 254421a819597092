"""The benchmark runs and reports; what it measures is nobody's to assert."""

import json
import math
import re
import shutil
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks import __main__ as command
from benchmarks import arena, revision
from benchmarks.contenders import BODY, CONTENDERS, PYTHON, Contender
from benchmarks.environments import PEERS, python_of
from benchmarks.typed import TYPED, TYPED_ENVIRONMENTS

needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="needs wrk (Debian: apt install wrk)")


@needs_wrk
def test_two_contenders_make_a_table_json_and_a_picture(tmp_path, capsys):
    arguments = ["--rounds", "1", "--seconds", "1", "--connections", "2", "--output", str(tmp_path)]
    assert command.main([*arguments, "--only", "FastAPI hello,FastAPI minimal"]) == 0
    told = capsys.readouterr().out
    assert "round 1/1" in told and "| FastAPI hello | 2 |" in told and "100%" in told
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert [row["errors"] for row in found["results"]] == [0, 0]
    assert found["versions"]["fastapi"] and found["cores"]
    assert (tmp_path / "plot.png").stat().st_size > 1000


STEPS = [
    each for each in CONTENDERS if each.body and any("benchmarks.servers" in part for part in each.command)
]


@pytest.mark.parametrize("step", STEPS, ids=lambda contender: contender.name)
def test_every_step_gives_the_prediction_of_the_naive_server(step, iris_root):
    with arena.running(step, iris_root / "model.pkl") as (url, _):
        answer = httpx.post(url, content=BODY, headers={"Content-Type": "application/json"}, trust_env=False)
    assert answer.json()["prediction"] == [0]


@needs_wrk
def test_a_server_that_does_not_start_is_named_and_the_others_go_on(monkeypatch, capsys):
    broken = Contender("broken", [PYTHON, "-c", "raise SystemExit('out of order')"], "/")
    monkeypatch.setattr(command, "CONTENDERS", [broken, *command.CONTENDERS[:1]])
    assert command.main(["--rounds", "1", "--seconds", "1", "--connections", "2"]) == 1
    told = capsys.readouterr().out
    assert "| broken | did not start" in told and "out of order" in told and "bare ASGI" in told


@pytest.mark.parametrize("typed", TYPED, ids=lambda contender: contender.name)
def test_a_typed_hello_reads_its_body_and_gives_its_answer(typed, iris_root):
    environment = TYPED_ENVIRONMENTS.get(typed.name)
    if environment and not python_of(environment).exists():
        pytest.skip(f"needs benchmarks/.environments/{environment} (python -m benchmarks --only typed)")
    with arena.running(typed, iris_root / "model.pkl") as (url, _):
        json_type = {"Content-Type": "application/json"}
        answer = httpx.post(url, content=BODY, headers=json_type, trust_env=False)
        refused = httpx.post(url, content='{"features":"x"}', headers=json_type, trust_env=False)
    assert answer.json() == {"hello": "world", "count": 4} and refused.status_code in (400, 422)


@pytest.mark.parametrize("environment", TYPED_ENVIRONMENTS.values())
def test_what_a_typed_hello_needs_is_pinned(environment):
    lines = (PEERS / f"{environment}.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.\[\]-]+==[\w.]+", line) for line in lines if not line.startswith("#"))


@pytest.mark.skipif(not (revision.ROOT / ".git").exists(), reason="needs a git checkout")
def test_the_servers_of_a_revision_run_from_its_own_files(iris_root):
    with revision.at("HEAD") as earlier:
        assert [each.name for each in earlier] == [f"{name} at HEAD" for name in revision.SERVERS]
        root = earlier[0].root
        assert (root / "apps").is_dir() and root != revision.ROOT
        with arena.running(earlier[0], iris_root / "model.pkl") as (url, process):
            assert Path(psutil.Process(process.pid).cwd()) == root.resolve()
            json_type = {"Content-Type": "application/json"}
            answer = httpx.post(url, content=BODY, headers=json_type, trust_env=False)
        assert answer.json()["prediction"] == [0]
    assert not root.exists()


def test_no_revision_of_that_name(capsys):
    assert command.main(["--against", "no-such-revision"]) == 2
    assert "no-such-revision" in capsys.readouterr().err


def test_a_whole_name_is_one_contender_and_a_part_of_names_is_several():
    def names(*wanted: str) -> set[str]:
        return {each.name for each in command.choose(command.CONTENDERS, list(wanted))}

    assert names("FastAPI full") == {"FastAPI full"}
    assert {"FastAPI full", "FastAPI hello"} < names("FastAPI")
    assert names("FastAPI hello", ", granian") == {
        "FastAPI hello",
        "Flask hello, granian",
        "Flask full, granian",
    }
    earlier = Contender("Flask full at v1", [PYTHON], "/")
    assert command.choose([*CONTENDERS, earlier], ["Flask full"])[-1] is earlier


def test_no_contender_of_that_name(capsys):
    assert command.main(["--only", "django"]) == 2
    assert "FastAPI hello" in capsys.readouterr().out


def test_without_wrk_it_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(arena.shutil, "which", lambda name: None)
    assert command.main(["--only", "bare ASGI"]) == 1
    assert "apt install wrk" in capsys.readouterr().err


def test_a_percentile_is_not_taken_from_the_line_above_it():
    told = """  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     9.21ms   12.04ms 101.22ms   87.50%
    Req/Sec     2.88k   512.40     3.61k    71.99%
  Latency Distribution
     50%  812.00us
     99%    1.05s
"""
    assert (arena.percentile(told, 50), arena.percentile(told, 99)) == (0.812, 1050.0)
    assert math.isnan(arena.percentile(told, 90))
    assert math.isnan(arena.percentile("     50%   -nan", 50))
