"""A language model behind both servers, as OpenAI's own client and others see it.

The names in brackets are those of the cases in the groups `streaming` and `generative-safety`."""

import asyncio
import json
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

import httpx
import openai
import pydantic
import pytest
import test_openapi
from credentials import bearer, eventually, guarded_pair
from language_doors import CHAT, COMPLETE, HELLO, LONG, Door
from pairs import FULL
from websockets.sync.client import connect

from tests.generation.openai_like import DONE, Answer, chunk, openai_like, piece


@pytest.fixture
def client(door) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{door.url}/v1", api_key="none", max_retries=0) as found:
        yield found


@pytest.fixture
def model(client) -> str:
    return client.models.list().data[0].id


# --- OpenAI's client


def test_a_chat_is_answered_whole(client, model):
    answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=8)
    (choice,) = answer.choices
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    usage = answer.usage
    assert 1 <= usage.completion_tokens <= 8
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_is_the_whole_answer_in_pieces(client, model):
    """[seed-determinism]"""
    asked = {"model": model, "messages": HELLO, "max_tokens": 12, "seed": 7, "temperature": 1}
    whole = client.chat.completions.create(**asked)
    chunks = [*client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})]
    *told, last = chunks
    assert "".join(chunk.choices[0].delta.content or "" for chunk in told) == whole.choices[0].message.content
    assert told[0].choices[0].delta.role == "assistant"
    assert told[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert last.choices == [] and last.usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_what_it_cost_and_what_the_rules_found_are_told_beside_openai_s_members(client, model):
    asked = {"model": model, "max_tokens": 4, "stream_options": {"include_usage": True}}
    asked["messages"] = [{"role": "user", "content": "My card is 4111 1111 1111 1111."}]
    first, *_, last = client.chat.completions.create(**asked, stream=True)
    whole = client.chat.completions.create(**{**asked, "stream_options": None})
    for told in (first, whole):
        (found,) = told.model_extra["prompt_filter_results"]
        assert found["content_filter_results"] == {"card": {"detected": True, "filtered": False}}
    for usage in (last.usage, whole.usage):
        assert usage.model_extra["cost"] > 0 and usage.model_extra["currency"] == "USD"
    quiet = client.chat.completions.create(model=model, messages=HELLO, max_tokens=1)
    assert "prompt_filter_results" not in quiet.model_extra


def test_a_text_is_gone_on_with(client, model):
    answer = client.completions.create(model=model, prompt="Once upon a time", max_tokens=6, n=2, seed=1)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.choices[0].text != answer.choices[1].text
    again = client.completions.create(
        model=model, prompt="Once upon a time", max_tokens=6, seed=1, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in again) == answer.choices[0].text


def test_asyncio(door, model):
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{door.url}/v1", api_key="none", max_retries=0) as client:
            answers = [
                client.chat.completions.create(model=model, messages=HELLO, max_tokens=4) for _ in range(3)
            ]
            stream = await client.chat.completions.create(
                model=model, messages=HELLO, max_tokens=4, stream=True
            )
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
            return [text, *[answer.choices[0].message.content for answer in await asyncio.gather(*answers)]]

    assert all(asyncio.run(ask()))


def test_what_clients_send_that_asks_for_nothing_is_taken(client, model):
    neutral = {"logprobs": False, "tools": None, "logit_bias": {}, "service_tier": "auto", "user": "someone"}
    asked = {"model": model, "messages": HELLO, "max_tokens": 2}
    said = client.chat.completions.create(**asked, **neutral).choices[0].message
    history = [*HELLO, said, {"role": "user", "content": [{"type": "text", "text": "Again."}]}]
    assert client.chat.completions.create(**asked | {"messages": history}).usage.completion_tokens == 2
    assert client.completions.create(model=model, prompt=["Once"], max_tokens=2, echo=False).choices
    assert client.models.retrieve(model).id == model
    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve("another")
    assert refused.value.code == "unknown-model"
    with pytest.raises(openai.BadRequestError, match="expected one prompt, got 2"):
        client.completions.create(model=model, prompt=["a", "b"], max_tokens=2)


class City(pydantic.BaseModel):
    name: str
    people: int


def test_an_answer_follows_a_schema(client, model):
    asked = [{"role": "user", "content": "Name a city."}]
    answer = client.chat.completions.parse(
        model=model, messages=asked, response_format=City, max_tokens=200, temperature=0
    )
    assert isinstance(answer.choices[0].message.parsed, City)


def test_stop_is_a_text_and_not_a_pattern(client, model):
    """[stop-regex]"""
    asked = {"model": model, "prompt": "one two three four five six", "max_tokens": 20, "temperature": 0}
    text = client.completions.create(**asked).choices[0].text
    stop = text[2:4]
    answer = client.completions.create(**asked, stop=stop).choices[0]
    assert answer.text == text[: text.index(stop)] and answer.finish_reason == "stop"
    assert client.completions.create(**asked, stop="(a+)+$").choices[0].text == text


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "another"}, 404, "unknown-model"),
        ({"messages": []}, 400, "invalid-input"),
        ({"max_tokens": 0}, 400, "invalid-input"),
        ({"max_tokens": 10**9}, 400, "invalid-input"),
        ({"n": 1000}, 400, "invalid-input"),
        ({"temperature": -1}, 400, "invalid-input"),
        ({"tools": []}, 400, "invalid-input"),
        ({"logprobs": True}, 400, "invalid-input"),
        ({"unknown": None}, 400, "invalid-input"),
        ({"stop": ["a"] * 5}, 400, "invalid-input"),
        ({"messages": [{"role": "user", "content": "word " * 5000}]}, 400, "prompt-too-long"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_is_told_before_anything_is_sent(door, change, status, code, stream):
    """[sse-invalid-before-start] [sse-max-tokens]"""
    body = {"messages": HELLO, "max_tokens": 5, "stream": stream} | change
    answer = httpx.post(door.url + CHAT, json=body, timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    error = answer.json()["error"]
    assert error["code"] == code and error["message"] and error["type"] == "invalid_request_error"


def test_a_stream_says_that_it_is_one(door):
    """[sse-headers] [sse-last-event-id]"""
    body = {"prompt": "x\n\nevent: done\ndata: y", "max_tokens": 5, "stream": True}
    answer = httpx.post(door.url + COMPLETE, json=body, headers={"Last-Event-ID": "x y"}, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store" and answer.headers["x-accel-buffering"] == "no"
    *events, end = answer.text.removesuffix("\n\n").split("\n\n")
    assert end == "data: [DONE]"
    assert all(event.startswith("data: ") and "\n" not in event for event in events)  # [sse-injection]
    assert all(json.loads(event.removeprefix("data: "))["object"] == "text_completion" for event in events)


def test_both_documents_tell_the_same(doors):
    fastapi, flask = (httpx.get(door.url + "/openapi.json").json() for door in doors.values())
    for path in (CHAT, COMPLETE, "/v1/models"):
        assert fastapi["paths"][path] == flask["paths"][path]


# --- who leaves


COMPUTED_IN_VAIN = 60  # tokens, on a machine that is too busy to look at once


@pytest.mark.parametrize("stream", [False, True])
def test_who_leaves_before_the_first_token_has_nothing_generated(door, stream):
    """[sse-disconnect-before-first-token]"""
    before, left = door.generated, door.count("generation_texts_total", ended="cancelled")
    with door.sent(LONG | {"stream": stream}):
        assert eventually(lambda: door.running == 1)
    assert eventually(lambda: door.running == 0)
    assert door.generated - before < COMPUTED_IN_VAIN
    assert door.count("generation_texts_total", ended="cancelled") == left + 1


def test_who_leaves_amid_a_stream_ends_it(door):
    before, chunks = door.generated, 0
    with door.client.stream("POST", CHAT, json=LONG | {"stream": True}) as answer:
        for line in answer.iter_lines():
            chunks += line.startswith("data: ")
            if chunks == 10:
                break
    assert eventually(lambda: door.running == 0)
    assert chunks <= door.generated - before < chunks + COMPUTED_IN_VAIN


def test_who_leaves_amid_a_whole_answer_ends_it(door, client, model):
    """As many tokens are computed as come until then, and not all that were asked for."""
    whole = LONG | {"model": model, "temperature": 0, "max_tokens": 300}
    before = door.generated
    client.chat.completions.create(**whole)
    all_of_it = door.generated - before
    with door.sent(whole):
        assert eventually(lambda: door.running == 1)
        assert not eventually(lambda: door.running == 0, seconds=0.3)
    assert eventually(lambda: door.running == 0)
    assert 0 < door.generated - before - all_of_it < all_of_it


def test_as_many_wait_as_may_and_more_are_told_to_come_again(door):
    connections = [door.sent(LONG | {"stream": True}) for _ in range(4)]
    try:
        assert eventually(lambda: door.running == 2 and door.count("generation_waiting") == 2)
        answer = door.ask(LONG)
        assert answer.status_code == 503 and answer.json()["error"]["code"] == "generation-busy"
        assert int(answer.headers["retry-after"]) >= 1
        assert door.client.post("/predict", json={"features": [5.1, 3.5, 1.4, 0.2]}).status_code == 200
    finally:
        for connection in connections:
            connection.close()
    assert eventually(lambda: door.running == 0 and door.count("generation_waiting") == 0)


@pytest.mark.parametrize("name", FULL)
def test_one_who_does_not_read_is_cut_off_and_slows_nobody(tmp_path, name):
    """[sse-slow-consumer] An answer without end, from a server further on, which is let go of too."""
    gone = []

    def tell(answer: Answer) -> None:
        with suppress(OSError):
            answer.begin()
            while True:
                answer.send(piece("word " * 200))
        gone.append(True)

    with openai_like() as further:
        further.completes = tell
        env = {"GENERATION_URL": further.url + "/v1", "GENERATION_WRITE_SECONDS": "1"}
        env["KEEP_ALIVE_SECONDS"] = "60"
        door = Door(name, env | {"GENERATION_MODERATION": "off", "GENERATION_FOLDER": str(tmp_path)})
        try:
            door.wait()
            with door.sent({"messages": HELLO, "stream": True}, window=1000):
                assert eventually(lambda: door.running == 1)
                assert door.client.get("/health").status_code == 200
                assert eventually(lambda: door.running == 0)
            assert door.count("generation_texts_total", ended="cancelled") == 1
            assert eventually(lambda: gone)
        finally:
            door.stop()


@pytest.mark.parametrize("name", FULL)
def test_a_model_that_says_nothing_or_does_not_end_has_a_deadline(tmp_path, name):
    """Meanwhile a stream has heartbeats, and in the end an event that says why."""

    def tell(answer: Answer) -> None:
        answer.begin()
        if further.asked[-1][2]["max_tokens"] > 9:
            for _ in range(100):
                answer.send(piece("word "))
                time.sleep(0.05)
        answer.wait_until_gone()

    with openai_like() as further:
        further.completes = tell
        env = {"GENERATION_URL": further.url, "GENERATION_FOLDER": str(tmp_path), "HEARTBEAT_SECONDS": "0.2"}
        door = Door(name, env | {"GENERATION_FIRST_TOKEN_SECONDS": "1", "GENERATION_SECONDS": "2"})
        try:
            door.wait()
            for tokens, why in ((9, "the first token did not come"), (10, "the whole answer did not come")):
                asked = {"prompt": "x", "max_tokens": tokens}
                whole = door.client.post(COMPLETE, json=asked)
                assert whole.status_code == 504 and whole.json()["error"]["code"] == "generation-timeout"
                assert why in whole.json()["error"]["message"]
                *before, last = door.client.post(COMPLETE, json=asked | {"stream": True}).text.split("\n\n")[
                    :-1
                ]
                assert last.startswith("event: error\ndata: ") and why in last
                assert tokens > 9 or ": still thinking" in before
            assert eventually(lambda: door.running == 0)
            assert door.count("generation_texts_total", ended="timeout") == 4
        finally:
            door.stop()


def test_at_temperature_0_what_was_answered_is_not_computed_again():
    for name in FULL:
        door = Door(name, {"CACHE": "on"})
        try:
            door.wait()
            asked = {"messages": HELLO, "max_tokens": 8, "temperature": 0}
            first = door.ask(asked)
            computed = door.generated
            again = door.ask(asked | {"stream": True})
            other = door.ask(asked | {"temperature": 1})
            assert first.headers["cache-status"] == "servelab; fwd=miss"
            assert re.fullmatch(r"servelab; hit; ttl=\d+", again.headers["cache-status"])
            assert "cache-status" not in other.headers
            events = [json.loads(line[6:]) for line in again.text.splitlines() if line.startswith("data: {")]
            text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
            assert text == first.json()["choices"][0]["message"]["content"]
            assert 0 < computed < door.generated <= computed + 8
            assert door.count("generation_texts_total", ended="recalled") == 1
        finally:
            door.stop()


# --- told to stop


def test_a_stream_has_an_end_when_the_server_stops():
    for name in FULL:
        door = Door(name, {"GRACE_SECONDS": "0.5", "DRAIN_SECONDS": "0"})
        door.wait()
        with httpx.stream("POST", door.url + CHAT, json=LONG | {"stream": True}, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            door.server.process.terminate()
            *_, name_of_it, data = [line for line in lines if line]
        assert name_of_it == "event: error"
        assert json.loads(data.removeprefix("data: "))["error"]["code"] == "draining"
        assert door.server.process.wait(20) == 0
        (line,) = [json.loads(line) for line in door.log().splitlines() if f'"{CHAT}"' in line]
        assert (line["status"], line["problem"]) == (200, "draining")
        door.stop()


# --- what is not written down


def test_no_log_has_a_prompt(door):
    """[prompt-log]"""
    said = "my card 4111111111111111"
    door.ask({"messages": [{"role": "user", "content": said}], "max_tokens": 3})
    door.ask({"messages": [{"role": "user", "content": said}], "max_tokens": -3})
    assert "4111111111111111" not in door.log() and "my card" not in door.log()


# --- who may, and for how long


def test_a_stream_that_has_begun_outlives_its_token(tmp_path, iris_root):
    """[stream-auth-expiry]"""
    env = {"GENERATION": "on", "GENERATION_FOLDER": str(tmp_path)}
    with guarded_pair(tmp_path, iris_root / "models" / "iris", env) as guarded:
        for server in guarded.servers.values():
            end = int(time.time()) + 2
            headers = bearer(guarded.make(scopes=["generate"], exp=end))
            with httpx.stream(
                "POST", server.url + CHAT, json=LONG | {"stream": True}, headers=headers, timeout=60
            ) as answer:
                assert answer.status_code == 200
                lines = answer.iter_lines()
                next(lines)
                time.sleep(max(end + 0.1 - time.time(), 0))
                assert [line for line in lines if line][-1] == "data: [DONE]"
            assert httpx.post(server.url + CHAT, json=LONG, headers=headers).status_code == 401


# --- the rules


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_of_nothing_and_one_with_a_blocked_word_are_refused(door, stream):
    """[prompt-empty] [prompt-homoglyph]"""
    for text, code in (("   ", "invalid-input"), ("what a b\u0430stard", "content-refused")):
        for path, body in (
            (CHAT, {"messages": [{"role": "user", "content": text}]}),
            (COMPLETE, {"prompt": text}),
        ):
            answer = door.client.post(path, json=body | {"max_tokens": 2, "stream": stream})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize("name", FULL)
def test_a_blocked_word_in_pieces_leaves_by_no_way(tmp_path, name):
    """[stream-moderation-split] Chat or completion, a stream or whole, or a WebSocket."""
    said, allowed = "So it is: what a bastard you are.", "So it is: what a "
    pieces = [{"index": 0, "text": one, "delta": {"content": one}} for one in said]
    end = {"index": 0, "text": "", "finish_reason": "stop"}
    chunks = [chunk(choices=[choice]) for choice in (*pieces, end)]
    with openai_like() as further:
        further.completes = lambda answer: answer.stream(*chunks, DONE)
        door = Door(name, {"GENERATION_URL": further.url, "GENERATION_FOLDER": str(tmp_path)})
        try:
            door.wait()
            chat = door.ask({"messages": HELLO}).json()["choices"][0]
            text = door.client.post(COMPLETE, json={"prompt": "x"}).json()["choices"][0]
            found = {
                (chat["message"]["content"], chat["finish_reason"]),
                (text["text"], text["finish_reason"]),
            }
            for path, body in ((CHAT, {"messages": HELLO}), (COMPLETE, {"prompt": "x"})):
                lines = door.client.post(path, json=body | {"stream": True}).text.splitlines()
                found.add(joined(json.loads(line[6:]) for line in lines if line.startswith("data: {")))
            with connect(door.url.replace("http", "ws", 1) + "/v1/chat/ws") as talk:
                talk.send(json.dumps({"type": "chat", "request": {"messages": HELLO}}))
                heard = [json.loads(talk.recv(60))]
                while "choices" in heard[-1]:
                    heard.append(json.loads(talk.recv(60)))
                found.add(joined(heard[:-1]))
            assert found == {(allowed, "content_filter")}
            assert door.count("moderation_decisions_total", direction="output", rule="blocked-words") == 5
        finally:
            door.stop()


def joined(chunks: Iterable[dict]) -> tuple[str, str]:
    """The text of a stream's chunks, and the reason for its end."""
    choices = [chunk["choices"][0] for chunk in chunks]
    texts = [one.get("text", "") or one.get("delta", {}).get("content", "") for one in choices]
    return "".join(texts), choices[-1]["finish_reason"]


# --- what a server says of itself


def test_the_document_is_true_of_generation(doors):
    document = doors["fastapi"].client.get("/openapi.json").json()
    test_openapi.test_its_schemas_are_schemas_and_every_reference_leads_somewhere(document)
    test_openapi.test_every_example_is_as_its_schema_says(document)
    chat = document["paths"][CHAT]["post"]
    told = {
        slug
        for response in chat["responses"].values()
        for content in response.get("content", {}).values()
        for slug in content.get("examples", {})
    }
    assert told >= test_openapi.OF_GENERATION - {"usage-unavailable"}
    [example] = chat["requestBody"]["content"]["application/json"]["examples"].values()
    for door in doors.values():
        test_openapi.check(document, door.ask(example["value"]), chat, 200)
        test_openapi.check(document, door.ask({"messages": []}), chat, 400)
        test_openapi.check(document, door.ask({"messages": HELLO, "model": "x"}), chat, 404)


def test_flask_on_granian_does_not_generate():
    """There, a view cannot see that its client has gone."""
    door = Door("flask", {"SERVER": "granian"})
    try:
        assert eventually(lambda: not door.server.alive, 60)
        assert "flask_app: SERVER: with GENERATION=on" in door.log().splitlines()[-1]
    finally:
        door.stop()
