"""Whether the client of a WSGI request is still there, which WSGI itself does not tell."""

import select
import socket
from collections.abc import Callable

SOCKET = "servelab.socket"  # in the environ: that of the connection, which is only looked at
AT_ONCE = getattr(socket, "MSG_DONTWAIT", 0)  # Windows has none; waitress's sockets do not wait anyway
HANG_UP = getattr(select, "POLLRDHUP", 0)  # Linux alone tells of the end while something is left to read


def presence(environ: dict) -> Callable[[], bool]:
    """A function that says whether the client has gone, at once; never, on a server that shows no socket, or
    one that could only be waited for."""
    connection = environ.get(SOCKET) or environ.get("werkzeug.socket") or environ.get("gunicorn.socket")
    if connection is None:
        return lambda: False
    patience = connection.gettimeout()  # 0: it does not wait; None: for ever, if no flag says otherwise
    if patience or (patience is None and not AT_ONCE):
        return lambda: False

    def gone() -> bool:
        try:
            return connection.recv(1, socket.MSG_PEEK | AT_ONCE) == b"" or hung_up(connection)
        except (BlockingIOError, InterruptedError):
            return False
        except (OSError, ValueError):  # it has been closed on our side
            return True

    return gone


def hung_up(connection: socket.socket) -> bool:
    """Whether the client has sent more, and left."""
    if not HANG_UP:
        return False
    ends = select.poll()
    ends.register(connection, HANG_UP)
    return bool(ends.poll(0))
