"""A server that speaks OpenAI's API as a test wants it to, failures included."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DONE = "data: [DONE]\n\n"


def chunk(**fields) -> str:
    return f"data: {json.dumps(fields)}\n\n"


def piece(text: str, finish_reason: str | None = None) -> str:
    return chunk(choices=[{"index": 0, "text": text, "finish_reason": finish_reason}])


class Answer:
    """The way back to a client."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def status(self, status: int, body: object = None, type: str = "application/json") -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", type)
        self._handler.send_header("Content-Length", str(len(data)))
        self._handler.end_headers()
        self._handler.wfile.write(data)

    def begin(self) -> None:
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "text/event-stream")
        self._handler.end_headers()

    def send(self, *parts: str) -> None:
        for part in parts:
            self._handler.wfile.write(part.encode())
            self._handler.wfile.flush()

    def stream(self, *parts: str) -> None:
        self.begin()
        self.send(*parts)

    def wait_until_gone(self) -> bool:
        """Whether the client hangs up within half a minute."""
        self._handler.connection.settimeout(30)
        try:
            return self._handler.connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


class OpenAILike:
    """`completes` answers what is asked at /v1/…completions; `models` is what /v1/models says."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.models: list[dict] = [{"id": "only"}]
        self.completes: Callable[[Answer], None] = lambda answer: answer.stream(DONE)
        self.tokenize: int | None = None  # tokens that /tokenize counts; None: there is none
        self.tokenizing = threading.Event()  # clear: it waits
        self.tokenizing.set()
        self.asked: list[tuple[str, dict, dict]] = []  # path, headers, body

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


@contextmanager
def openai_like(port: int = 0) -> Iterator[OpenAILike]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, dict(self.headers), {}))
            Answer(self).status(200, {"data": found.models})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked.append((self.path, dict(self.headers), body))
            if self.path != "/tokenize":
                found.completes(Answer(self))
            elif found.tokenize is None:
                Answer(self).status(404, {"error": body})
            elif found.tokenizing.wait(30):
                Answer(self).status(200, {"tokens": [1] * found.tokenize})

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        found = OpenAILike(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
