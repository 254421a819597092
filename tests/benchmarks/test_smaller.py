"""The tables of smaller models are written; what is measured is nobody's to assert."""

import json
import math
import sys
from types import ModuleType

import numpy as np

from apps.service.generation import llama
from benchmarks import smaller
from benchmarks.language_model import Measured, measured


def test_it_makes_tables_json_and_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # which Streamlit's tests replace
    shipped = llama.weights()
    found = {"Q4_1": measured(shipped)} if shipped else {}
    monkeypatch.setattr(smaller, "language_models", lambda tell: found)
    for name, value in (("HIDDEN", 128), ("TREES", 50), ("COPIES", 2), ("CALLS", 20)):
        monkeypatch.setattr(smaller, name, value)
    assert smaller.main(["--output", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    for name in ("FP32", "INT8", "tree, taught", "logistic regression, alone"):
        assert f"| {name} |" in told
    written = json.loads((tmp_path / "smaller.json").read_text(encoding="utf-8"))
    full, small = written["networks"]
    assert small["size"] < full["size"] / 3 and abs(small["accuracy"] - full["accuracy"]) < 0.02
    accuracy = {one["name"]: one["accuracy"] for one in written["students"]}
    assert accuracy["tree, alone"] < accuracy["tree, taught"] < accuracy["forest, the teacher"]
    assert (tmp_path / "smaller.md").read_text(encoding="utf-8").strip() in told
    if shipped:
        one = written["language_models"]["Q4_1"]
        assert one["size"] == shipped.stat().st_size and 5 < one["perplexity"] < 100
        assert (tmp_path / "smaller.png").stat().st_size > 1000
    else:
        assert "no language model was measured" in told


def test_the_perplexity_of_a_guess_among_ten_is_ten():
    guess = Measured(0, 0, 0, 0, [float(np.log(0.1))] * 7)
    assert math.isclose(guess.perplexity, 10)
