"""The tiny model: how it is made, and how it chooses."""

import hashlib
import json
import logging
import random
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

from apps.service.generation import runtime_of
from apps.service.generation.runtime import Prompt, RuntimeFailed, Sampling
from apps.service.generation.stops import Stops
from apps.service.generation.tiny import COLDEST, FILE, ROOT, TinyRuntime, choose
from apps.service.settings import SettingsError
from model_training.generator import CONTEXT, END, paragraphs, train
from tests.generation.shape import settings

FEW = ["The cat sat on a mat while the dog slept by the fire."] * 20


ONCE = """
import sys
from pathlib import Path
from model_training import generator

def train(texts):
    print("trained", flush=True)
    return once(texts)

once, generator.train = generator.train, train
generator.paragraphs = lambda: ["The cat sat on a mat."] * 50
generator.train_once(Path(sys.argv[1]))
"""


def test_it_is_trained_once_where_several_start_at_once(tmp_path):
    file = tmp_path / "tiny.onnx"
    command = [sys.executable, "-c", ONCE, str(file)]
    several = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate(timeout=200)[0] for process in several]
    assert [process.returncode for process in several] == [0, 0, 0]
    assert "".join(told) == "trained\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.lock", "tiny.onnx"]
    TinyRuntime(settings(), file)  # loads what is there


