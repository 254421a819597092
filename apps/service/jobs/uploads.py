"""One request's rows on their way into a job: JSON, CSV, or a form with a file of either kind."""

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterable
from functools import partial

import numpy as np

from apps.service.bodies import check_encoding
from apps.service.jobs.csv_rows import CsvRows
from apps.service.jobs.file_part import FilePart
from apps.service.jobs.job import Job, Owner
from apps.service.jobs.json_rows import JsonRows
from apps.service.jobs.receiving import Receiving
from apps.service.model import Serving
from apps.service.problems import Problem

PIECE_BYTES = 1 << 16  # of a body that is read from a file
JSON, CSV, FORM = "application/json", "text/csv", "multipart/form-data"
FILES = {"": CSV, CSV: CSV, "application/vnd.ms-excel": CSV, "application/octet-stream": CSV, JSON: JSON}
CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]*)', re.IGNORECASE)
KEY = re.compile(r"[!-~]{1,200}", re.ASCII).fullmatch


class Upload:
    """Give `add` each piece of the body, and then `accept` makes the job, or the one that it was before. All
    of it in a `with`, or an `async with`: without a job, at its end nothing is left."""

    def __init__(self, context, serving: Serving, owner: Owner, idempotency_key: str | None) -> None:
        """`idempotency_key`: None where there is no such header. Raises Problem: 415 for what is neither JSON
        nor CSV, 400 for a key that is none."""
        if idempotency_key is not None and not KEY(idempotency_key):
            raise Problem("invalid-input", "expected an Idempotency-Key of 1 to 200 visible ASCII characters")
        self._settings, self._serving = context.service.settings, serving
        self._receive = partial(
            context.service.jobs.receive,
            owner,
            serving,
            idempotency_key=idempotency_key or "",
            request_id=context.request_id,
            traceparent=context.trace.header(),
        )
        self._receiving: Receiving | None = None  # from the first rows on
        self._lock, self._closed = threading.Lock(), False
        self._digest = hashlib.sha256()
        self._rows, self._part = None, None
        kind = media_type(context.content_type)
        check_encoding(context.content_encoding)
        if kind not in (JSON, CSV, FORM):
            raise Problem("unsupported-media-type", f"expected {JSON}, {CSV} or {FORM}")
        if kind == FORM:
            self._part = FilePart(context.content_type, self._begin_file)
        else:
            self._begin(kind, context.content_type)
        context.version = serving.full_name

    def _begin_file(self, content_type: str) -> None:
        kind = FILES.get(media_type(content_type))
        if kind is None:
            raise Problem("unsupported-media-type", f"expected a file of {CSV} or {JSON} in the form")
        self._begin(kind, content_type)

    def _begin(self, kind: str, content_type: str) -> None:
        charset = CHARSET.search(content_type)
        if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
            raise Problem("unsupported-media-type", "expected text in UTF-8")
        if kind == CSV:
            self._rows = CsvRows(self._serving)
        else:
            settings = self._settings
            self._rows = JsonRows(self._serving, settings.max_body_bytes, settings.max_json_depth)

    def add(self, piece: bytes) -> None:
        """Raises Problem for what is wrong with it, and for too many rows."""
        with self._lock:
            if self._closed:
                return  # the client has left while a thread was busy
            if self._part is not None:
                piece = self._part.add(piece)
            if piece:
                self._store(self._rows.add(piece))

    def accept(self) -> Job:
        """The job. Raises Problem for what only the end shows, and as `Receiving.accept` does."""
        with self._lock:
            if self._part is not None:
                self._part.end()
            self._store(self._rows.end())
            if self._receiving is None:
                raise Problem("invalid-input", "expected one row or more, got none")
            job = self._receiving.accept(self._digest.hexdigest())
            self._closed = True
            return job

    def _store(self, blocks: Iterable[np.ndarray]) -> None:
        for rows in blocks:
            if self._receiving is None:
                self._receiving = self._receive()
            self._digest.update(rows)
            self._receiving.add(rows)

    def __enter__(self) -> "Upload":
        return self

    def __exit__(self, *_) -> None:
        with self._lock:
            if not self._closed and self._receiving is not None:
                self._receiving.abandon()
            self._closed = True

    async def __aenter__(self) -> "Upload":
        return self

    async def __aexit__(self, *_) -> None:
        await asyncio.to_thread(self.__exit__)


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
