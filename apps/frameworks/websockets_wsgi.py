"""WebSockets for the Flask server: WSGI has none, so waitress hands its connection over, and the library
websockets talks on it, in the thread of the view. https://websockets.readthedocs.io/en/stable/topics/"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.sync.server import ServerConnection

from apps.frameworks.websockets_protocol import BoundedProtocol
from apps.frameworks.wsgi import UPGRADE
from apps.service.problems import of_status
from apps.service.requests import ClientGone

TAKE_OVER = "servelab.take_over"  # in the environ: a function that gives the connection's socket away
CLOSE_SECONDS = 5
WRONG_KIND = 1003


def websocket(view: Callable) -> Callable:
    """A view's decorator: it talks on a WebSocket, so that OpenAPI does not know it."""
    view.websocket = True
    return view


class Socket:
    """One that is open."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def hear(self, seconds: float) -> str | None:
        """The next message, or None where none has come in so many seconds. Raises ClientGone where none
        will come: the client has closed, or sends what is no text."""
        try:
            message = self._connection.recv(seconds)
        except TimeoutError:
            return None
        except ConnectionClosed:
            raise ClientGone from None
        if isinstance(message, bytes):
            self.close(WRONG_KIND, "expected text")
            raise ClientGone
        return message

    def send(self, message: str) -> None:
        """Raises ClientGone where nobody takes it."""
        try:
            self._connection.send(message)
        except ConnectionClosed:
            raise ClientGone from None

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._connection.close(code, reason)


@contextmanager
def accepted(
    environ: dict, headers: list[tuple[str, str]], max_bytes: int, ping_seconds: float, write_seconds: float
) -> Iterator[Socket]:
    """The connection as a WebSocket, closed at the end. Raises Problem where the request asks for none (404)
    or does so as RFC 6455 does not have it (400), or the server cannot hand its connection over (501)."""
    if environ.get(UPGRADE, "").lower() != "websocket":
        raise of_status(404)
    if TAKE_OVER not in environ:
        raise of_status(501)
    protocol = BoundedProtocol(max_size=max_bytes)
    protocol.receive_data(head_of(environ))
    events = protocol.events_received()
    if not events or (answer := protocol.accept(events[0])).status_code != 101:
        raise of_status(400)
    for name, value in headers:
        answer.headers[name] = value
    taken = environ[TAKE_OVER]()
    taken.settimeout(write_seconds)  # what reads waits for the socket to be readable first
    pings = {"ping_interval": ping_seconds, "ping_timeout": ping_seconds, "close_timeout": CLOSE_SECONDS}
    with Connection(taken, protocol, events[0], answer, **pings) as connection, suppress(ClientGone):
        yield Socket(connection)


class Connection(ServerConnection):
    """One whose request has been read already, by waitress."""

    def __init__(self, taken, protocol, request, answer, **options) -> None:
        super().__init__(taken, protocol, SimpleNamespace(socket_closed=threading.Event()), **options)
        self.request, self.response = request, answer
        with self.send_context(expected_state=State.CONNECTING):
            self.protocol.send_response(answer)
        self.start_keepalive()


def head_of(environ: dict) -> bytes:
    """The request once more, as far as a handshake looks at it."""
    lines = [f"GET {environ['PATH_INFO']} HTTP/1.1", "Upgrade: websocket"]
    for name in ("HOST", "CONNECTION", "ORIGIN", "SEC_WEBSOCKET_KEY", "SEC_WEBSOCKET_VERSION"):
        if f"HTTP_{name}" in environ:
            lines.append(f"{name.replace('_', '-').title()}: {environ[f'HTTP_{name}']}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
