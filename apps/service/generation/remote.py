"""A server that speaks OpenAI's API generates in this one's place: GENERATION_URL.

It is always asked for a stream, which is passed on as it comes. What it says of its failures is not told: it
may quote the prompt."""

import asyncio
import concurrent.futures
import hashlib
import math
import queue
import re
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import httpx
import msgspec
from httpx_sse import aconnect_sse

from apps.service.generation.runtime import Encoded, Ended, Limits, Prompt, RuntimeFailed, Sampling

T = TypeVar("T")
CONNECT_SECONDS = 5  # and for all that is asked before a generation
EVERY_SECONDS = 0.04  # `emit` is called, though nothing has come
BYTES_A_TOKEN, TEMPLATE_TOKENS = 4, 4  # where the server does not count; the second for each message
DEFAULT_PENALTY = Sampling(1).repetition_penalty
# Servers read these in a prompt as tokens of the chat's template. A space of no width inside makes them text.
MARKS = re.compile(r"<(?=[|｜][^<>]*[|｜]>)|<(?=/?s>)|<(?=(start|end)_of_turn>)|\[(?=/?[A-Z_]+\])")


class Model(msgspec.Struct):
    id: str
    created: int = 0
    owned_by: str = ""


class Models(msgspec.Struct):
    data: list[Model]


class PromptTokens(msgspec.Struct):
    cached_tokens: int | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: PromptTokens | None = None


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Delta = msgspec.field(default_factory=Delta)
    text: str | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice] = []
    usage: Usage | None = None
    error: Any = None


class Tokens(msgspec.Struct):
    tokens: list[msgspec.Raw]


