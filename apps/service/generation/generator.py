"""Generation, as the views have it: a request's body in, a reply out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from secrets import token_hex
from threading import BoundedSemaphore, Timer

from apps.service.access.callers import Caller
from apps.service.cache.results import HIT, MISS
from apps.service.generation.answers import Answers, key_of
from apps.service.generation.bill import Bill
from apps.service.generation.bodies import (
    MOST_STOPS,
    NOT_SERVED,
    STOP_CHARACTERS,
    ChatRequest,
    CompletionRequest,
    Generated,
    LanguageModel,
    LanguageModels,
)
from apps.service.generation.budget import Budget
from apps.service.generation.reply import Reply, TextReply
from apps.service.generation.run import Delta, Finished, Run
from apps.service.generation.runtime import Prompt, Runtime, RuntimeFailed, Sampling
from apps.service.generation.scheduler import Asked, Scheduler
from apps.service.generation.usage import Usage, UsageReport
from apps.service.problems import Problem

TEMPERATURE, REPETITION = 0.7, 1.1
PATIENCE = 0.8  # of the time in which a server that stops may finish


class Generator:
    """One for all requests of a process."""

    def __init__(
        self, settings, log, metrics, runtime: Runtime, policy, usage: Usage, budget: Budget | None
    ) -> None:
        """`budget`: None where tokens are not limited."""
        self._settings, self._metrics, self._runtime, self._policy = settings, metrics, runtime, policy
        self._usage, self._budget, self._log = usage, budget, log
        self._answers = Answers(settings.cache_seconds) if settings.cached else None
        self._scheduler = Scheduler(runtime, settings, metrics, log)
        self._seats = BoundedSemaphore(settings.streams)

    def start(self) -> None:
        self._usage.start()
        self._scheduler.start()

    def drain(self) -> None:
        """What is not whole shortly before the time to finish is over gets an end that says so."""
        settings = self._settings
        timer = Timer(settings.drain_seconds + settings.grace_seconds * PATIENCE, self._scheduler.close)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        self._scheduler.close()
        self._runtime.close()
        self._usage.close()

    def models(self) -> LanguageModels:
        """Raises Problem where another server has the model, and does not answer."""
        with self._translated():
            return LanguageModels(data=[LanguageModel(id=self._runtime.name, created=self._runtime.created)])

    def model(self, name: str) -> LanguageModel:
        """Raises Problem, 404 for any but the one that there is."""
        [found] = self.models().data
        if found.id != name:
            raise Problem("unknown-model", f"expected the model {found.id}")
        return found

    def usage(self, context, days: int) -> UsageReport:
        """What the caller's tenant has used. Raises Problem."""
        return self._usage.report(tenant_of(context), days)

    def left(self, caller) -> list[dict]:
        """The tokens that a caller has left, for people; none where they are not limited."""
        return self._budget.left(caller) if self._budget else []

    @contextmanager
    def seat(self) -> Iterator[None]:
        """For a WebSocket, which may be open as long as it likes: there are so many, and no more. Raises
        Problem (503)."""
        if not self._seats.acquire(blocking=False):
            raise Problem("generation-busy", "as many WebSockets as this server holds are open")
        try:
            yield
        finally:
            self._seats.release()

    def chat(self, context, body: ChatRequest) -> Reply:
        """Raises Problem for what is not answered."""
        messages = tuple(message.told() for message in body.messages)
        limit = body.max_completion_tokens or body.max_tokens
        schema = None
        if body.response_format and body.response_format.type != "text":
            told = body.response_format.json_schema
            schema = told.schema_ if told else {}
        return self._begin(context, body, Prompt(messages=messages), limit, schema, Reply, "chatcmpl")

    def complete(self, context, body: CompletionRequest) -> Reply:
        """Raises Problem for what is not answered."""
        prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
        if len(prompts) != 1:
            raise Problem("invalid-input", f"expected one prompt, got {len(prompts)}")
        return self._begin(context, body, Prompt(text=prompts[0]), body.max_tokens, None, TextReply, "cmpl")

    def _begin(
        self,
        context,
        body: Generated,
        prompt: Prompt,
        limit: int | None,
        schema: dict | None,
        kind: Callable[..., Reply],
        prefix: str,
    ) -> Reply:
        with self._translated():
            name = self._runtime.name
        if body.model is not None and body.model != name:
            raise Problem("unknown-model", f"expected the model {name}")
        for unserved in NOT_SERVED:
            if getattr(body, unserved, None) not in (None, False, 0, "", {}):
                raise Problem("invalid-input", f"expected no {unserved}: this server has not got that")
        prompt = self._policy.checked(context, prompt)
        with self._translated():
            encoded = self._runtime.encode(prompt)
        room = self._runtime.limits.context - encoded.tokens
        if room < 1:
            raise Problem(
                "prompt-too-long",
                f"expected a prompt of less than {self._runtime.limits.context} tokens, got {encoded.tokens}",
            )
        most = self._settings.generation_max_tokens
        if limit is not None and limit > most:
            raise Problem("invalid-input", f"expected max_tokens from 1 to {most}")
        sampling = Sampling(
            max_tokens=min(limit or most, room),
            temperature=TEMPERATURE if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
            seed=body.seed,
            stop=stops(body.stop),
            frequency_penalty=body.frequency_penalty or 0.0,
            presence_penalty=body.presence_penalty or 0.0,
            repetition_penalty=body.repetition_penalty or REPETITION,
            schema=schema,
        )
        if schema is not None and not self._runtime.limits.schemas:
            raise Problem("invalid-input", "expected no response_format: this model follows none")
        choices, tenant, tokens = body.n or 1, tenant_of(context), encoded.tokens
        usage = bool(body.stream_options and body.stream_options.include_usage)
        reply = partial(
            kind,
            context,
            id=f"{prefix}-{token_hex(12)}",
            model=name,
            choices=choices,
            include_usage=usage,
            prompt=prompt.moderated,
        )
        context.version = name
        key = key_of(tenant, name, encoded, sampling, choices) if self._answers else None
        if key and (run := self._recalled(context, key)):
            return reply(run, cost=lambda *_: self._usage.cost(name, 0, 0, 0))
        spent = self._budget.enter(context, tokens) if self._budget else []
        bill = Bill(self._usage, self._budget, spent, tenant, name, tokens, choices)
        keep = partial(self._answers.put, key) if key else None
        asked = Asked(
            encoded, sampling, tenant, choices, lambda: self._policy.window(context), bill.add, keep
        )
        try:
            run = self._scheduler.submit(asked)
        except Problem:
            bill.cancel()
            raise
        return reply(run, cost=partial(self._usage.cost, name))

    def _recalled(self, context, key: bytes) -> Run | None:
        """An answer that is kept, which costs nothing; None where there is none."""
        found = self._answers.get(key)
        if found is None:
            context.cache_status = MISS
            return None
        text, ended, seconds = found
        context.cache_status = HIT.format(seconds)
        self._metrics.recalled()
        run = Run(1, *[self._settings.generation_seconds] * 3)
        run.put(Delta(0, text))
        run.put(Finished(0, ended))
        return run

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except RuntimeFailed as error:
            self._log.error("the model has failed", error=str(error))
            raise Problem("generation-failed", "the model has failed") from None


def tenant_of(context) -> str:
    """Where nobody says who they are, all are one."""
    return context.caller.tenant if context.caller else Caller("").tenant


def stops(given: str | list[str] | None) -> tuple[str, ...]:
    """Literal texts: no patterns. Raises Problem."""
    found = (given,) if isinstance(given, str) else tuple(given or ())
    if len(found) > MOST_STOPS or not all(0 < len(stop) <= STOP_CHARACTERS for stop in found):
        raise Problem(
            "invalid-input",
            f"expected at most {MOST_STOPS} texts of 1 to {STOP_CHARACTERS} characters in stop",
        )
    return found
