"""The one file in a form, as it comes: multipart/form-data, RFC 7578."""

from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from apps.service.problems import Problem

BOUNDARY_BYTES = 70  # at most (RFC 2046, section 5.1.1)


class FilePart:
    """The content of the file of a form, without all that is around it. `on_type` is told its media type, ""
    for none, before its first byte comes, and may raise Problem."""

    def __init__(self, content_type: str, on_type: Callable[[str], None]) -> None:
        """Raises Problem 415 where the form's header does not say what stands between its parts."""
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not 0 < len(boundary) <= BOUNDARY_BYTES:
            raise Problem("unsupported-media-type", "expected multipart/form-data with its boundary")
        self._on_type, self._content, self._ended = on_type, [], False
        self._files, self._name, self._value, self._type, self._disposition = 0, b"", b"", b"", b""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def add(self, piece: bytes) -> bytes:
        """What of a piece of the form is the file's. Raises Problem 400."""
        try:
            self._parser.write(piece)
        except FormParserError:
            raise Problem("invalid-input", "expected a form as multipart/form-data has it") from None
        found, self._content = b"".join(self._content), []
        return found

    def end(self) -> None:
        """Raises Problem 400 where the form breaks off, or has no file."""
        if not self._ended or not self._files:
            raise Problem("invalid-input", "expected a whole form with one part, a file named file")

    def _begin(self) -> None:
        self._type = self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        name, value = self._name.strip().lower(), self._value.strip()
        self._name = self._value = b""
        if name == b"content-type":
            self._type = value
        elif name == b"content-disposition":
            self._disposition = value

    def _headers_finished(self) -> None:
        self._files += 1
        if self._files > 1 or parse_options_header(self._disposition)[1].get(b"name") != b"file":
            raise Problem("invalid-input", "expected a form with one part, a file named file")
        self._on_type(self._type.decode("latin-1"))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end(self) -> None:
        self._ended = True