class RemoteRuntime:
    def __init__(self, settings) -> None:
        """Asks for the model's name, and waits for no answer: the server may come later."""
        base = settings.generation_url.removesuffix("/v1")
        address = httpx.URL(base)
        self._where = f"the server at {address.host}" + (f":{address.port}" if address.port else "")
        self._wanted = settings.generation_remote_model
        self._tokenizes, self._secret, self._closed = True, secrets.token_bytes(32), False
        self.limits = Limits(settings.generation_context, settings.generation_slots, schemas=True)
        key = settings.generation_key
        self._http = httpx.AsyncClient(
            base_url=base,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(CONNECT_SECONDS, read=settings.generation_seconds, pool=None),
            limits=httpx.Limits(max_keepalive_connections=settings.generation_slots),
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="remote-model", daemon=True)
        self._thread.start()
        self._chosen = self._begun(self._choose())

    @property
    def name(self) -> str:
        """Where the server has not told it yet, it is asked, for CONNECT_SECONDS. Raises RuntimeFailed."""
        return self._served().id

    @property
    def created(self) -> int:
        return self._served().created

    def _served(self) -> Model:
        chosen = self._chosen
        if chosen.done() and (chosen.cancelled() or chosen.exception()):
            chosen = self._chosen = self._begun(self._choose())
        return self._result(chosen)

    async def _choose(self) -> Model:
        try:
            response = await twice(lambda: self._http.get("/v1/models", timeout=CONNECT_SECONDS))
        except httpx.HTTPError as error:
            raise self._translated(error) from None
        if self._wanted and response.status_code in (404, 405):
            return Model(self._wanted, int(time.time()))
        self._check(response)
        found = self._read(response.content, Models).data
        if self._wanted:
            found = [model for model in found if model.id == self._wanted]
        if len(found) == 1:
            return found[0]
        known = f"has no model {self._wanted}" if self._wanted else f"has {len(found)} models"
        raise RuntimeFailed(f"{self._where} {known}: set GENERATION_REMOTE_MODEL to the id of one it has")

    def encode(self, prompt: Prompt) -> Encoded:
        """Tokens as the server counts them where it has /tokenize (llama.cpp, vLLM), else by their size."""
        messages = [
            {**message, "content": MARKS.sub("\\g<0>\u200b", message["content"])}
            for message in prompt.messages
        ]
        text = MARKS.sub("\\g<0>\u200b", prompt.text)
        whole = "\n".join(message["content"] for message in messages) or text
        counted = self._wait(self._count(self.name, whole)) if self._tokenizes else None
        if counted is None:
            counted = math.ceil(len(whole.encode()) / BYTES_A_TOKEN)
        value = {"messages": messages} if messages else {"prompt": text}
        return Encoded(value, counted + TEMPLATE_TOKENS * len(messages))

    async def _count(self, model: str, text: str) -> int | None:
        body = {"model": model, "content": text, "prompt": text}
        try:
            response = await twice(lambda: self._http.post("/tokenize", json=body, timeout=CONNECT_SECONDS))
        except httpx.TimeoutException:  # it is busy: that is no reason to fail
            return None
        except httpx.HTTPError as error:
            raise self._translated(error) from None
        if response.status_code == 200:
            return len(self._read(response.content, Tokens).tokens)
        self._tokenizes = response.status_code >= 500
        return None

    def generate(
        self, encoded: Encoded, sampling: Sampling, salt: str, emit: Callable[[str, int], bool]
    ) -> Ended:
        """Each chunk counts as one token, until the server tells how many there were. The salt is for vLLM;
        what others cache, they keep apart or not by their own settings."""
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        counted = 0
        reading = self._begun(self._stream(self._body(encoded, sampling, salt), pieces.put))
        reading.add_done_callback(lambda _: pieces.put(None))
        try:
            while True:
                try:
                    piece = pieces.get(timeout=EVERY_SECONDS)
                except queue.Empty:
                    piece = ""
                if piece is None:
                    break
                counted += bool(piece)
                if emit(piece, int(bool(piece))):
                    return Ended("stop", encoded.tokens, counted)
            reason, usage = self._result(reading)
        finally:
            reading.cancel()
        if usage is None:
            return Ended(reason, encoded.tokens, counted)
        if usage.completion_tokens > counted:
            emit("", usage.completion_tokens - counted)
        details = usage.prompt_tokens_details
        cached = details.cached_tokens if details else None
        return Ended(reason, usage.prompt_tokens, usage.completion_tokens, cached or 0)

    def _body(self, encoded: Encoded, sampling: Sampling, salt: str) -> dict[str, Any]:
        """What says nothing is left out: not every server knows every word."""
        served = self._served()
        body = {
            "model": served.id,
            **encoded.value,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        optional = {
            "seed": sampling.seed,
            "stop": list(sampling.stop) or None,
            "frequency_penalty": sampling.frequency_penalty or None,
            "presence_penalty": sampling.presence_penalty or None,
        }
        body |= {name: value for name, value in optional.items() if value is not None}
        if sampling.repetition_penalty != DEFAULT_PENALTY:
            body["repetition_penalty"] = sampling.repetition_penalty
        if sampling.schema:
            told = {"name": "answer", "schema": sampling.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": told}
        elif sampling.schema is not None:
            body["response_format"] = {"type": "json_object"}
        if served.owned_by == "vllm":  # of tenants nobody can guess the salt
            body["cache_salt"] = hashlib.blake2b(salt.encode(), key=self._secret, digest_size=16).hexdigest()
        return body

    async def _stream(self, body: dict[str, Any], put: Callable[[str], None]):
        """The reason for the end, and the usage, if the server tells it. Raises RuntimeFailed."""
        reason = usage = None
        path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
        try:
            headers = {"Content-Type": "application/json"}
            sent = {"content": msgspec.json.encode(body), "headers": headers}
            async with AsyncExitStack() as stack:
                source = await twice(
                    lambda: stack.enter_async_context(aconnect_sse(self._http, "POST", path, **sent))
                )
                self._check(source.response)
                async for event in source.aiter_sse():
                    if event.data in ("", "[DONE]"):
                        continue
                    chunk = self._read(event.data, Chunk) if event.event != "error" else None
                    if chunk is None or chunk.error is not None:
                        raise RuntimeFailed(f"{self._where} has failed in the middle of an answer")
                    usage = chunk.usage or usage
                    for choice in chunk.choices:
                        if text := choice.delta.content or choice.text:
                            put(text)
                        reason = choice.finish_reason or reason
        except httpx.HTTPError as error:
            raise self._translated(error) from None
        if reason is None or reason in ("abort", "error"):
            raise RuntimeFailed(f"{self._where} has ended an answer in the middle")
        return reason if reason in ("length", "content_filter") else "stop", usage

    def _translated(self, error: httpx.HTTPError) -> RuntimeFailed:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return RuntimeFailed(f"{self._where} cannot be reached: does it run, is GENERATION_URL right?")
        if isinstance(error, httpx.TimeoutException):
            return RuntimeFailed(f"{self._where} took too long ({type(error).__name__})")
        return RuntimeFailed(f"{self._where} does not answer as it should ({type(error).__name__})")

    def _check(self, response: httpx.Response) -> None:
        """Raises RuntimeFailed for anything but success."""
        status = response.status_code
        if response.is_success:
            return
        known = {
            401: "does not accept GENERATION_KEY",
            403: "does not accept GENERATION_KEY",
            404: "has not the model, or not the path: is GENERATION_URL right?",
            429: "has too many requests",
        }
        said = known.get(status, "has failed" if status >= 500 else "refuses the request")
        raise RuntimeFailed(f"{self._where} {said} (status {status})")

    def _read(self, data: bytes | str, kind: type) -> Any:
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, UnicodeError):
            raise RuntimeFailed(f"{self._where} says what is not as OpenAI's API has it") from None

    def _begun(self, coroutine: Coroutine) -> concurrent.futures.Future:
        if self._closed:
            coroutine.close()
            raise RuntimeFailed("the connection to the model is closed")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _wait(self, coroutine: Coroutine) -> Any:
        return self._result(self._begun(coroutine))

    def _result(self, future: concurrent.futures.Future) -> Any:
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise RuntimeFailed("the connection to the model is closed") from None

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._http.aclose()


async def twice(send: Callable[[], Awaitable[T]]) -> T:
    """A server may close a connection that was kept, in the moment in which it is used again: it has not seen
    the request then, and gets it once more."""
    try:
        return await send()
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        return await send()
