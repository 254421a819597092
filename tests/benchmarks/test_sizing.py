"""The page has the tables that the program prints; the arithmetic is checked by hand-made cases."""

import json
import re
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import edge, sizing, sizing_picture
from benchmarks.sizing import Measured, Plan, euros, replicas

PAGE = (edge.ROOT / "docs" / "explanations" / "sizing.md").read_text(encoding="utf-8")
PRICE = {kind: one["euros"] for kind, one in sizing.quoted().items()}
ROUND = Measured(
    servers={"FastAPI full": 90.0, "Flask full": 200.0},
    kept=50,
    handshake=100,
    redis=20,
    server_line=300,
    proxy_line=200,
    received=400,
    sent=1000,
)


def test_the_page_has_what_the_program_prints(capsys):
    assert sizing.main([]) == 0
    told = capsys.readouterr().out.strip().split("\n\n")
    assert len(told) == 6
    for table in (*told, sizing.sources()):
        assert table in PAGE, "run python -m benchmarks.sizing, and put into the page:\n" + table


def test_the_picture_is_of_the_same_figures():
    drawn = sizing_picture.FILE.read_text(encoding="utf-8")
    assert drawn == sizing_picture.picture(), "draw it again: python -m benchmarks.sizing_picture"


@pytest.mark.parametrize(
    ("rate", "zones", "wanted"),
    [
        (10, 3, 3),  # one in each zone
        (15_000, 3, 3),  # 1.5 cores busy, on the two that are left at 75 %
        (15_001, 3, 6),
        (100_000, 3, 21),
        (100_000, 2, 28),
        (100_000, 1, 14),
    ],
)
def test_when_a_zone_is_gone_the_others_are_no_busier_than_planned(rate, zones, wanted):
    plan = Plan(zones=zones)
    found = replicas(rate, 100, plan)
    left = found - found // zones if zones > 1 else found
    assert found == wanted and rate * 100 / 1e6 / left <= plan.busy


def test_a_month_of_a_thousand_requests_a_second():
    price = {"core_month": 20, "log_gb": 0.5, "egress_gb": 0.1}
    found = euros(1000, ROUND, Plan(), price)
    month = 1000 * 730 * 3600
    assert found == pytest.approx(
        {"cores": 3 * 20, "log": month * 500 / 1e9 * 0.5, "egress": month * 1000 / 1e9 * 0.1}
    )
    assert euros(1000, ROUND, Plan(log_share=0.01), price)["log"] == pytest.approx(found["log"] / 100)


def test_a_slower_model_and_dearer_prices_are_taken(capsys):
    assert sizing.main(["--rate", "1000", "--more-us", "5000", "--core-month", "10"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"\| FastAPI full \| 12 \(5\.1\) \|", told)
    assert "120 euros" in told


@pytest.mark.parametrize("option", ["--rate=-1", "--zones=0", "--busy=1", "--log-share=2"])
def test_what_cannot_be_is_refused(option, capsys):
    with pytest.raises(SystemExit) as refused:
        sizing.main([option])
    assert refused.value.code == 2 and "expected" in capsys.readouterr().err


def test_compose_keeps_as_much_of_a_log_as_the_page_says():
    compose = (edge.ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    size, files = re.search(r"max-size:\W*(\d+)m\W+max-file:\W*(\d+)", compose).groups()
    assert int(size) * int(files) * 1e6 == sizing.COMPOSE_LOG


@pytest.mark.skipif(not all(map(shutil.which, ("nginx", "openssl"))), reason="needs nginx and openssl")
def test_nginx_keeps_one_line_in_a_hundred_as_the_page_says(tmp_path):
    block = re.search(r"```nginx\n(.*?)```", PAGE, re.DOTALL)[1]
    command = edge.prepared(tmp_path, {})
    configuration = Path(command[-1])
    text = configuration.read_text(encoding="utf-8")
    assert text.count("    access_log /dev/stdout told;\n") == 1
    configuration.write_text(text.replace("access_log /dev/stdout told;\n", block), encoding="utf-8")
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not all(map(shutil.which, edge.PROGRAMS)), reason=f"needs {', '.join(edge.PROGRAMS)}")
def test_a_request_has_as_many_bytes_as_was_noted(tmp_path):
    assert edge.main(["--rounds", "1", "--seconds", "1", "--output", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "edge.json").read_text(encoding="utf-8"))["figures"]
    noted = asdict(sizing.measured())
    for name in ("server_line", "proxy_line", "received", "sent"):
        assert found[name] == pytest.approx(noted[name], rel=0.1), name
    assert found["kept"] > 0 and found["redis"] > 0


def test_without_the_programs_it_says_which_it_needs(monkeypatch, capsys):
    monkeypatch.setattr(edge.shutil, "which", lambda name: None if name == "wrk" else name)
    assert edge.main([]) == 1
    assert "expected the programs wrk: install them" in capsys.readouterr().err
