"""`kit.py check`, where a server does not serve the model."""

import shutil

from kit.check import served
from model_training.card import read_card


def test_a_model_that_the_servers_do_not_load_breaks_the_contract(iris_root, tmp_path):
    folder = shutil.copytree(iris_root / "models" / "iris", tmp_path / "iris")
    card = read_card(folder / "card.json")
    (folder / "model.onnx").write_bytes(b"something else")
    found = list(served(folder, card))
    assert [one.passed for one in found] == [False, False, True, False]  # they refuse it alike
    assert found[0].found.startswith("0 of 3, the first other answer: ") and "503" in found[0].found
