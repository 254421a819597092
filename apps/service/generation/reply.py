"""From the events of a run to OpenAI's answers: whole, or as chunks of a stream.

Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

import time
from collections.abc import AsyncIterator, Callable, Iterator

import msgspec

from apps.service.generation.bodies import (
    AssistantMessage,
    ChatChoice,
    ChatCompletion,
    Completion,
    PromptTokens,
    TextChoice,
    Usage,
)
from apps.service.generation.run import Delta, Event, Run
from apps.service.generation.runtime import Ended, Moderated
from apps.service.problems import Problem, openai_error

SSE = "text/event-stream"
SSE_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
HEARTBEAT, DONE = b": still thinking\n\n", b"data: [DONE]\n\n"
Cost = Callable[[int, int, int], tuple[float, str]]
encode = msgspec.json.encode


class Reply:
    """What is answered to one request. `whole` and `stream` are for a thread, `awhole` and `astream` for an
    event loop; one of them is called, once."""

    object, chunk_object = "chat.completion", "chat.completion.chunk"

    def __init__(
        self,
        context,
        run: Run,
        id: str,
        model: str,
        choices: int,
        include_usage: bool,
        cost: Cost,
        prompt: Moderated,
    ) -> None:
        """`context`: of the request, whose line in the log tells of a problem that comes after the status.
        `cost` of tokens: of the prompt, of those the cached ones, and of the answer. `prompt`: what became of
        it."""
        self._context, self._run, self._include_usage = context, run, include_usage
        self._cost, self._prompt = cost, of_prompt(prompt)
        self._base = {"id": id, "created": int(time.time()), "model": model}
        self._texts: list[list[str]] = [[] for _ in range(choices)]
        self._ended: list[Ended | None] = [None] * choices

    def whole(self, gone: Callable[[], bool]) -> ChatCompletion | Completion:
        """Raises Problem, and ClientGone where `gone` says so."""
        for event in self._run.events(gone):
            self._take(event)
        return self._answer()

    async def awhole(self) -> ChatCompletion | Completion:
        """Raises Problem. Cancelling it ends what is generated."""
        async for event in self._run.aevents():
            self._take(event)
        return self._answer()

    def events(self, gone: Callable[[], bool]) -> Iterator[Event | None]:
        """As the run has them, for `messages`."""
        return self._run.events(gone)

    def aevents(self) -> AsyncIterator[Event | None]:
        return self._run.aevents()

    def stream(self, gone: Callable[[], bool]) -> Iterator[bytes]:
        """Server-sent events. What fails once they have begun is one of them."""
        try:
            for event in self._run.events(gone):
                yield self._frame(event)
        except Problem as problem:
            self._context.problem = problem
            yield failed(problem)
            return
        yield self._last()

    async def astream(self) -> AsyncIterator[bytes]:
        try:
            async for event in self._run.aevents():
                yield self._frame(event)
        except Problem as problem:
            self._context.problem = problem
            yield failed(problem)
            return
        yield self._last()

    def messages(self, event: Event | None) -> list[bytes]:
        """The chunks that tell of an event, as JSON; none for a heartbeat."""
        if event is None:
            return []
        prompt, self._prompt = self._prompt, {}  # with the first chunk
        return [
            encode({**self._base, "object": self.chunk_object, "choices": [choice], **prompt})
            for choice in self._told(event)
        ]

    def usage(self) -> Usage:
        """Of all choices; the prompt was read once."""
        ended = [one for one in self._ended if one]
        prompt = max((one.prompt_tokens for one in ended), default=0)
        computed = sum(one.completion_tokens for one in ended)
        cached = max((one.cached_tokens for one in ended), default=0)
        cost, currency = self._cost(prompt, cached, computed)
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=computed,
            total_tokens=prompt + computed,
            prompt_tokens_details=PromptTokens(cached_tokens=cached),
            cost=cost,
            currency=currency,
        )

    def _take(self, event: Event | None) -> None:
        if isinstance(event, Delta):
            self._texts[event.choice].append(event.text)
        elif event is not None:
            self._ended[event.choice] = event.ended

    def _frame(self, event: Event | None) -> bytes:
        if event is None:
            return HEARTBEAT
        return b"".join(b"data: " + message + b"\n\n" for message in self.messages(event))

    def _last(self) -> bytes:
        if not self._include_usage:
            return DONE
        usage = {**self._base, "object": self.chunk_object, "choices": [], "usage": self.usage().model_dump()}
        return b"data: " + encode(usage) + b"\n\n" + DONE

    def _told(self, event: Event) -> list[dict]:
        if isinstance(event, Delta):
            first = not self._texts[event.choice]
            self._texts[event.choice].append("")  # only that there was some
            role = {"role": "assistant"} if first else {}
            return [{"index": event.choice, "delta": {**role, "content": event.text}, "finish_reason": None}]
        self._ended[event.choice] = event.ended
        return [{"index": event.choice, "delta": {}, **ending(event.ended)}]

    def _answer(self) -> ChatCompletion | Completion:
        choices = [
            ChatChoice(
                index=number,
                message=AssistantMessage(content="".join(parts)),
                **ending(ended),
            )
            for number, (parts, ended) in enumerate(zip(self._texts, self._ended, strict=True))
        ]
        return ChatCompletion(**self._base, choices=choices, usage=self.usage(), **self._prompt)


class TextReply(Reply):
    """The same to a request at /v1/completions."""

    object = chunk_object = "text_completion"

    def _told(self, event: Event) -> list[dict]:
        if isinstance(event, Delta):
            return [{"index": event.choice, "text": event.text, "finish_reason": None}]
        self._ended[event.choice] = event.ended
        return [{"index": event.choice, "text": "", **ending(event.ended)}]

    def _answer(self) -> Completion:
        choices = [
            TextChoice(index=number, text="".join(parts), **ending(ended))
            for number, (parts, ended) in enumerate(zip(self._texts, self._ended, strict=True))
        ]
        return Completion(**self._base, choices=choices, usage=self.usage(), **self._prompt)


def ending(ended: Ended) -> dict:
    """The members of a choice that tell how it has ended."""
    return {"finish_reason": ended.reason, **results_of(ended.moderated)}


def of_prompt(prompt: Moderated) -> dict:
    """The member that tells what became of a prompt, where something did."""
    return {"prompt_filter_results": [{"prompt_index": 0, **results_of(prompt)}]} if prompt else {}


def results_of(moderated: Moderated) -> dict:
    found = {rule: {"detected": True, "filtered": refused} for rule, refused in moderated.items()}
    return {"content_filter_results": found} if found else {}


def failed(problem: Problem) -> bytes:
    """An event that tells of a failure, after which nothing comes."""
    return b"event: error\ndata: " + encode({"error": openai_error(problem)}) + b"\n\n"
