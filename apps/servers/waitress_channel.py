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
from apps.servers.waitress_parser import StrictParser, strict_parser
from apps.service.problems import Problem
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

    def open_context(request: StrictParser) -> RequestContext:
        return requests.open(
            getattr(request, "command", ""),
            getattr(request, "path", ""),
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

        def problem_of(self, context) -> Problem:
            request = self.request
            if request.problem is not None:
                return request.problem
            if hasattr(request, "command"):  # there was a request line
                try:
                    requests.check(context)
                except Problem as problem:
                    return problem
            return requests.malformed()

    class StrictChannel(HTTPChannel):
        parser_class, task_class, error_task_class = strict_parser(requests), StrictTask, ProblemTask
        linger = False
        ahead = b""  # what has come of the next requests, before it is their turn
        _begun: float | None = None  # since when a request has been arriving
        _lingering: float | None = None

        def received(self, data: bytes) -> bool:
            if self._lingering is not None:
                return False
            result = super().received(data)
            if self.request is None:
                self._begun = None
            elif self._begun is None:
                self._begun = time.monotonic()
            return result

        def cut_off_if_stalled(self, now: float) -> None:
            if self._lingering is not None:
                if now > self._lingering:
                    self.handle_close()
            elif self._begun is not None:
                if now - self._begun > wait and not self._is_streaming(now):
                    self._refuse_late_request()
            elif not self.requests or self.total_outbufs_len >= SEND_BYTES:
                # It asks nothing, or does not read: a stream, as long as there is a request.
                patience = min(idle, limits.generation_write_seconds) if self.requests else idle
                if time.time() - self.last_activity > patience:
                    self.handle_close()

        def _is_streaming(self, now: float) -> bool:
            """Whether a body that the view takes in pieces comes fast enough."""
            request = self.request
            if request is None or request.streamed_limit is None or request.body is None:
                return False
            return now - self._begun <= requests.seconds_for(len(request.body))

        def _refuse_late_request(self) -> None:
            with self.requests_lock:
                request, self.request, self._begun = self.request, None, None
                if request is None:
                    return
                request.refuse(requests.too_slow(streamed=request.streamed_limit is not None))
                self.requests.append(request)
                if len(self.requests) == 1:
                    self.server.add_task(self)

        def handle_close(self) -> None:
            """A request whose head has come, and whose client leaves in its body, has a line in the log."""
            request, self.request = self.request, None
            if request is not None and request.headers_finished and not request.completed:
                requests.close(open_context(request), 499)
            super().handle_close()

        def service(self) -> None:
            self.ahead = self.requests[0].ahead
            super().service()

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
                    self._lingering = time.monotonic() + LINGER_SECONDS
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
