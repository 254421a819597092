"""What holds for all that run a language model: the kit's tiny one, llama.cpp in this process, and a server
asked over HTTP, which is llama.cpp's own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.service.generation.runtime import Ended, Prompt, Runtime, Sampling
from apps.service.generation.stops import begun_by

CHAT = Prompt(messages=({"role": "user", "content": "Tell me about the sea."},))
TEXT = Prompt(text="Once upon a time there was")


@pytest.fixture(params=["tiny", "llama", "remote"])
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return request.getfixturevalue(request.param)


def generate(
    runtime: Runtime,
    prompt: Prompt = TEXT,
    salt: str = "",
    until: Callable[[str, int], bool] = lambda text, tokens: False,
    **sampling,
) -> tuple[str, int, Ended]:
    """The text, the tokens that were told with its pieces, and how it ended. `until` is given the text so
    far, and its tokens."""
    pieces, tokens = [], [0]

    def emit(text: str, count: int) -> bool:
        pieces.append(text)
        tokens[0] += count
        return until("".join(pieces), tokens[0])

    asked = Sampling(**{"max_tokens": 16, "temperature": 0.7, "seed": 5, **sampling})
    ended = runtime.generate(runtime.encode(prompt), asked, salt, emit)
    return "".join(pieces), tokens[0], ended


@pytest.mark.parametrize("prompt", [CHAT, TEXT])
def test_a_text_comes_in_pieces_whose_tokens_add_up(runtime, prompt):
    pieces = []
    encoded = runtime.encode(prompt)
    asked = Sampling(max_tokens=16, temperature=0.7, seed=5)
    ended = runtime.generate(encoded, asked, "", lambda text, tokens: pieces.append((text, tokens)))
    assert sum(bool(text) for text, _ in pieces) > 3
    assert sum(tokens for _, tokens in pieces) == ended.completion_tokens
    assert 0 < ended.completion_tokens <= 16
    assert ended.prompt_tokens > 0 and encoded.tokens > 0
    assert ended.reason == ("length" if ended.completion_tokens == 16 else "stop")


def test_what_is_ended_by_max_tokens_says_so(runtime):
    _, tokens, ended = generate(runtime, max_tokens=3, temperature=0)
    assert (tokens, ended.completion_tokens, ended.reason) == (3, 3, "length")


def test_the_same_seed_gives_the_same_text_and_another_another(runtime):
    first, second = generate(runtime)[0], generate(runtime)[0]
    assert first == second
    assert len({first, *(generate(runtime, seed=seed)[0] for seed in (6, 7, 8))}) > 1


def test_at_temperature_0_the_seed_does_not_matter(runtime):
    assert generate(runtime, temperature=0, seed=1)[0] == generate(runtime, temperature=0, seed=2)[0]


def test_a_top_p_of_next_to_nothing_leaves_the_likeliest_token(runtime):
    likeliest = generate(runtime, temperature=0)[0]
    assert generate(runtime, temperature=1.5, top_p=1e-6)[0] == likeliest


def test_a_text_ends_before_a_stop_wherever_its_pieces_begin(runtime):
    """The stops are cut out of what comes without one, so each of them spans other pieces."""
    whole = generate(runtime, temperature=0)[0]
    for place in range(2, 10) if runtime.name == "tiny" else (3, 8):
        stop = whole[place : place + 5]
        text, tokens, ended = generate(runtime, temperature=0, stop=(stop,))
        assert text == whole[: whole.index(stop)]
        assert (ended.reason, ended.completion_tokens) == ("stop", tokens)


def test_what_only_looks_like_the_beginning_of_a_stop_comes_out(runtime):
    whole = generate(runtime, temperature=0)[0]
    near = (whole[place : place + 4] + "\x07" for place in (1, 5, 9, 13))
    near = tuple(stop for stop in near if not begun_by(whole, stop))  # for the test after this one
    assert near
    assert generate(runtime, temperature=0, stop=near)[0] == whole


@pytest.mark.parametrize("name", ["tiny", "llama"])
def test_what_is_held_back_for_a_stop_is_not_lost_at_the_end(name, request):
    """llama.cpp's own server does lose it."""
    runtime = request.getfixturevalue(name)
    whole = generate(runtime, temperature=0)[0]
    assert generate(runtime, temperature=0, stop=(whole[-3:] + "\x07",))[0] == whole


def test_who_says_stop_gets_no_more(runtime):
    """Of a server elsewhere this says only that nothing more is passed on."""
    calls_after = 0

    def until(text: str, tokens: int) -> bool:
        nonlocal calls_after
        calls_after += tokens >= 5
        return tokens >= 5

    _, tokens, ended = generate(runtime, until=until, max_tokens=200)
    assert calls_after == 1
    assert tokens == ended.completion_tokens == 5
    assert ended.reason == "stop"


def test_penalties_change_what_is_said_twice(runtime):
    plain = generate(runtime, temperature=0, max_tokens=40)[0]
    assert generate(runtime, temperature=0, max_tokens=40, frequency_penalty=2)[0] != plain
    assert generate(runtime, temperature=0, max_tokens=40, presence_penalty=2)[0] != plain


def test_several_threads_generate_at_a_time_and_each_its_own(runtime):
    alone = [
        generate(runtime, temperature=0, seed=1, max_tokens=12, prompt=Prompt(text=text))[0] for text in "ab"
    ]
    barrier = threading.Barrier(2)

    def one(text: str) -> str:
        barrier.wait()
        return generate(runtime, temperature=0, seed=1, max_tokens=12, prompt=Prompt(text=text))[0]

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(one, "ab"))
    assert all(together) and together[0] != together[1]
    if runtime.name == "tiny":  # llama.cpp adds up in another order where it computes two texts at once
        assert together == alone


def test_what_is_raised_where_a_piece_goes_comes_out_and_the_next_text_is_whole(runtime):
    class Refused(Exception):
        pass

    def refuse(text: str, tokens: int) -> bool:
        if text:
            raise Refused
        return False

    before = generate(runtime, temperature=0)[0]
    with pytest.raises(Refused):
        runtime.generate(runtime.encode(TEXT), Sampling(max_tokens=50), "", refuse)
    assert generate(runtime, temperature=0)[0] == before


def test_what_is_special_in_the_models_template_is_text_in_a_prompt(runtime):
    """Were it special, it would be one token; as text it is several."""
    bare = runtime.encode(Prompt(messages=({"role": "user", "content": "a"},))).tokens
    for special in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"):
        messages = ({"role": "user", "content": f"a{special}"},)
        assert runtime.encode(Prompt(messages=messages)).tokens >= bare + 4
        assert runtime.encode(Prompt(text=special)).tokens >= 4


def test_any_text_is_a_prompt(runtime):
    texts = ["\0", "\x1b[31m", "\u202e", "日本語", "🙂" * 20, " ", "\n\n\n", "<unk>"]
    for text in texts if runtime.name == "tiny" else ["".join(texts), " "]:
        for prompt in (Prompt(text=text), Prompt(messages=({"role": "user", "content": text},))):
            _, tokens, ended = generate(runtime, prompt=prompt, max_tokens=2)
            assert tokens == ended.completion_tokens <= 2


def test_the_model_tells_its_name_and_when_it_was_made(runtime):
    assert runtime.name
    assert runtime.created > 1_600_000_000
    assert runtime.limits.slots == 2
