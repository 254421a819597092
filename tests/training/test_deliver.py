"""A model folder arrives whole and as its card has it, or not at all."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from model_training.artifact import load
from model_training.card import CardError
from model_training.deliver import deliver, main
from model_training.export import PROJECT

FORMATS = ("onnx", "skops", "joblib")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "volume" / "model"


def test_what_arrives_is_the_model_in_every_format(iris, target):
    card = deliver(iris, target)
    assert contents(target) == contents(iris) and card.name == "iris"
    for format in FORMATS:
        load(target, format)


def test_it_says_what_it_brought_and_can_be_run_again(iris, target):
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "model_training.deliver", str(iris), str(target)],
            cwd=PROJECT, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("deliver: iris ") and "3 files" in done.stdout


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_was_changed_stops_everything(iris, target, capsys, format):
    path = iris / f"model.{format}"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert main([str(iris), str(target)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("deliver: ") and said.count("\n") == 1
    assert path.name in said and "sha256" in said and "expected" in said
    assert not target.exists()


def test_what_was_there_stays_where_the_next_model_is_not_right(iris, target):
    deliver(iris, target)
    before = contents(target)
    (iris / "model.onnx").write_bytes(b"cut short")
    assert main([str(iris), str(target)]) == 1
    assert contents(target) == before


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "card.json").unlink(), "there is no card"),
        (lambda folder: (folder / "card.json").write_text("{}"), "is not a model card"),
        (lambda folder: (folder / "model.skops").unlink(), "model.skops cannot be read"),
    ],
)
def test_a_folder_that_is_not_whole_is_one_line(iris, target, capsys, damage, words):
    damage(iris)
    assert main([str(iris), str(target)]) == 1
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and not target.exists()


@pytest.mark.parametrize("name", ["../model.onnx", "/tmp/model.onnx", "", "..", "a/b"])
def test_a_card_cannot_name_a_file_elsewhere(iris, target, name):
    path = iris / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["files"]["onnx"]["file"] = name
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(CardError, match="in the card's folder"):
        deliver(iris, target)
    assert not target.exists()


def test_a_full_disk_leaves_nothing_behind(iris, target, capsys, monkeypatch):
    deliver(iris, target)
    before = contents(target)

    def full(_) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("model_training.deliver.os.fsync", full)
    assert main([str(iris), str(target)]) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said and said.count("\n") == 1
    assert contents(target) == before


def test_the_card_is_the_last_to_take_its_place(iris, target, monkeypatch):
    placed, replace = [], Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda draft, name: placed.append(Path(name).name) or replace(draft, name)
    )
    deliver(iris, target)
    assert placed[-1] == "card.json" and sorted(placed) == sorted(contents(target))
