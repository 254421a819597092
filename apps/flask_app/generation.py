"""A language model, as OpenAI's API has it. There only with GENERATION=on."""

import time
from typing import Annotated

from flask import Blueprint, Response, request

from apps.flask_app.dependencies import ServiceDep
from apps.frameworks.flask_views import Depends, typed
from apps.frameworks.presence import presence
from apps.frameworks.websockets_wsgi import Socket, accepted, websocket
from apps.frameworks.wsgi import current_context
from apps.service import Service
from apps.service.access.declared import access
from apps.service.generation.bodies import (
    ChatCompletion,
    ChatRequest,
    Completion,
    CompletionRequest,
    LanguageModel,
    LanguageModels,
)
from apps.service.generation.dialogue import (
    GOING_AWAY,
    IDLE_SECONDS,
    MAX_BYTES,
    asked,
    error,
    meanwhile,
    told,
    understood,
)
from apps.service.generation.documented import COMPLETES, DAYS_QUERY, STREAM
from apps.service.generation.reply import SSE, SSE_HEADERS, Reply
from apps.service.generation.usage import UsageReport, days_of
from apps.service.problems import Problem, problems
from apps.service.requests import ClientGone

router = Blueprint("generation", __name__, url_prefix="/v1")


def days() -> int:
    return days_of(request.args.get("days"))


DaysDep = Annotated[int, Depends(days)]


def answered(reply: Reply, stream: bool | None) -> Response:
    gone = presence(request.environ)
    if stream:
        return Response(reply.stream(gone), mimetype=SSE, headers=SSE_HEADERS)
    answer = reply.whole(gone)
    return Response(answer.model_dump_json(exclude_none=True), mimetype="application/json")


@router.get("/models")
@typed(problems("generation-failed"))
@access("generate")
def models(service: ServiceDep) -> LanguageModels:
    """Which language models are there?"""
    return service.generation.models()


@router.get("/models/<name>")
@typed(problems("unknown-model", "generation-failed"))
@access("generate")
def model(name: str, service: ServiceDep) -> LanguageModel:
    """Is there a language model of this name?"""
    return service.generation.model(name)


@router.get("/usage")
@typed(problems("invalid-input", "usage-unavailable"), openapi_extra=DAYS_QUERY)
@access("generate")
def usage(days: DaysDep, service: ServiceDep) -> UsageReport:
    """What has my tenant used, and what does it cost"""
    return service.generation.usage(current_context(), days)


@router.post("/chat/completions")
@typed(problems(*COMPLETES) | STREAM, response_model=ChatCompletion)
@access("generate")
def chat(body: ChatRequest, service: ServiceDep) -> Response:
    """Answer in a chat, whole or as a stream"""
    reply = service.generation.chat(current_context(), body)
    return answered(reply, body.stream)


@router.get("/chat/ws")
@websocket
@access("generate")
def talk() -> Response:
    """Answer in a chat over a WebSocket"""
    context = current_context()
    service = context.service
    settings = service.settings
    options = MAX_BYTES, settings.heartbeat_seconds, settings.generation_write_seconds
    with (
        service.generation.seat(),
        accepted(request.environ, service.requests.marks(context), *options) as socket,
    ):
        while (message := next_message(socket, service)) is not None:
            try:
                said = understood(message, service.settings.max_json_depth)
                if said.type == "chat":
                    answer_over(socket, asked(context, said.request), service.settings)
                else:
                    socket.send(told("pong" if said.type == "ping" else "cancelled"))
            except Problem as problem:
                socket.send(error(problem))
                if problem.kind.slug == "draining":
                    socket.close(GOING_AWAY)
    return Response(status=101)


def next_message(socket: Socket, service: Service) -> str | None:
    """None where there is none any more: nothing came for too long, or the server stops."""
    end = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < end:
        if (message := socket.hear(1)) is not None:
            return message
        if service.lifecycle.draining:
            socket.close(GOING_AWAY)
            return None
    return None


def answer_over(socket: Socket, reply: Reply, settings) -> None:
    """Send the chunks as they come, and hear what is said meanwhile. Raises Problem, ClientGone."""
    cancelled = False

    def ended() -> bool:
        nonlocal cancelled
        while not cancelled and (message := socket.hear(0)) is not None:
            answer, cancelled = meanwhile(message, settings.max_json_depth)
            if answer:
                socket.send(answer)
        return cancelled

    try:
        for event in reply.events(ended):
            for chunk in reply.messages(event):
                socket.send(chunk.decode())
    except ClientGone:
        if not cancelled:
            raise
    socket.send(told("cancelled" if cancelled else "done", usage=reply.usage().model_dump()))


@router.post("/completions")
@typed(problems(*COMPLETES) | STREAM, response_model=Completion)
@access("generate")
def complete(body: CompletionRequest, service: ServiceDep) -> Response:
    """Go on with a text, whole or as a stream"""
    reply = service.generation.complete(current_context(), body)
    return answered(reply, body.stream)
