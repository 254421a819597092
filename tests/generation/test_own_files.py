"""A GGUF file of one's own as GENERATION_MODEL, and what a file that cannot be loaded is told."""

import math

import pytest

from apps.service.generation import llama as llama_cpp
from apps.service.generation import runtime_of
from apps.service.generation.runtime import Prompt, Sampling
from apps.service.settings import SettingsError, read
from benchmarks.language_model import TEXT, LanguageModel
from model_training.quantisation import requantise
from tests.generation.shape import settings


@pytest.fixture(scope="module")
def own(weights, tmp_path_factory):
    return requantise(weights, "Q4_0", tmp_path_factory.mktemp("own"))


def test_it_is_served_under_its_files_name(own):
    runtime = runtime_of(settings(generation_model=str(own)))
    try:
        assert runtime.name == "smollm2-135m-instruct.q4_0"
        written = []
        encoded = runtime.encode(Prompt(messages=({"role": "user", "content": "Say hello."},)))
        ended = runtime.generate(
            encoded, Sampling(8, temperature=0), "me", lambda text, tokens: written.append(text)
        )
        assert 0 < ended.completion_tokens <= 8 and "".join(written).strip()
    finally:
        runtime.close()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("nowhere.gguf", None, r"nowhere\.gguf cannot be read \(No such file"),
        ("pickle.gguf", b"\x80\x04 a model of another kind", r"pickle\.gguf is no GGUF file"),
        ("empty.gguf", b"", r"empty\.gguf is no GGUF file"),
        ("cut.gguf", b"GGUF\x03\x00\x00\x00", r"does not load cut\.gguf .*Is it whole"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_told_with_what_to_look_at(weights, tmp_path, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=f"^GENERATION_MODEL: .*{told}"):
        runtime_of(settings(generation_model=str(tmp_path / name)))


def test_a_file_that_was_cut_short_is_told(own, tmp_path):
    (tmp_path / "half.gguf").write_bytes(own.read_bytes()[: own.stat().st_size // 2])
    with pytest.raises(SettingsError, match=r"does not load half\.gguf"):
        runtime_of(settings(generation_model=str(tmp_path / "half.gguf")))


def test_without_llama_cpp_it_says_what_runs_such_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr(llama_cpp.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="llama.cpp, which runs mine.gguf, is not installed. Run `pip"):
        runtime_of(settings(generation_model=str(tmp_path / "mine.gguf")))


def test_what_is_neither_a_name_nor_such_a_file_is_refused(monkeypatch):
    monkeypatch.setenv("GENERATION_MODEL", "gpt-7")
    with pytest.raises(SettingsError, match=r"GENERATION_MODEL: .*expected auto, smollm2, tiny, or a file"):
        read()


def test_the_probabilities_that_are_forced_out_of_it_are_the_models_own(weights):
    """All of them add up to one, and the one that it would have chosen itself is among them."""
    with LanguageModel(weights) as model:
        tokens = model.tokens(TEXT.read_text(encoding="utf-8"))[:6]
        forced = model.logprobs(tokens)
        for place in (1, 5):
            body = {"prompt": tokens[:place], "n_predict": 1, "n_probs": 60_000, "temperature": 0}
            [said] = model.ask("/completion", **body)["completion_probabilities"]
            everything = {one["id"]: one["logprob"] for one in said["top_logprobs"]}
            assert sum(map(math.exp, everything.values())) == pytest.approx(1, abs=1e-3)
            assert forced[place - 1] == pytest.approx(everything[tokens[place]], abs=0.02)
