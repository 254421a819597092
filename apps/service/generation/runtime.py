"""What runs a language model, as the rest of the service knows it: tokens in, pieces of text out.

Three do: llama.cpp in this process (llama.py), a tiny model of the kit's own (tiny.py), and any server that
speaks OpenAI's API (remote.py)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length", "content_filter"]
Moderated = dict[str, bool]  # rules that found something in a text, and whether they refused it


@dataclass(frozen=True)
class Prompt:
    """Either the messages of a chat, each with `role` and `content`, or a text to go on with."""

    messages: tuple[dict[str, str], ...] = ()
    text: str = ""
    moderated: Moderated = field(default_factory=dict)


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen, in OpenAI's words; `repetition_penalty` is vLLM's and llama.cpp's."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.1
    schema: dict[str, Any] | None = None  # a JSON Schema that the text has to follow; {} for any object


@dataclass(frozen=True)
class Ended:
    """How one generation ended, and what it took."""

    reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt, which had not to be computed
    moderated: Moderated = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """What a runtime can do."""

    context: int  # tokens of prompt and answer together
    slots: int  # generations at a time
    schemas: bool  # whether Sampling.schema is followed


class RuntimeFailed(Exception):
    """The model or the server that runs it has failed. The message holds nothing of a prompt."""


@dataclass(frozen=True)
class Encoded:
    """A prompt as its runtime takes it."""

    value: Any
    tokens: int  # the chat's template included; where only another server knows, an estimate


class Runtime(Protocol):
    name: str  # of the model, as /v1/models tells it
    limits: Limits
    created: int  # when the model was made, in seconds since 1970

    def encode(self, prompt: Prompt) -> Encoded:
        """What is special in the model's template is plain text where it stands in a prompt. Raises
        RuntimeFailed."""

    def generate(
        self, encoded: Encoded, sampling: Sampling, salt: str, emit: Callable[[str, int], bool]
    ) -> Ended:
        """Runs in the caller's thread until the end. `emit(text, tokens)` is called with each piece and the
        number of its tokens, and with ("", 0) while none has come yet, as often as can be; where it returns
        True, the generation ends as soon as possible, and what Ended says was computed was. Prompts of
        different `salt` share no cache. Raises RuntimeFailed."""

    def close(self) -> None:
        """All that is running ends, with RuntimeFailed."""
