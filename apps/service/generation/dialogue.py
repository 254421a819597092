"""What is said over a WebSocket: one JSON object a message.

A client sends {"type": "chat", "request": what it would post to /v1/chat/completions}, {"type": "cancel"} or
{"type": "ping"}. It gets the chunks that a stream has, and then {"type": "done", "usage": …}; or {"type":
"cancelled", "usage": …}, {"type": "pong"}, {"type": "error", "error": …}. RFC 6455"""

from typing import Any, ClassVar, Literal

import msgspec

from apps.service.bodies import Body, reader
from apps.service.generation.bodies import ChatRequest
from apps.service.generation.reply import Reply
from apps.service.problems import Problem, openai_error

MAX_BYTES = 1 << 16  # of a message
IDLE_SECONDS = 300  # without a question
GOING_AWAY, WRONG_KIND, TOO_LARGE = 1001, 1003, 1009  # codes of closing
encode = msgspec.json.encode


class Said(Body):
    type: Literal["chat", "cancel", "ping"]
    request: ChatRequest | None = None
    shape: ClassVar[str] = '{"type": "chat", "request": {"messages": [...]}}'


def understood(message: str, max_depth: int) -> Said:
    """Raises Problem for what is no message of a client's."""
    said = reader(Said)(message.encode("utf-8", "surrogatepass"), max_depth)
    if said.type == "chat" and said.request is None:
        raise Problem("invalid-input", f"expected {Said.shape}: there is no request")
    return said


def asked(context, request: ChatRequest) -> Reply:
    """What will be answered to a question, which counts as a request of its own. Raises Problem."""
    service = context.service
    if service.requests.gate is not None:
        service.requests.gate.again(context)
    return service.generation.chat(context, request)


def told(type: str, **members: Any) -> str:
    return encode({"type": type, **members}).decode()


def error(problem: Problem) -> str:
    return told("error", error=openai_error(problem))


def meanwhile(message: str, max_depth: int) -> tuple[str, bool]:
    """What to say to a message that comes while another is answered, "" for nothing; and whether it wants
    that to end."""
    try:
        said = understood(message, max_depth)
    except Problem as problem:
        return error(problem), False
    if said.type == "ping":
        return told("pong"), False
    if said.type == "cancel":
        return "", True
    return error(
        Problem("invalid-input", "expected cancel, or the end of this answer, before the next")
    ), False