def test_a_training_that_was_killed_locks_nobody_out(tmp_path):
    file = tmp_path / "tiny.onnx"
    hang = ONCE.replace("return once(texts)", "import time; time.sleep(600)")
    killed = subprocess.Popen(
        [sys.executable, "-c", hang, str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout.readline() == "trained\n"
    killed.kill()
    killed.communicate()
    done = subprocess.run([sys.executable, "-c", ONCE, str(file)], cwd=ROOT, capture_output=True, timeout=200)
    assert done.returncode == 0 and file.exists()


def test_it_is_small(tiny):
    assert FILE.stat().st_size < 1_000_000


def test_the_same_text_makes_the_same_file():
    assert hashlib.sha256(train(FEW)).digest() == hashlib.sha256(train(FEW)).digest()
    assert train(FEW, seed=2) != train(FEW)


def test_it_learns_what_follows_what(tmp_path):
    """Trained on one sentence only, it goes on with it."""
    file = tmp_path / "tiny.onnx"
    file.write_bytes(train(FEW * 10))
    runtime, pieces = TinyRuntime(settings(), file), []

    def emit(text: str, tokens: int) -> bool:
        pieces.append(text)
        return False

    ended = runtime.generate(
        runtime.encode(Prompt(text="The cat sat ")),
        Sampling(100, temperature=0, repetition_penalty=1.0),
        "",
        emit,
    )
    assert "".join(pieces) == "on a mat while the dog slept by the fire."
    assert (ended.reason, ended.completion_tokens) == ("stop", len("".join(pieces)) + 1)  # with the end


def test_the_file_tells_its_characters_and_gives_probabilities():
    data = train(FEW)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    characters = json.loads(session.get_modelmeta().custom_metadata_map["characters"])
    assert characters == sorted({END, *FEW[0]})
    row = np.zeros((1, CONTEXT * len(characters)), np.float32)
    (shares,) = session.run(["probabilities"], {session.get_inputs()[0].name: row})
    assert shares.shape == (1, len(characters))
    assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_it_learns_from_plain_prose():
    found = paragraphs()
    assert sum(map(len, found)) > 50_000
    assert all(part.isascii() and part.isprintable() and len(part) > 30 for part in found)


def test_a_server_says_that_it_trains_and_why_it_cannot(tmp_path, caplog):
    file = tmp_path / "a file" / "tiny.onnx"
    file.parent.write_text("where a folder should be")
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(RuntimeFailed, match="cannot be trained: .*tiny.onnx"),
    ):
        TinyRuntime(settings(), file)
    assert "training the tiny language model" in caplog.text


def test_a_broken_file_is_told_with_what_to_do(tmp_path, monkeypatch):
    from apps.service.generation import tiny

    file = tmp_path / "tiny.onnx"
    file.write_bytes(b"no model")
    monkeypatch.setattr(tiny.TinyRuntime.__init__, "__defaults__", (file,))
    with pytest.raises(SettingsError, match="GENERATION_MODEL: .*python kit.py train tiny"):
        runtime_of(settings(generation_model="tiny"))


def test_what_runs_when_it_is_closed_ends_with_a_failure(tmp_path):
    file = tmp_path / "tiny.onnx"
    file.write_bytes(train(FEW))
    runtime, pieces = TinyRuntime(settings(), file), []

    def emit(text: str, tokens: int) -> bool:
        pieces.append(text)
        if len(pieces) == 3:
            runtime.close()
        return False

    with pytest.raises(RuntimeFailed, match="unloaded"):
        runtime.generate(runtime.encode(Prompt(text="The")), Sampling(100, seed=1), "", emit)
    assert len(pieces) == 3


def test_characters_that_it_has_never_seen_are_one_token_each_and_never_written(tiny):
    encoded = tiny.encode(Prompt(text="日本🙂\0"))
    assert encoded.tokens == 4 and len(set(encoded.value)) == 1
    pieces = []
    tiny.generate(encoded, Sampling(200, temperature=2, seed=1), "", lambda text, tokens: pieces.append(text))
    assert "".join(pieces).isascii()


def shares_of(chosen: list[int]) -> list[float]:
    return [chosen.count(number) / len(chosen) for number in range(4)]


def drawn(recent=(), draws: int = 4000, **sampling) -> list[float]:
    """How often each of four tokens is chosen; without penalties half, a quarter, and an eighth twice."""
    chance, scores = random.Random(1), np.log([0.5, 0.25, 0.125, 0.125])
    asked = Sampling(1, **{"repetition_penalty": 1.0, **sampling})
    return shares_of([choose(scores.copy(), list(recent), asked, chance) for _ in range(draws)])


def test_tokens_are_chosen_as_often_as_their_probabilities_say():
    assert drawn() == pytest.approx([0.5, 0.25, 0.125, 0.125], abs=0.03)


def test_temperature_sharpens_and_flattens():
    assert drawn(temperature=0.5) == pytest.approx([0.727, 0.182, 0.045, 0.045], abs=0.03)  # their squares
    assert drawn(temperature=0) == drawn(temperature=COLDEST / 10) == [1, 0, 0, 0]
    assert drawn(temperature=COLDEST) == [1, 0, 0, 0]


def test_top_p_leaves_the_likeliest_that_reach_it_together():
    assert drawn(top_p=0.75) == pytest.approx([2 / 3, 1 / 3, 0, 0], abs=0.03)
    assert drawn(top_p=0.5) == drawn(top_p=0) == [1, 0, 0, 0]


def test_penalties_are_for_what_was_there():
    by_presence = drawn(recent=[0, 0, 0], presence_penalty=np.log(2))
    assert by_presence == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6], abs=0.03)
    by_frequency = drawn(recent=[0, 0, 0], frequency_penalty=np.log(2))
    assert by_frequency == pytest.approx([1 / 9, 4 / 9, 2 / 9, 2 / 9], abs=0.03)
    by_repetition = drawn(recent=[0], repetition_penalty=2)
    assert by_repetition == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6], abs=0.03)
    assert drawn(recent=[4, 4], presence_penalty=2) == drawn()  # unknown characters


@pytest.mark.parametrize(
    ("stops", "pieces", "text"),
    [
        (("END",), ["some ", "E", "N", "D", " more"], "some "),
        (("END",), ["some END more"], "some "),
        (("END",), ["EN", "EN", "D"], "EN"),
        (("aab",), ["a", "a", "a", "b"], "a"),
        (("abcd", "bc"), ["a", "b", "c", "d"], "a"),
        (("later", "now"), ["now and later"], ""),
        (("END",), ["nothing of it, EN"], "nothing of it, EN"),
        ((), ["all", " of it"], "all of it"),
    ],
)
def test_a_text_ends_before_the_first_stop(stops, pieces, text):
    found, looked = "", Stops(stops)
    for piece in pieces:
        found += looked.add(piece)
        assert not any(stop in found for stop in stops)
        if looked.found:
            break
    assert found + looked.rest() == text
