"""One policy, whole or streamed, for a chat or a completion: what a request gets, through the scheduler."""

import asyncio
import json
from io import BytesIO, TextIOWrapper
from types import SimpleNamespace

import pytest

from apps.service.generation.bodies import ChatRequest, CompletionRequest
from apps.service.generation.counted import GenerationMetrics
from apps.service.generation.generator import Generator
from apps.service.generation.moderation import Policy
from apps.service.generation.prices import OURS, prices_in
from apps.service.generation.runtime import Encoded, Ended, Limits
from apps.service.generation.usage import Usage
from apps.service.logs import configure
from apps.service.metrics import Metrics
from apps.service.settings import Settings

CARD = "4111111111111111"


class Told:
    """A runtime that says what it is told to, so that what leaves can be compared with it."""

    name, limits, created = "told", Limits(2048, 2, schemas=False), 0

    def __init__(self, pieces: list[str]) -> None:
        self._pieces, self.prompts = pieces, []

    def encode(self, prompt) -> Encoded:
        self.prompts.append(prompt)
        return Encoded(prompt, 3)

    def generate(self, encoded, sampling, salt, emit) -> Ended:
        for number, piece in enumerate(self._pieces, 1):
            if emit(piece, 1):
                return Ended("stop", encoded.tokens, number)
        return Ended("stop", encoded.tokens, len(self._pieces))

    def close(self) -> None:
        pass


@pytest.fixture
def replies(tmp_path):
    """What is answered to a prompt, where the model says `pieces`: text and reason of each way to ask."""
    path = tmp_path / "words.txt"
    path.write_text("blocked", encoding="utf-8")
    settings = Settings.model_construct(generation_blocked_words=path, generation_folder=tmp_path)
    stream = TextIOWrapper(BytesIO())
    log, metrics = configure(settings, stream), Metrics("fastapi_app")
    counted = GenerationMetrics(metrics.registry)
    started = []

    def ask(prompt: str, pieces: list[str], ways=None) -> tuple[list[tuple[str, str]], Told]:
        runtime = Told(pieces)
        policy = Policy(settings, log, metrics)
        usage = Usage(settings, prices_in(OURS), log, counted)
        generator = Generator(settings, log, counted, runtime, policy, usage, None)
        generator.start()
        started.append(generator)
        found = []
        for complete in (False, True):
            for read in ways or (whole, awhole, streamed, astreamed):
                context = SimpleNamespace(request_id="r", caller=None, version=None)
                if complete:
                    reply = generator.complete(context, CompletionRequest(prompt=prompt))
                else:
                    asked = {"role": "user", "content": prompt}
                    reply = generator.chat(context, ChatRequest(messages=[asked]))
                found.append(read(reply))
        return found, runtime

    yield ask
    for generator in started:
        generator.close()


def results_whole(reply):
    """What is told of the prompt, and of the answer."""
    answer = json.loads(reply.whole(bool).model_dump_json(exclude_none=True))
    return answer.get("prompt_filter_results"), answer["choices"][0].get("content_filter_results")


def results_streamed(reply):
    """The prompt's come with the first chunk, the answer's with the last, and none with another."""
    chunks = [json.loads(event[6:]) for event in reply.stream(bool) if event.startswith(b"data: {")]
    prompts = [chunk.get("prompt_filter_results") for chunk in chunks]
    texts = [chunk["choices"][0].get("content_filter_results") for chunk in chunks]
    assert not any(prompts[1:]) and not any(texts[:-1])
    return prompts[0], texts[-1]


def of_answer(answer) -> tuple[str, str]:
    choice = answer.model_dump()["choices"][0]
    return choice["text"] if "text" in choice else choice["message"]["content"], choice["finish_reason"]


def of_events(events: list[bytes]) -> tuple[str, str]:
    chunks = [
        json.loads(line.removeprefix("data: "))
        for line in b"".join(events).decode().split("\n\n")
        if line.startswith("data: {")
    ]
    choices = [chunk["choices"][0] for chunk in chunks]
    text = "".join(
        choice["text"] if "text" in choice else choice["delta"].get("content", "") for choice in choices
    )
    return text, choices[-1]["finish_reason"]


def whole(reply):
    return of_answer(reply.whole(bool))


def awhole(reply):
    return of_answer(asyncio.run(reply.awhole()))


def streamed(reply):
    return of_events(list(reply.stream(bool)))


def astreamed(reply):
    async def read():
        return [event async for event in reply.astream()]

    return of_events(asyncio.run(read()))


def test_what_is_blocked_ends_every_answer_alike(replies):
    found, _ = replies("Hello", ["One", " thing", " is", " bl", "\u043eck", "ed", " now", "."])
    assert found == [("One thing is ", "content_filter")] * 8


def test_what_is_blocked_at_the_very_end(replies):
    found, _ = replies("Hello", ["It", " is", " blocked"])
    assert found == [("It is ", "content_filter")] * 8


def test_personal_data_is_replaced_in_both_directions(replies):
    found, runtime = replies(f"My card is {CARD}", ["Your", " card", " is", " 4111", "1111", "1111", "1111"])
    assert found == [("Your card is [card]", "stop")] * 8
    told = [prompt.text or prompt.messages[0]["content"] for prompt in runtime.prompts]
    assert told == ["My card is [card]"] * 8


def test_what_the_rules_found_is_told_and_only_where_they_did(replies):
    replaced, refused = {"detected": True, "filtered": False}, {"detected": True, "filtered": True}
    ways = results_whole, results_streamed
    for prompt, pieces, told in (
        ("Hello", ["Fine", "."], (None, None)),
        (f"{CARD}\u200b", ["Fine", "."], ({"hidden-characters": replaced, "card": replaced}, None)),
        ("Hello", ["Mail", " a@example.org", " now"], (None, {"email": replaced})),
        (
            f"My card is {CARD}",
            ["Mail", " a@example.org", " or", " a", " blocked", " one"],
            ({"card": replaced}, {"email": replaced, "blocked-words": refused}),
        ),
    ):
        of_prompt = told[0] and [{"prompt_index": 0, "content_filter_results": told[0]}]
        assert replies(prompt, pieces, ways)[0] == [(of_prompt, told[1])] * 4


def test_what_is_allowed_leaves_byte_for_byte(replies):
    pieces = ["Ünï", "cödé \u200b", "👩\u200d", "🔬", "\r\n", "x²", " e\u0301", " b", "l", "ock", "\x07"]
    assert replies("Hello", pieces)[0] == [("".join(pieces), "stop")] * 8
