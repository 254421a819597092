"""The peers: each has what it takes to be set up and run; one that cannot be set up is named."""

import os
import re

import pytest

from benchmarks import __main__ as command
from benchmarks import environments
from benchmarks.environments import PEERS, prepare, python_of, versions
from benchmarks.peers import ENVIRONMENT_OF, WITHOUT_BATCHING


def test_every_peer_runs_both_models_with_both_engines():
    for peer in set(ENVIRONMENT_OF.values()):
        names = [name for name, of in ENVIRONMENT_OF.items() if of == peer]
        for kind in ("scikit-learn", "ONNX"):
            assert sum(name.endswith(kind) for name in names) == 2, peer
            batching = peer not in {name.lower() for name in WITHOUT_BATCHING}
            assert sum(name.endswith(f"{kind} unbatched") for name in names) == 2 * batching, peer


@pytest.mark.parametrize("peer", sorted(set(ENVIRONMENT_OF.values())))
def test_a_peers_requirements_are_pinned_and_name_both_engines(peer):
    lines = (PEERS / f"{peer}.txt").read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.\[\]-]+==[\w.]+", line) for line in lines if not line.startswith("#"))
    assert any(line.startswith("scikit-learn==") for line in lines)
    assert any(line.startswith("onnxruntime==") for line in lines)


def test_an_environment_is_made_once_and_again_when_its_requirements_change(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "PEERS", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "made")
    requirements, told = tmp_path / "nothing.txt", []
    requirements.write_text("# no package at all\n")
    assert prepare(["nothing"], told.append) == {} and python_of("nothing").exists()
    assert versions("nothing") == {}
    prepare(["nothing"], told.append)
    assert len(told) == 1
    requirements.write_text("# still none\n")
    prepare(["nothing"], told.append)
    assert len(told) == 2


def test_a_peer_that_cannot_be_set_up_is_named_with_the_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(environments, "PEERS", tmp_path)
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "made")
    (tmp_path / "litserve.txt").write_text("this is no requirement\n")
    assert command.main(["--only", "LitServe ONNX", "--rounds", "1"]) == 1
    told = capsys.readouterr().out
    assert "litserve could not be set up" in told and "| LitServe ONNX | did not start" in told


needs_peer = pytest.mark.skipif(
    not python_of("litserve").exists() or os.name == "nt",
    reason="needs benchmarks/.environments/litserve (python -m benchmarks --only LitServe)",
)


@needs_peer
def test_a_peer_answers_with_both_engines(tmp_path, capsys):
    arguments = ["--rounds", "1", "--seconds", "1", "--connections", "2", "--output", str(tmp_path)]
    names = ("LitServe ONNX", "LitServe forest scikit-learn")
    only = ",".join([*names, *(f"{name} unbatched" for name in names)])
    assert command.main([*arguments, "--only", only]) == 0
    rows = [line.split("|") for line in (tmp_path / "table.md").read_text().splitlines()[2:]]
    assert len(rows) == 4 and all(int(row[-4]) == 0 for row in rows)  # no errors
    assert "litserve" in (tmp_path / "results.json").read_text()
