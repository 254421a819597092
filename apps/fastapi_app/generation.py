"""A language model, as OpenAI's API has it. There only with GENERATION=on."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, WebSocket, WebSocketDisconnect

from apps.fastapi_app.dependencies import ServiceDep
from apps.frameworks.event_stream import EventStream, attended
from apps.frameworks.fastapi_views import CompiledRoute
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
    TOO_LARGE,
    WRONG_KIND,
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

router = APIRouter(route_class=CompiledRoute, tags=["generation"], prefix="/v1")


async def days(request: Request) -> int:
    return days_of(request.query_params.get("days"))


DaysDep = Annotated[int, Depends(days)]


async def answered(reply: Reply, request: Request, stream: bool | None, seconds: float) -> Response:
    if stream:
        return EventStream(reply.astream(), seconds, media_type=SSE, headers=SSE_HEADERS)
    answer = await attended(request, reply.awhole())
    return Response(answer.model_dump_json(exclude_none=True), media_type="application/json")


@router.get("/models", responses=problems("generation-failed"))
@access("generate")
async def models(service: ServiceDep) -> LanguageModels:
    """Which language models are there?"""
    return await asyncio.to_thread(service.generation.models)


@router.get("/models/{name}", responses=problems("unknown-model", "generation-failed"))
@access("generate")
async def model(name: str, service: ServiceDep) -> LanguageModel:
    """Is there a language model of this name?"""
    return await asyncio.to_thread(service.generation.model, name)


@router.get("/usage", responses=problems("invalid-input", "usage-unavailable"), openapi_extra=DAYS_QUERY)
@access("generate")
async def usage(days: DaysDep, request: Request, service: ServiceDep) -> UsageReport:
    """What has my tenant used, and what does it cost"""
    return await asyncio.to_thread(service.generation.usage, request.scope["context"], days)


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses=problems(*COMPLETES) | STREAM,
)
@access("generate")
async def chat(body: ChatRequest, request: Request, service: ServiceDep) -> Response:
    """Answer in a chat, whole or as a stream"""
    reply = await asyncio.to_thread(service.generation.chat, request.scope["context"], body)
    return await answered(reply, request, body.stream, service.settings.generation_write_seconds)


@router.websocket("/chat/ws")
@access("generate")
async def talk(socket: WebSocket) -> None:
    """Answer in a chat over a WebSocket"""
    service = socket.scope["context"].service
    with service.generation.seat():
        await socket.accept()
        answering: asyncio.Task | None = None
        try:
            while (message := await heard(socket, IDLE_SECONDS)) is not None:
                if answering is None or answering.done():
                    answering = asyncio.create_task(answer_over(socket, message))
                    continue
                answer, cancelled = meanwhile(message, service.settings.max_json_depth)
                if answer:
                    await socket.send_text(answer)
                if cancelled:
                    answering.cancel()
        finally:
            if answering is not None:
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)


async def heard(socket: WebSocket, seconds: float) -> str | None:
    """The next message, or None where none has come in so many seconds, or one that is no text
    or too long. Raises
    WebSocketDisconnect."""
    try:
        async with asyncio.timeout(seconds):
            message = await socket.receive()
    except TimeoutError:
        await socket.close()
        return None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    text = message.get("text")
    if text is None:
        await socket.close(WRONG_KIND, "expected text")
    elif len(text) > MAX_BYTES:
        await socket.close(TOO_LARGE, f"expected at most {MAX_BYTES} characters")
        return None
    return text


async def answer_over(socket: WebSocket, message: str) -> None:
    """Answer one message, chunk by chunk where it is a question."""
    context, reply, ended = socket.scope["context"], None, "done"
    service = context.service
    try:
        said = understood(message, service.settings.max_json_depth)
        if said.type != "chat":
            await socket.send_text(told("pong" if said.type == "ping" else "cancelled"))
            return
        reply = await asyncio.to_thread(asked, context, said.request)
        async for event in reply.aevents():
            for chunk in reply.messages(event):
                await socket.send_text(chunk.decode())
    except asyncio.CancelledError:
        ended = "cancelled"
    except Problem as problem:
        await socket.send_text(error(problem))
        if problem.kind.slug == "draining":
            await socket.close(GOING_AWAY)
        return
    await socket.send_text(told(ended, usage=reply.usage().model_dump()))


@router.post("/completions", response_model=Completion, responses=problems(*COMPLETES) | STREAM)
@access("generate")
async def complete(body: CompletionRequest, request: Request, service: ServiceDep) -> Response:
    """Go on with a text, whole or as a stream"""
    reply = await asyncio.to_thread(service.generation.complete, request.scope["context"], body)
    return await answered(reply, request, body.stream, service.settings.generation_write_seconds)
