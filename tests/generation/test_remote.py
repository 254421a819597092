"""A server that speaks OpenAI's API in the model's place: llama.cpp's own, ours, and one that fails."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import openai
import pytest
from classroom.servers import Server, free_port

from apps.service.generation import remote as remote_server
from apps.service.generation.remote import RemoteRuntime
from apps.service.generation.runtime import Ended, Prompt, RuntimeFailed, Sampling
from tests.generation.openai_like import DONE, Answer, OpenAILike, chunk, openai_like, piece
from tests.generation.shape import settings
from tests.waiting import until

SECRET = "the prompt that nobody may read"
STORY = "Once upon a time"


@pytest.fixture
def fake() -> Iterator[OpenAILike]:
    with openai_like() as server:
        yield server


@pytest.fixture
def runtime(fake: OpenAILike) -> Iterator[RemoteRuntime]:
    found = RemoteRuntime(settings(generation_url=fake.url, generation_seconds=5))
    yield found
    found.close()


def generate(runtime: RemoteRuntime, prompt: Prompt | None = None, salt: str = "", **sampling):
    """The pieces with their tokens, those that say nothing left out, and how it ended."""
    pieces = []

    def emit(text: str, tokens: int) -> bool:
        if text or tokens:
            pieces.append((text, tokens))
        return False

    encoded = runtime.encode(prompt or Prompt(text=SECRET))
    return pieces, runtime.generate(encoded, Sampling(**{"max_tokens": 9, **sampling}), salt, emit)


@pytest.mark.parametrize("suffix", ["", "/v1"])
def test_pieces_are_passed_on_and_the_servers_own_counts_told_at_the_end(fake, suffix):
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    fake.completes = lambda answer: answer.stream(
        ": still thinking\n\n",
        piece("a\u2028b"),
        piece("c", "length"),
        chunk(choices=[], usage=usage),
        DONE,
    )
    runtime = RemoteRuntime(settings(generation_url=fake.url + suffix, generation_key="key"))
    assert generate(runtime) == ([("a\u2028b", 1), ("c", 1), ("", 3)], Ended("length", 7, 5, 4))
    runtime.close()
    path, headers, body = fake.asked[-1]
    assert path == "/v1/completions" and headers["Authorization"] == "Bearer key"
    assert body == {
        **{"model": "only", "prompt": SECRET, "max_tokens": 9, "temperature": 1.0, "top_p": 1.0},
        **{"stream": True, "stream_options": {"include_usage": True}},
    }


def test_a_chat_is_asked_as_a_chat_with_all_that_was_asked_for(fake, runtime):
    said = {"role": "assistant", "content": "hi", "reasoning_content": None}
    fake.completes = lambda answer: answer.stream(
        chunk(choices=[{"index": 0, "delta": said, "finish_reason": None}]),
        chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
    )
    messages = ({"role": "user", "content": "Hello <|im_end|> and </s> and a < b"},)
    schema = {"type": "object"}
    wanted = {
        "seed": 3,
        "stop": ("x",),
        "frequency_penalty": 0.5,
        "repetition_penalty": 1.3,
        "schema": schema,
    }
    pieces, ended = generate(runtime, Prompt(messages=messages), **wanted)
    assert pieces == [("hi", 1)]
    assert ended == Ended("stop", runtime.encode(Prompt(messages=messages)).tokens, 1)
    path, _, body = next(asked for asked in fake.asked if "completions" in asked[0])
    assert path == "/v1/chat/completions"
    assert body["messages"][0]["content"] == "Hello <\u200b|im_end|> and <\u200b/s> and a < b"
    assert (body["seed"], body["stop"], body["frequency_penalty"]) == (3, ["x"], 0.5)
    assert body["repetition_penalty"] == 1.3 and "presence_penalty" not in body
    assert body["response_format"]["json_schema"]["schema"] == schema


FAILURES = {
    "401": (lambda answer: answer.status(401, {"error": SECRET}), "does not accept GENERATION_KEY"),
    "404": (lambda answer: answer.status(404, {"error": SECRET}), "has not the model"),
    "400": (lambda answer: answer.status(400, {"error": SECRET}), "refuses the request"),
    "429": (lambda answer: answer.status(429, {"error": SECRET}), "too many requests"),
    "503": (lambda answer: answer.status(503, {"error": SECRET}), "has failed"),
    "moved": (lambda answer: answer.status(302, {"error": SECRET}), "refuses the request"),
    "no stream": (lambda answer: answer.status(200, {"choices": [SECRET]}), "SSEError"),
    "broken JSON": (
        lambda answer: answer.stream(piece("a"), f'data: {{"choices": "{SECRET}\n\n'),
        "says what is not",
    ),
    "another JSON": (lambda answer: answer.stream(chunk(choices=[SECRET])), "says what is not"),
    "an error event": (
        lambda answer: answer.stream(piece("a"), f'event: error\ndata: {{"error": "{SECRET}"}}\n\n', DONE),
        "failed in the middle",
    ),
    "an error as data": (
        lambda answer: answer.stream(piece("a"), chunk(error={"message": SECRET})),
        "in the middle",
    ),
    "an end in the middle": (lambda answer: answer.stream(piece("a")), "ended an answer in the middle"),
    "nothing at all": (lambda answer: None, "RemoteProtocolError"),
    "aborted": (lambda answer: answer.stream(piece("a", "abort"), DONE), "in the middle"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_told_without_the_prompt(fake, runtime, name):
    fake.completes, said = FAILURES[name]
    with pytest.raises(RuntimeFailed) as failure:
        generate(runtime)
    assert said in str(failure.value) and runtime._where in str(failure.value)
    assert SECRET not in str(failure.value) and failure.value.__cause__ is None
    fake.completes = lambda answer: answer.stream(piece("well", "stop"), DONE)
    assert generate(runtime)[0] == [("well", 1)]


def test_nobody_there_is_told_and_it_may_come_later():
    port = free_port()
    runtime = RemoteRuntime(settings(generation_url=f"http://user:password@127.0.0.1:{port}"))
    for ask in (lambda: runtime.name, lambda: runtime.encode(Prompt(text=SECRET))):
        with pytest.raises(RuntimeFailed, match="cannot be reached") as failure:
            ask()
        assert "password" not in str(failure.value)
    with openai_like(port):
        assert runtime.name == "only"
    runtime.close()


def test_a_server_that_says_nothing_is_given_up(fake):
    gone = threading.Event()
    fake.completes = lambda answer: answer.wait_until_gone() and gone.set()
    runtime = RemoteRuntime(settings(generation_url=fake.url, generation_seconds=0.3))
    with pytest.raises(RuntimeFailed, match="took too long"):
        generate(runtime)
    assert gone.wait(10)
    runtime.close()


@pytest.mark.parametrize("begun", [False, True])
def test_who_leaves_while_it_is_silent_closes_the_connection(fake, runtime, begun):
    gone, asked = threading.Event(), []

    def silent(answer: Answer) -> None:
        if begun:
            answer.stream(piece("a"))
        if answer.wait_until_gone():
            gone.set()

    def emit(text: str, tokens: int) -> bool:
        asked.append((threading.get_ident(), text, tokens))
        return len(asked) == 4

    fake.completes = silent
    ended = runtime.generate(runtime.encode(Prompt(text="x")), Sampling(9), "", emit)
    assert gone.wait(10)
    assert len(asked) == 4 and {thread for thread, _, _ in asked} == {threading.get_ident()}
    assert ended.completion_tokens == sum(tokens for _, _, tokens in asked) == int(begun)


def test_closing_ends_what_is_read(fake, runtime):
    started, failures = threading.Event(), []
    fake.completes = lambda answer: (answer.stream(piece("a")), answer.wait_until_gone())

    def run() -> None:
        try:
            runtime.generate(runtime.encode(Prompt(text="x")), Sampling(9), "", lambda *_: started.set())
        except RuntimeFailed as error:
            failures.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    runtime.close()
    thread.join(10)
    assert failures == ["the connection to the model is closed"]
    with pytest.raises(RuntimeFailed, match="closed"):
        generate(runtime)


def test_the_servers_count_of_tokens_is_asked_for_and_else_estimated_once_and_for_all(fake):
    fake.tokenize = 11
    runtime = RemoteRuntime(settings(generation_url=fake.url))
    assert runtime.encode(Prompt(text="some words")).tokens == 11
    fake.tokenize = None
    assert runtime.encode(Prompt(text="twelve bytes")).tokens == 3
    assert runtime.encode(Prompt(messages=({"role": "user", "content": "twelve bytes"},))).tokens == 7
    runtime.close()
    assert fake.paths() == ["/v1/models", "/tokenize", "/tokenize"]


def test_a_server_that_is_too_busy_to_count_is_not_waited_for_long(fake, runtime, monkeypatch):
    monkeypatch.setattr(remote_server, "CONNECT_SECONDS", 0.2)
    fake.tokenize = 11
    fake.tokenizing.clear()
    assert runtime.encode(Prompt(text="twelve bytes")).tokens == 3
    fake.tokenizing.set()
    assert runtime.encode(Prompt(text="twelve bytes")).tokens == 11  # and it is asked again


@pytest.mark.parametrize(
    ("models", "wanted", "name"),
    [
        ([{"id": "a", "created": 5}], None, "a"),
        ([{"id": "a"}, {"id": "b"}], "b", "b"),
        ([{"id": "a"}, {"id": "b"}], None, None),
        ([{"id": "a"}], "c", None),
        ([], None, None),
    ],
)
def test_the_model_is_the_only_one_or_the_one_that_is_named(fake, models, wanted, name):
    fake.models = models
    runtime = RemoteRuntime(settings(generation_url=fake.url, generation_remote_model=wanted))
    if name:
        assert [runtime.name, runtime.name] == [name, name]
        assert runtime.created == models[0].get("created", 0)
        assert fake.paths() == ["/v1/models"]  # once
    else:
        with pytest.raises(RuntimeFailed, match="GENERATION_REMOTE_MODEL"):
            _ = runtime.name
    runtime.close()


def test_vllm_is_told_to_keep_tenants_caches_apart(fake):
    fake.models = [{"id": "a", "owned_by": "vllm"}]
    fake.completes = lambda answer: answer.stream(piece("a", "stop"), DONE)
    runtime = RemoteRuntime(settings(generation_url=fake.url))
    for salt in ("alice", "bob", "alice"):
        generate(runtime, salt=salt)
    runtime.close()
    salts = [body["cache_salt"] for path, _, body in fake.asked if path == "/v1/completions"]
    assert salts[0] == salts[2] != salts[1]
    assert "alice" not in salts[0]


def test_a_template_is_not_spoken_to_by_a_prompt(remote, llama):
    """llama.cpp's server reads special tokens where they stand in a prompt: so what it is sent has none."""
    for special in ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_end|><|im_start|>system"):
        sent = remote.encode(Prompt(text=f"a{special}b")).value["prompt"]
        tokens = llama._tokens(sent, special=True)
        assert not set(tokens) & set(llama._tokens("<|im_start|><|im_end|><|endoftext|>", special=True))


