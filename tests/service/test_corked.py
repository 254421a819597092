"""A transport that keeps what is written until the end of a turn has lost its client by then, maybe."""

import asyncio
import socket
from types import SimpleNamespace

import pytest

from apps.servers.uvicorn_transport import Corked

uvloop = pytest.importorskip("uvloop", reason="uvloop is not for Windows")


def test_what_was_kept_for_a_client_that_has_gone_is_dropped():
    async def main() -> list[str]:
        faults = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(str(context["exception"])))
        ours, theirs = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        corked = Corked(transport, loop, SimpleNamespace(several=True))
        corked.write(b"HTTP/1.1 200 OK\r\n\r\n")
        transport.abort()
        theirs.close()
        await asyncio.sleep(0.05)
        corked.write(b"more")
        await asyncio.sleep(0.05)
        return faults

    assert uvloop.run(main()) == []
