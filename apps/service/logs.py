"""Log lines: JSON for machines, text in a terminal. https://www.structlog.org/en/stable/performance.html

What uvicorn, waitress or a library logs comes out in the same form. A stream that cannot be written to (a
full disk, a pipe whose reader has gone) costs lines and never a request."""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
encode = msgspec.json.Encoder(enc_hook=repr).encode


class Stream:
    """Writes lines to a stream, whole ones, and never raises."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream.buffer

    def write(self, line: bytes) -> None:
        try:
            self._stream.write(line + b"\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass

    def msg(self, line: str) -> None:
        self.write(line.encode())

    debug = info = warning = error = critical = msg


class RequestLog:
    """The line about each request, at the level "info".

    JSON is written in 3 µs without structlog's chain of processors, which takes 11."""

    def __init__(self, settings, log, stream: TextIO | None = None) -> None:
        stream = stream or sys.stderr
        self._log = log
        self._wanted = LEVELS[settings.log_level] <= logging.INFO
        self._stream = None if is_text(settings, stream) else Stream(stream)
        self._lines: list[bytes] = []  # of this turn of the event loop

    def __call__(self, fields: dict[str, Any], later: Callable | None = None) -> None:
        """Write now, or with `later`, an event loop's call_soon, together with the others of this turn."""
        if not self._wanted:
            return
        if self._stream is None:
            self._log.info("request", **fields)
            return
        line = encode({"timestamp": datetime.now(UTC), "level": "info", "event": "request", **fields})
        if later is None:
            self._stream.write(line)
            return
        if not self._lines:
            later(self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write(b"\n".join(lines))


def is_text(settings, stream: TextIO) -> bool:
    """Whether lines are for a person."""
    return settings.log_format == "text" or (settings.log_format == "auto" and stream.isatty())


class Forward(logging.Handler):
    """Passes what the standard library's logging is given on to structlog."""

    def __init__(self, log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[1]:
            fields["exc_info"] = record.exc_info[1]
        try:
            message = record.getMessage()
        except Exception:  # a caller's arguments that do not fit its own message
            message = str(record.msg)
        level = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(self._log, level)(message, **fields)


def to_json(_, __, event: dict[str, Any]) -> str:
    """One JSON object on one line: JSON escapes every control character, so nobody can forge a line."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return encode({**first, **event}).decode()


def printable(_, __, event: dict[str, Any]) -> dict[str, Any]:
    """For a terminal: control characters shown and not obeyed."""
    return {
        name: value.encode("unicode_escape").decode()
        if isinstance(value, str) and name != "exception"
        else value
        for name, value in event.items()
    }


def configure(settings, stream: TextIO | None = None) -> structlog.typing.FilteringBoundLogger:
    """The process's logger, as LOG_FORMAT and LOG_LEVEL want it."""
    stream = stream or sys.stderr
    text = is_text(settings, stream)
    level = LEVELS[settings.log_level]
    stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S" if text else "iso", utc=not text)
    processors = [structlog.processors.add_log_level, stamp]
    if text:
        processors += [printable, structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)]
    else:
        processors += [structlog.processors.format_exc_info, to_json]
    log = structlog.wrap_logger(
        Stream(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        cache_logger_on_first_use=True,
    ).bind()
    root = logging.getLogger()
    root.handlers[:] = [Forward(log)]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    return log