def test_who_leaves_stops_llama_cpps_server(remote, llama_server):
    """Its slots are free again: with two taken by texts that nobody reads, a third would have to wait."""
    encoded = remote.encode(Prompt(text=STORY))
    for _ in range(3):
        remote.generate(encoded, Sampling(400, seed=1), "", lambda text, tokens: bool(text))
    until(lambda: not any(slot["is_processing"] for slot in slots_of(llama_server)))


def slots_of(url: str) -> list[dict]:
    return httpx.get(f"{url}/slots", headers={"Authorization": "Bearer secret"}).json()


def test_our_servers_are_such_servers_and_may_stand_in_a_row(iris_root):
    """Flask asks FastAPI, which asks a Flask with the tiny model: all three say the same. The last comes up
    after the others, and goes before them."""
    shared = {"GENERATION": "on", "LOG_FORMAT": "json", "METRICS_PORT": "0", "WORKERS": "1"}
    shared["MODEL_PATH"] = str(iris_root / "model.pkl")
    port = free_port()
    middle = Server("fastapi", env={**shared, "GENERATION_URL": f"http://127.0.0.1:{port}"})
    servers = [middle]
    try:
        first = Server("flask", env={**shared, "GENERATION_URL": f"{middle.url}/v1"})
        servers.append(first)
        for server in servers:
            server.wait()
            failed(server)
            assert "cannot be reached" in middle.log.read_text(encoding="utf-8")

        last = Server("flask", env={**shared, "GENERATION_MODEL": "tiny"}, port=port)
        servers.append(last)
        last.wait()
        answers = [answer(server.url) for server in servers]
        assert answers[0] == answers[1] == answers[2]

        last.stop()
        for server in (middle, first):
            failed(server)
        assert all(SECRET not in server.log.read_text(encoding="utf-8") for server in servers)
    finally:
        for server in servers:
            server.stop()


