"""waitress's connections and tasks, made strict: what is refused is answered like everything else, and who
stalls is cut off."""

import socket
import time
from contextlib import suppress
from http import HTTPStatus

from waitress.channel import HTTPChannel
from waitress.task import Task, WSGITask
from waitress.utilities import build_http_date

from apps.frameworks.presence import SOCKET
from apps.frameworks.websockets_wsgi import TAKE_OVER
from apps.frameworks.wsgi import MEASURED
from apps.servers.http_parser import RequestParser
from apps.servers.waitress_request import Request
from apps.service.problems import Problem, of_status
from apps.service.requests import RequestContext, Requests
from apps.service.timing import ARRIVAL

LINGER_SECONDS = 2  # for a client that was refused to finish what it is sending, and read why
FEW = 2  # connections
SEND_BYTES = 16384  # an answer's head waits for its body: one system call for both, a third of the time less


def strict(requests: Requests) -> type[HTTPChannel]:
    """waitress's channel and tasks, with the service's limits and answers."""
    limits = requests.settings
    wait, idle = limits.request_timeout_seconds, limits.keep_alive_seconds

    class StrictTask(WSGITask):
        given_away = False

        def get_environment(self) -> dict:
            environ = super().get_environment()
            environ[MEASURED] = (0,)
            environ[ARRIVAL] = self.request.arrival
            environ[SOCKET] = self.channel.socket
            if "HTTP_UPGRADE" in environ:  # for others it would be a cycle, which the collector has to find
                environ[TAKE_OVER] = self.give_away
            environ["PATH_INFO"] = self.request.path  # waitress folds the slashes that it begins with
            return environ

        def give_away(self) -> socket.socket:
            """The connection, for something else than HTTP. What the app answers is not sent any more."""
            self.given_away = self.close_on_finish = True
            return self.channel.socket.dup()

        def write(self, data: bytes) -> None:
            """What comes in parts goes out in parts: none of them waits until there are SEND_BYTES."""
            if self.given_away:
                return
            super().write(data)
            if data and self.content_length is None:
                with self.channel.outbuf_lock:
                    self.channel._flush_exception(self.channel._flush_some, do_close=False)

        def finish(self) -> None:
            """Send the answer at once where hardly anybody is connected; else leave it to the thread that
            reads: to send lets go of the interpreter's lock, and in a crowd gets it back late."""
            if self.given_away:
                return
            super().finish()
            if len(self.channel.server.active_channels) <= FEW:
                with self.channel.outbuf_lock:
                    self.channel._flush_exception(self.channel._flush_some, do_close=False)

        def build_response_header(self) -> bytes:
            """waitress's own takes three times as long: it sorts the fields, and spells their names anew."""
            if getattr(self.channel.server, "draining", False):
                self.set_close_on_finish()
            names = {name.lower() for name, _ in self.response_headers}
            plain = names & {"content-length", "date", "server", "connection"} == {"content-length"}
            plain = plain and self.has_body and self.version == "1.1"
            if not plain or "CONNECTION" in self.request.headers:
                return super().build_response_header()
            fields = [*self.response_headers, ("Date", build_http_date(self.start_time))]
            lines = [f"HTTP/1.1 {self.status}", *[f"{name}: {value}" for name, value in fields], "", ""]
            return "\r\n".join(lines).encode("latin-1")

    def open_context(request: Request) -> RequestContext:
        return requests.open(
            request.command,
            request.path,
            target_bytes=request.target_bytes,
            header_count=request.header_count,
            header_bytes=request.header_bytes,
            request_id=request.headers.get("X_REQUEST_ID", ""),
            traceparent=request.headers.get("TRACEPARENT", ""),
            content_length=str(request.content_length),
        )

    class ProblemTask(Task):
        """Answers in the place of an app that has not seen the request."""

        complete = True

        def execute(self) -> None:
            self.version = "1.1"
            context = open_context(self.request)
            status, headers, body = requests.refuse(context, self.problem_of(context))
            self.status = f"{status} {HTTPStatus(status).phrase}"
            self.response_headers = [*headers, *requests.marks(context)]
            self.set_close_on_finish()
            self.channel.linger = True
            self.write(b"" if context.method == "HEAD" else body)
            requests.close(context, status)

        def problem_of(self, context: RequestContext) -> Problem:
            request = self.request
            if request.header_count:
                try:
                    requests.check(context)
                except Problem as problem:
                    return problem
            return request.problem or of_status(500)  # waitress's own, for a fault in its task

    class StrictChannel(HTTPChannel):
        parser_class, task_class, error_task_class = Request, StrictTask, ProblemTask
        linger = False
        ahead = b""  # what has come of the next requests, before it is their turn
        _lingering: float | None = None

        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            self._arriving = RequestParser(requests, self)

        def received(self, data: bytes) -> bool:
            if self._lingering is not None or self.will_close or self.close_when_flushed:
                return False
            with self.requests_lock:
                self.ahead = self._arriving.read(data)
                if self.request is not None and self.request.expect_continue and not self.sent_continue:
                    self.send_continue()
            return True

        def on_head(self) -> None:
            self.request = request = Request(self.adj)
            request.read_head(self._arriving)
            if (
                request.target_bytes > limits.max_url_bytes
                or request.header_count > limits.max_headers
                or request.header_bytes > limits.max_header_bytes
                or request.content_length > (request.streamed_limit or limits.max_body_bytes)
                or (request.version == "1.1" and "," in request.headers.get("HOST", ","))  # none, or two
            ):
                raise requests.malformed()  # or what `check` finds

        def on_body(self, piece: bytes) -> None:
            self.request.body.append(piece)
            limit = self.request.streamed_limit
            if self._arriving.size > (limit or limits.max_body_bytes):
                raise requests.too_large(limit)

        def on_message_complete(self) -> None:
            self.request.read_end()
            self._hand_over(self.request)

        def on_problem(self, problem: Problem) -> None:
            request = self.request or Request(self.adj)
            request.command = request.command or self._arriving.method
            request.path = request.path or self._arriving.path
            request.problem, request.error = problem, True
            self._hand_over(request)

        def _hand_over(self, request: Request) -> None:
            self.request, self.sent_continue = None, False
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)

        def cut_off_if_stalled(self, now: float) -> None:
            begun = self._arriving.begun
            if self._lingering is not None:
                if now > self._lingering:
                    self.handle_close()
            elif begun is not None:
                streamed = self.request is not None and self.request.streamed_limit is not None
                if now - begun > (requests.seconds_for(self._arriving.size) if streamed else wait):
                    with self.requests_lock:
                        self._arriving.refuse(requests.too_slow(streamed))
            elif not self.requests or self.total_outbufs_len >= SEND_BYTES:
                # It asks nothing, or does not read: a stream, as long as there is a request.
                patience = min(idle, limits.generation_write_seconds) if self.requests else idle
                if time.time() - self.last_activity > patience:
                    self.handle_close()

        def handle_close(self) -> None:
            """A request whose head has come, and whose client leaves in its body, has a line in the log."""
            request, self.request = self.request, None
            if request is not None:
                requests.close(open_context(request), 499)
            super().handle_close()
            self._arriving.close()

        # The loop asks these two of every connection at each look: so they do not ask waitress's own.

        def readable(self) -> bool:
            if self._lingering is not None:
                return True
            return not (
                self.requests
                or self.ahead
                or self.total_outbufs_len
                or self.will_close
                or self.close_when_flushed
            )

        def writable(self) -> bool:
            """What was sent ahead waits until the answer before it has gone and the client takes more: who
            does not read holds no thread, and a crowd that sends ahead gets a turn each like all others."""
            if self._lingering is not None:
                return False
            return bool(
                self.total_outbufs_len
                or self.will_close
                or self.close_when_flushed
                or (self.ahead and not self.requests)
            )

        def handle_write(self) -> None:
            """Where a client was refused while it sends, close our side only: it could not read the answer
            else (RFC 9112, section 9.6)."""
            if self.linger and self.close_when_flushed and not self.requests:
                self._flush_exception(self._flush_some)
                if not self.total_outbufs_len and not self.will_close:
                    with suppress(OSError):
                        self.socket.shutdown(socket.SHUT_WR)
                    self._lingering = time.perf_counter() + LINGER_SECONDS
                    return
            super().handle_write()
            if self.ahead and self.connected and HTTPChannel.readable(self):
                ahead, self.ahead = self.ahead, b""
                self.received(ahead)

        def handle_read(self) -> None:
            super().handle_read()
            if self._lingering is not None and not self.connected:
                self.handle_close()

    return StrictChannel
