"""A job's answers by way of this page, for servers that ask who comes: a browser cannot say so in a link.

They go through in pieces, and the page holds one of them. A link has a ticket, which is good for the browser
that it was made for, and says with what that is signed in only here."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from secrets import compare_digest, token_urlsafe

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ui import transport
from ui.servers import Server
from ui.sign_in import SignIn
from ui.visit import COOKIE

MOST = 1000  # tickets
MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True)
class Ticket:
    """`visit`: the number in the cookie of the browser that it is for. `name`: of the file."""

    visit: str
    server: Server
    path: str
    name: str
    signed: SignIn


_tickets: OrderedDict[str, Ticket] = OrderedDict()
_lock = threading.Lock()


def offer(ticket: Ticket) -> str:
    """The address at this page where what the ticket is for can be had; the same for the same ticket."""
    with _lock:
        number = next((number for number, known in _tickets.items() if known == ticket), token_urlsafe(16))
        _tickets[number] = ticket
        _tickets.move_to_end(number)
        while len(_tickets) > MOST:
            _tickets.popitem(last=False)
    return f"/answers/{number}"


async def download(request: Request) -> Response:
    ticket = _tickets.get(request.path_params["ticket"])
    if ticket is None or not compare_digest(request.cookies.get(COOKIE, ""), ticket.visit):
        return PlainTextResponse("This link is too old. Open the page Batch and follow the one there.", 404)
    try:
        pieces = await run_in_threadpool(_begin, ticket)
    except transport.Broken as broken:
        failure = broken.failure
        status = failure.exchange.status if failure.exchange else 502
        return PlainTextResponse(f"{failure.sentence}\n{failure.remedy}\n", status)
    kind = ticket.path.rpartition(".")[2]
    headers = {"Content-Disposition": f'attachment; filename="{ticket.name}"', "Cache-Control": "no-store"}
    return StreamingResponse(pieces, media_type=MEDIA_TYPES[kind], headers=headers)


def _begin(ticket: Ticket) -> Iterator[bytes]:
    """The pieces, the first of which is there. Broken where there is none."""
    pieces = transport.pieces(ticket.server, ticket.path, ticket.signed.credential(ticket.server))
    return _with(next(pieces, b""), pieces)


def _with(first: bytes, others: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


ROUTES = [Route("/answers/{ticket}", download)]
