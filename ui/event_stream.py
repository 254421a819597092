"""One request that is answered as a stream of server-sent events, and all that can come of it."""

import time
from collections.abc import AsyncIterator

import httpx
from httpx_sse import ServerSentEvent, SSEError, aconnect_sse

from ui import answers, transport
from ui.servers import Server
from ui.transport import Broken, Credential

SILENCE = 40.0  # seconds without a byte; a server that is at work gives a sign every 15
LARGEST = 4_000_000  # bytes of a whole stream


def client() -> httpx.AsyncClient:
    """For the streams of one event loop. Where a stream is left, its connection is closed."""
    timeout = httpx.Timeout(SILENCE, connect=transport.CONNECT_SECONDS)
    return httpx.AsyncClient(trust_env=False, verify=transport.CERTIFICATES, timeout=timeout)


async def events(
    http: httpx.AsyncClient, server: Server, path: str, content: bytes, credential: Credential | None
) -> AsyncIterator[ServerSentEvent]:
    """POST some JSON, and yield what comes as it comes. Raises Broken where none does, or no more."""
    headers = {"Content-Type": "application/json"}
    if credential:
        headers[credential.header] = credential.value
    started = time.perf_counter()
    try:
        transport.check(server.url)
        async with aconnect_sse(http, "POST", server.url + path, content=content, headers=headers) as source:
            response = source.response
            if response.status_code != 200:
                received = bytearray()
                async for part in response.aiter_bytes():
                    received += part[: transport.LARGEST_ANSWER - len(received)]
                took = (time.perf_counter() - started) * 1000
                exchange = transport.exchange_of(server, response, content, received, took, credential)
                raise Broken(answers.refused(exchange, "an answer in a chat"))
            async for event in source.aiter_sse():
                if response.num_bytes_downloaded > LARGEST:
                    what = f"sent more than {LARGEST // 1_000_000} MB, which no answer of this API needs"
                    raise Broken(answers.strange(server, what))
                yield event
    except SSEError:
        what = "answered, and not with a stream of events"
        raise Broken(answers.strange(server, what)) from None
    except transport.FAULTS as error:
        raise Broken(transport.failure_of(error, server, SILENCE)) from None
