"""llama.cpp in this process: what only it does."""

import threading

import pytest

from apps.service.generation import llama as llama_cpp
from apps.service.generation.llama import BATCH_TOKENS, LlamaRuntime, Slots
from apps.service.generation.runtime import Ended, Prompt, RuntimeFailed, Sampling
from tests.generation.shape import CONTEXT
from tests.late_threads import together  # noqa: F401 - the fixture

SECRET = "The password of the vault in the cellar is the name of the first cat that we had, and it was black."


def generate(runtime: LlamaRuntime, text: str, salt: str, tokens: int = 1) -> Ended:
    encoded = runtime.encode(Prompt(text=text))
    return runtime.generate(encoded, Sampling(tokens, temperature=0), salt, lambda text, tokens: False)


def test_what_a_tenant_has_asked_is_in_its_cache_and_in_no_others(llama):
    first = generate(llama, SECRET, "alice")
    assert first.cached_tokens == 0
    assert generate(llama, SECRET, "mallory").cached_tokens == 0
    assert generate(llama, SECRET, "alice").cached_tokens > first.prompt_tokens / 2
    for name in ("bob", "carol", "dave"):
        assert generate(llama, SECRET, name).cached_tokens == 0
    assert generate(llama, SECRET, "alice").cached_tokens == 0  # the others have had its slots


def test_tenants_at_the_same_time_find_nothing_of_each_other(llama):
    cached = {}

    def one(name: str) -> None:
        cached[name] = [generate(llama, f"{SECRET} {turn}", name).cached_tokens for turn in range(2)]

    names = ("erin", "frank", "grace")
    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(cached[name][0] == 0 for name in names)


def test_a_long_prompt_ends_soon_after_stop_is_said(llama):
    """Before its first token: a batch of the prompt, and no more, is computed on top."""
    told = []

    def emit(text: str, tokens: int) -> bool:
        told.append((text, tokens))
        return True

    encoded = llama.encode(Prompt(text="word " * 120))
    ended = llama.generate(encoded, Sampling(max_tokens=50), "nobody", emit)
    assert told == [("", 0)]
    assert ended.completion_tokens == 0
    again = llama.generate(encoded, Sampling(max_tokens=1), "nobody", lambda text, tokens: False)
    assert again.cached_tokens <= 2 * BATCH_TOKENS < encoded.tokens


def test_a_prompt_that_is_too_long_is_a_failure_without_its_text(llama):
    encoded = llama.encode(Prompt(text="secretword " * CONTEXT))
    with pytest.raises(RuntimeFailed) as failure:
        llama.generate(encoded, Sampling(max_tokens=5), "", lambda text, tokens: False)
    assert "secretword" not in str(failure.value)


def test_a_schema_is_followed(llama):
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["Ann", "Bob"]}},
        "required": ["name"],
        "additionalProperties": False,
    }
    encoded = llama.encode(Prompt(messages=({"role": "user", "content": "A name, as JSON."},)))
    pieces = []

    def emit(text: str, tokens: int) -> bool:
        pieces.append(text)
        return False

    llama.generate(encoded, Sampling(40, temperature=0, schema=schema), "", emit)
    assert "".join(pieces).replace(" ", "").replace("\n", "") in ('{"name":"Ann"}', '{"name":"Bob"}')


def test_a_file_that_is_no_model_is_told(weights, tmp_path):
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF but not really")
    with pytest.raises(RuntimeFailed, match=r"does not load broken\.gguf"):
        LlamaRuntime(file, "broken", CONTEXT, 1, 1)


def test_what_runs_when_it_is_closed_ends_with_a_failure(weights):
    runtime = LlamaRuntime(weights, "smollm2", CONTEXT, 1, 1)
    started, failures = threading.Event(), []

    def emit(text: str, tokens: int) -> bool:
        started.set()
        return runtime._closed  # as the scheduler, which cancels what runs before it closes

    def run() -> None:
        try:
            runtime.generate(runtime.encode(Prompt(text="Once")), Sampling(400, seed=1), "", emit)
        except RuntimeFailed as error:
            failures.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(30)
    runtime.close()
    thread.join(30)
    assert failures == ["the model is being unloaded"]


def test_it_is_not_there_where_either_package_is_missing(monkeypatch):
    monkeypatch.setattr(llama_cpp, "PACKAGE", "a_package_that_nobody_has")
    assert llama_cpp.weights() is None


def test_a_slot_goes_to_whom_had_it_last_and_else_to_who_waits():
    slots = Slots(2)
    assert slots.take("a") == (0, False)
    assert slots.take("b") == (1, False)
    slots.give_back(0)
    slots.give_back(1)
    assert slots.take("b") == (1, True)
    assert slots.take("b") == (0, False)
    slots.give_back(0)
    assert slots.take("a") == (0, False)


def test_prompts_that_come_at_once_all_have_their_tokens(llama, together):  # noqa: F811
    prompt = Prompt(text="What is an iris?")
    assert together(lambda: llama.encode(prompt)) == [llama.encode(prompt)] * 100
