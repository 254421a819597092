"""The middleware of the FastAPI server: pure ASGI, which costs little and hides nothing.

The middleware reads the body before it lets a request in: one that arrives slowly holds no place that others
need. Only what a view takes in pieces (bodies.streamed) is let in before, up to half of all places."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from starlette.websockets import WebSocketDisconnect

from apps.frameworks.asgi_bodies import Bodies, Disconnected, Stream, left
from apps.service.problems import Problem
from apps.service.requests import ClientGone, RequestContext, Requests
from apps.service.requests import marks as plain

CLOSING = {"bad-request", "not-implemented", "request-timeout"}  # nobody knows what would come next
TEST_CLIENT = ("testclient", 50000)
UNANSWERED, ANSWERED = "unanswered", "answered"  # whether an answer had begun at a fault
HEAD_NAMES = (
    b"x-request-id",
    b"traceparent",
    b"content-type",
    b"content-encoding",
    b"content-length",
    b"host",
)


class Middleware:
    def __init__(self, app, requests: Requests) -> None:
        self.app, self.requests = app, requests
        self.marks = marks if requests.marks is plain else raw_marks(requests.marks)
        self.bodies = Bodies(requests)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "websocket":
            await self.talk(scope, receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope.get("refused"):  # the server has answered in its place already
            return
        requests, headers = self.requests, headers_of(scope)
        scope["context"] = context = self.open(scope, headers)
        requests.concurrency.arrive()
        status = 499  # what nginx logs for a client that left before its answer
        replayed = closed = False
        stream: Stream | None = None

        def close() -> None:
            nonlocal closed
            closed = True
            requests.close(
                context,
                status,
                asyncio.get_running_loop().call_soon if requests.concurrency.several else None,
            )

        try:
            try:
                requests.check(context)
                check_head(scope, headers, requests)
                if requests.gate is not None and not requests.gate.enter(context, wait=False):
                    await in_thread(requests.gate, context)
                if scope["method"] == "POST" or context.content_length or b"transfer-encoding" in headers:
                    limit = requests.streamed_limit(context.method, context.route)
                    if limit is not None:
                        stream = self.bodies.stream(limit, receive)
                    else:
                        context.body = await self.bodies.read(receive)
                context.trace.received(scope)
                requests.admit(context)

                async def replay() -> dict:
                    nonlocal replayed
                    if not replayed:
                        replayed = True
                        return {"type": "http.request", "body": context.body, "more_body": False}
                    return await left(receive)

                async def end(message: dict) -> None:
                    await send(message)
                    close()  # what the app does afterwards, a background task, is not the answer's

                def answer(message: dict) -> Awaitable[None]:
                    nonlocal status
                    if message["type"] == "http.response.start":
                        status = message["status"]
                        message["headers"] = [*message["headers"], *self.marks(context)]
                    elif message["type"] == "http.response.body" and not message.get("more_body"):
                        return end(message)
                    return send(message)

                await self.app(scope, stream or replay, answer)
            except Problem as problem:
                status = await self.refuse(context, problem, send)
            except Disconnected:
                if context.problem is not None:  # the server has refused the rest of it
                    status = context.problem.status
                else:  # granian says no more where a chunk is broken, and the client waits for an answer
                    await self.refuse(context, requests.malformed(), send)
                    context.problem = None
            except ClientGone:
                pass
            except asyncio.CancelledError:  # told to stop, and its grace time is over
                if status == 499:
                    status = await self.refuse(context, requests.given_up(), send)
            except (Exception, SystemExit) as error:  # goes on, as in Starlette: Outermost answers
                problem = requests.broke(context, error)
                context.fault = UNANSWERED if status == 499 else ANSWERED
                if context.fault is UNANSWERED:
                    status, context.problem = problem.status, problem
                if isinstance(error, SystemExit):  # sys.exit() in a view: others are served
                    raise RuntimeError("sys.exit() in a view") from error
                raise
        finally:
            if stream is not None:
                stream.end()
            if not closed:
                close()

    async def talk(self, scope, receive, send) -> None:
        """A WebSocket: limited, logged and counted as a request that lasts until it is closed. Its status is
        101, or that of the answer with which it was refused."""
        requests, headers = self.requests, headers_of(scope)
        scope["context"] = context = self.open(scope, headers)
        status = 499

        def answer(message: dict) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = 101
                message["headers"] = [*message.get("headers", ()), *self.marks(context)]
            elif message["type"] == "websocket.close" and status == 499:
                status = 403  # as the server will say
            return send(message)

        async def end(problem: Problem) -> None:
            nonlocal status
            if status == 499:
                status = await self.refuse(context, problem, send, "websocket.http.response")
            elif status == 101:
                with suppress(Exception):  # it may be closed already
                    await send({"type": "websocket.close", "code": 1011})

        try:
            requests.check(context)
            check_head(scope, headers, requests)
            if requests.gate is not None and not requests.gate.enter(context, wait=False):
                await in_thread(requests.gate, context)
            requests.admit(context)
            await self.app(scope, receive, answer)
            if status == 499 and context.problem is not None:
                await end(context.problem)
        except Problem as problem:
            await end(problem)
        except WebSocketDisconnect:
            pass  # the client has gone: a view may leave that to us
        except asyncio.CancelledError:
            await end(requests.given_up())
        except (Exception, SystemExit) as error:
            await end(requests.broke(context, error))
            context.fault = ANSWERED
            if isinstance(error, SystemExit):
                raise RuntimeError("sys.exit() in a view") from error
            raise
        finally:
            requests.close(context, status)

    def open(self, scope, headers: dict[bytes, bytes]) -> RequestContext:
        request_id, traceparent, content_type, encoding, length, host = [
            headers[name].strip().decode("latin-1") if name in headers else "" for name in HEAD_NAMES
        ]
        if host == "testserver" and scope.get("client") == TEST_CLIENT:
            host = ""  # Starlette's, which makes it up; nobody on a network has that address
        path, root = scope["path"], scope.get("root_path", "").rstrip("/")
        if root and path.startswith(f"{root}/"):
            path = path[len(root) :]  # below where it is mounted, as WSGI has it in PATH_INFO
        context = self.requests.open(
            scope.get("method", "GET"),
            path,
            target_bytes=len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]),
            header_count=len(scope["headers"]),
            header_bytes=sum([len(name) + len(value) for name, value in scope["headers"]]),
            request_id=request_id,
            traceparent=traceparent,
            content_type=content_type,
            content_encoding=encoding,
            content_length=length,
            host=host,
            root=root,
        )
        if self.requests.gate is not None or self.requests.splits:
            context.peer = scope["client"][0] if scope.get("client") else ""
            context.header = partial(value_of, headers)
        return context

    async def refuse(
        self, context: RequestContext, problem: Problem, send, kind: str = "http.response"
    ) -> int:
        status, headers, body = self.requests.refuse(context, problem)
        raw = [(name.lower().encode(), value.encode()) for name, value in headers]
        if problem.kind.slug in CLOSING:
            raw.append((b"connection", b"close"))
        await send({"type": f"{kind}.start", "status": status, "headers": [*raw, *self.marks(context)]})
        await send({"type": f"{kind}.body", "body": body})
        return status


async def in_thread(gate, context: RequestContext) -> None:
    """Past the gate where it has to ask a database or Redis. Raises Problem."""
    await asyncio.get_running_loop().run_in_executor(gate.threads, gate.enter, context)


def value_of(headers: dict[bytes, bytes], name: str) -> str:
    """A header's value, "" for none; `name` in lower case."""
    return headers.get(name.encode(), b"").decode("latin-1").strip()


