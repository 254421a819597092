"""A file on its way to a server, sent by a thread of its own: a reload of the page does not stop it."""

import threading
from collections.abc import Iterator

from ui import jobs
from ui.answers import Failure
from ui.card import Card
from ui.jobs import Fault, Job
from ui.rows import PIECE, Dialect, RowError, is_plain, line_in_file, plain_lines
from ui.servers import Server
from ui.sign_in import SignIn, acting_for


class Submission(threading.Thread):
    """`sent` of `size` bytes have gone. Then it is the `job` that came of it, or else the `failure` or the
    `faults`, or both, say why none did. `key` is the same for the same file: sent twice, it is one job."""

    def __init__(
        self,
        server: Server,
        card: Card,
        name: str,
        content: bytes,
        dialect: Dialect,
        key: str,
        signed: SignIn,
    ) -> None:
        super().__init__(name="submission", daemon=True)
        self.server, self.file, self.key, self.size, self.sent = server, name, key, len(content), 0
        self.job: Job | None = None
        self.failure: Failure | None = None
        self.faults: list[Fault] = []
        self._card, self._content, self._dialect, self._signed = card, content, dialect, signed
        self._plain = is_plain(dialect, card)
        self._stop_asked = threading.Event()

    def run(self) -> None:
        try:
            with acting_for(self._signed):
                size = self.size if self._plain else None
                answer = jobs.submit(self.server, self._pieces(), size, self.key)
        except RowError as error:
            self.faults = [Fault(error.line, "", error.fault)]
        except _Stopped:
            pass
        else:
            if isinstance(answer, Job):
                self.job = answer
            else:
                self.failure = answer
                self.faults = [self._in_file(fault) for fault in jobs.faults(answer)]
        finally:
            self._content = b""

    @property
    def stopped(self) -> bool:
        return self._stop_asked.is_set() and not self.job

    def end(self) -> None:
        """Send no more of it: a server forgets what came only in part."""
        self._stop_asked.set()

    def _pieces(self) -> Iterator[bytes]:
        content = self._content
        if self._plain:
            whole = (content[start : start + PIECE] for start in range(0, len(content), PIECE))
        else:
            whole = plain_lines(content, self._dialect, self._card)
        for piece in whole:
            if self._stop_asked.is_set():
                raise _Stopped
            yield piece
            self.sent = min(self.sent + len(piece), self.size)
        self.sent = self.size

    def _in_file(self, fault: Fault) -> Fault:
        line = fault.line if self._plain else line_in_file(fault.line, self._dialect)
        return Fault(line, fault.column, fault.message)


class _Stopped(Exception):
    pass