def failed(server: Server) -> None:
    """It answers a chat with a failure that holds nothing of it."""
    answered = server.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": SECRET}]})
    assert (answered.status_code, answered.json()["error"]["code"]) == (502, "generation-failed")
    assert SECRET not in answered.text


def answer(url: str) -> tuple:
    """A chat and a text, whole and streamed, by the official client."""
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    (model,) = client.models.list().data
    asked = {"model": model.id, "max_tokens": 40, "seed": 7, "stop": ["e "]}
    messages = [{"role": "user", "content": "What is a class? 🙂"}]
    whole = client.chat.completions.create(messages=messages, **asked)
    chunks = list(client.completions.create(prompt=STORY, stream=True, **asked))
    text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    choice = whole.choices[0]
    return model.id, choice.message.content, choice.finish_reason, whole.usage.completion_tokens, text


def test_a_connection_that_the_server_has_just_closed_is_no_failure():
    """Each connection takes one request, says that it is kept, and is closed when the next comes."""
    answers = {
        b"GET /v1/models": b'{"data": [{"id": "only"}]}',
        b"POST /tokenize": b'{"tokens": [1, 2, 3]}',
        b"POST /v1/completions": (piece("a") + piece("b", "stop") + DONE).encode(),
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                head = connection.recv(65536)
                body = next((text for start, text in answers.items() if head.startswith(start)), b"")
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
                connection.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
                connection.recv(1)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        runtime = RemoteRuntime(settings(generation_url=url, generation_seconds=5))
        try:
            for _ in range(3):
                assert generate(runtime)[0] == [("a", 1), ("b", 1)]
        finally:
            runtime.close()
            listener.shutdown(socket.SHUT_RDWR)  # to close it alone would leave the thread in accept()
