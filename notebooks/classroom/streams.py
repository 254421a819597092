"""What lesson 13 needs around a stream: a server in the notebook, a proxy, readers who sleep or leave."""

import contextlib
import json
import logging
import socket
import threading
import time

import httpx

from .servers import HOST, Server


class Listening:
    """An app of the notebook, served in a thread of it until `close`: a FastAPI app by uvicorn, a Flask app
    by waitress with four threads."""

    def __init__(self, app) -> None:
        if hasattr(app, "wsgi_app"):
            from waitress.server import create_server

            logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it would tell of all who wait
            server = create_server(app, host=HOST, port=0, threads=4)
            self.port, self.close = server.effective_port, server.close
            threading.Thread(target=_quietly, args=[server.run], daemon=True).start()
        else:
            import uvicorn

            server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=0, log_level="critical"))
            threading.Thread(target=server.run, daemon=True).start()
            while not server.started:
                time.sleep(0.01)
            self.port = server.servers[0].sockets[0].getsockname()[1]
            self.close = lambda: setattr(server, "should_exit", True)
        self.url = f"http://{HOST}:{self.port}"


class Proxy:
    """A proxy with the habits of real ones: it hangs up on a line that says nothing for `patience` seconds,
    and passes on `collect` bytes at a time, unless a response asks it not to (X-Accel-Buffering: no).

    It carries one request a connection: send it with `Connection: close`."""

    def __init__(self, port: int, patience: float = 60, collect: int = 4096) -> None:
        self._port, self._patience, self._collect = port, patience, collect
        self._listener = socket.create_server((HOST, 0))
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                threading.Thread(target=self._carry, args=self._listener.accept()[:1], daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection((HOST, self._port)) as server:
            server.settimeout(self._patience)
            server.sendall(client.recv(65536))
            held, collect = b"", self._collect
            with contextlib.suppress(TimeoutError):
                while part := server.recv(65536):
                    held += part
                    if b"x-accel-buffering: no" in held.lower():
                        collect = 1
                    if len(held) >= collect:
                        client.sendall(held)
                        held = b""
            client.sendall(held)


def asleep(server: Server, path: str, body: dict) -> socket.socket:
    """One who has asked for something and does not read; closing it is leaving."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    line = socket.create_connection((HOST, server.port))
    line.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    return line


def leave(method: str, url: str, seconds: float = 0.4, **asked) -> None:
    """Ask for something, and go after so many seconds, whatever has come."""
    end = time.monotonic() + seconds
    asking = httpx.stream(method, url, timeout=seconds, **asked)
    with contextlib.suppress(httpx.ReadTimeout), asking as answer:
        for _ in answer.iter_raw():
            if time.monotonic() > end:
                return


def _quietly(run) -> None:
    with contextlib.suppress(OSError):  # its sockets were closed
        run()