def marks(context: RequestContext) -> list[tuple[bytes, bytes]]:
    """What every answer carries: the request's id, and where its trace is to be found."""
    return [
        (b"x-request-id", context.request_id.encode()),
        (b"traceparent", context.trace.header().encode()),
    ]


def raw_marks(marks: Callable) -> Callable[[RequestContext], list[tuple[bytes, bytes]]]:
    """Those of `Requests`, as ASGI has headers."""
    return lambda context: [(name.lower().encode(), value.encode()) for name, value in marks(context)]


def headers_of(scope) -> dict[bytes, bytes]:
    """By their names. Where one stands twice its values are joined, as in WSGI."""
    headers = dict(scope["headers"])
    if len(headers) < len(scope["headers"]):
        headers = {}
        for name, value in scope["headers"]:
            headers[name] = headers[name] + b"," + value if name in headers else value
    return headers


def check_head(scope, headers: dict[bytes, bytes], requests: Requests) -> None:
    """RFC 9112: a version that we speak, exactly one Host in 1.1, no chunks in 1.0 and no other coding in
    either. Raises Problem."""
    version, coding = scope.get("http_version", "1.1"), headers.get(b"transfer-encoding")
    if version == "1.1":
        host = headers.get(b"host")
        if host is None or b"," in host or (not host and is_granian(scope)):
            raise requests.malformed()
    elif version not in ("1.0", "1", "2") or coding is not None:  # granian's 1.0 is "1"
        raise requests.malformed()
    if coding is not None and coding.strip().lower() != b"chunked":
        raise requests.malformed()


def is_granian(scope) -> bool:
    """It puts an empty Host where there is none."""
    return "http.response.pathsend" in scope.get("extensions", ())
