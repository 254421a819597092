"""A chat with one server or with both: what was asked, and what each has answered as far as it has come."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from ui.answers import Failure
from ui.language_model import Chunk, Used
from ui.page import new_answer
from ui.servers import Server

MOST_TURNS = 50
BY_YOU, UNSEEN = "by you", "unseen"


@dataclass(frozen=True)
class Settings:
    """How an answer is to be made. A seed of None: the server draws one."""

    system: str = ""
    max_tokens: int = 200
    temperature: float = 0.7
    top_p: float = 1.0
    repetition_penalty: float = 1.1
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def body(self, messages: list[dict[str, str]]) -> dict:
        """As /v1/chat/completions takes it."""
        first = [{"role": "system", "content": self.system}] if self.system.strip() else []
        body = {
            "messages": first + messages,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "repetition_penalty": self.repetition_penalty,
        }
        if self.seed is not None:
            body["seed"] = self.seed
        if self.stop:
            body["stop"] = list(self.stop)
        return body

    def content(self, messages: list[dict[str, str]]) -> bytes:
        """To have it streamed, with its tokens counted at the end."""
        streamed = {"stream": True, "stream_options": {"include_usage": True}}
        return json.dumps(self.body(messages) | streamed).encode()


@dataclass
class Reply:
    """What one server answers to one prompt; a thread writes it, and whoever likes reads it meanwhile. Times
    are in seconds of time.perf_counter(), 0.0 for not yet. `stopped`: BY_YOU or UNSEEN."""

    server: Server
    asked: float = 0.0
    first: float = 0.0
    last: float = 0.0
    text: str = ""
    pieces: int = 0
    model: str = ""
    finish_reason: str = ""
    used: Used | None = None
    in_prompt: dict[str, bool] = field(default_factory=dict)
    in_answer: dict[str, bool] = field(default_factory=dict)
    stopped: str = ""
    failure: Failure | None = None
    ended: bool = False

    def take(self, chunk: Chunk, now: float) -> None:
        if chunk.text:
            self.first, self.last = self.first or now, now
            self.text += chunk.text
            self.pieces += 1
        self.model = chunk.model or self.model
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.used = chunk.used or self.used
        self.in_prompt |= chunk.in_prompt
        self.in_answer |= chunk.in_answer

    @property
    def tokens(self) -> int:
        """Of the answer; before the server has told them, as many as pieces have come."""
        return self.used.completion if self.used else self.pieces

    @property
    def first_ms(self) -> float | None:
        """From the request to the first piece of the answer, in milliseconds."""
        return (self.first - self.asked) * 1000 if self.first else None

    @property
    def per_second(self) -> float | None:
        """Tokens a second from the first piece on; None where all came at once."""
        seconds = self.last - self.first
        return (self.tokens - 1) / seconds if self.pieces > 2 and seconds > 0 else None


@dataclass
class Turn:
    """A prompt, and what is answered to it by each server that was asked."""

    prompt: str
    settings: Settings
    replies: list[Reply]
    name: str = field(default_factory=new_answer)

    def text_of(self, server: Server) -> str:
        """What this server has answered, or else the other one: a chat can go on with another server."""
        own = [reply.text for reply in self.replies if reply.server.name == server.name and reply.text]
        return next(iter(own + [reply.text for reply in self.replies if reply.text]), "")


@dataclass
class Spent:
    """What the answers of one visit took, so far. `uncounted`: answers that did not come to their end, so
    that only the server knows their tokens."""

    answers: int = 0
    uncounted: int = 0
    prompt: int = 0
    cached: int = 0
    completion: int = 0
    costs: dict[str, float] = field(default_factory=dict)

    def add(self, reply: Reply) -> None:
        if not reply.text and not reply.used:
            return
        self.answers += 1
        if reply.used is None:
            self.uncounted += 1
            return
        used = reply.used
        self.prompt += used.prompt
        self.cached += used.cached
        self.completion += used.completion
        if used.currency:
            self.costs[used.currency] = self.costs.get(used.currency, 0.0) + used.cost


@dataclass
class Chat:
    turns: list[Turn] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    def messages(self, server: Server, prompt: str) -> list[dict[str, str]]:
        """What a server is sent with a prompt: the chat so far, as it knows it. What was not answered is not
        sent again: a prompt that was refused once would have every later one refused."""
        found = []
        for turn in self.turns:
            if text := turn.text_of(server):
                found.append({"role": "user", "content": turn.prompt})
                found.append({"role": "assistant", "content": text})
        return [*found, {"role": "user", "content": prompt}]

    def begin(self, prompt: str, settings: Settings, servers: Iterable[Server]) -> tuple[Turn, list[bytes]]:
        """A new turn, and what each server is to be sent."""
        turn = Turn(prompt, settings, [Reply(server) for server in servers])
        bodies = [settings.content(self.messages(reply.server, prompt)) for reply in turn.replies]
        self.turns = [*self.turns[-MOST_TURNS + 1 :], turn]
        return turn, bodies
