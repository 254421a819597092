"""JSON laid out for reading. Numbers, names and their order stay as they were written, doubled names too."""

import difflib
import json


class Number(str):
    """As it was written: 1e999 or NaN is not what Python would make of it."""


class Object(list):
    """The pairs of an object, in their order."""


def indented(text: str, width: int = 38) -> str | None:
    """The JSON in `text` with a line for each value; a list or object that fits into `width` on one line.
    None where it is not JSON, as Python reads it."""
    try:
        value = json.loads(
            text,
            parse_float=Number,
            parse_int=Number,
            parse_constant=Number,
            object_pairs_hook=Object,
        )
        return _written(value, "", width)
    except (ValueError, RecursionError):
        return None


def difference(one: str, other: str) -> list[str]:
    """The lines of both, each once, with "- " where it is only in the first, "+ " where only in the other."""
    return [line for line in difflib.ndiff(one.splitlines(), other.splitlines()) if not line.startswith("? ")]


def _written(value, margin: str, width: int) -> str:
    flat = _flat(value)
    if not isinstance(value, list) or not value or len(margin) + len(flat) <= width:
        return flat
    inner = margin + "  "
    if isinstance(value, Object):
        parts = [f"{_text(name)}: {_written(part, inner, width)}" for name, part in value]
    elif not any(isinstance(part, list) for part in value):
        return f"[\n{_filled([_flat(part) for part in value], inner, width)}\n{margin}]"
    else:
        parts = [_written(part, inner, width) for part in value]
    lines = f",\n{inner}".join(parts)
    opening, closing = "{}" if isinstance(value, Object) else "[]"
    return f"{opening}\n{inner}{lines}\n{margin}{closing}"


def _flat(value) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Object):
        return "{" + ", ".join(f"{_text(name)}: {_flat(part)}" for name, part in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    return _text(value)


def _text(value) -> str:
    """With its letters as they are, unless half a letter is among them (a lone surrogate)."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() or text.encode("utf-8", "ignore").decode() == text else json.dumps(value)


def _filled(parts: list[str], margin: str, width: int) -> str:
    """Many small values, as many on a line as there is room for."""
    lines = [margin]
    for index, part in enumerate(parts):
        part += "," if index < len(parts) - 1 else ""
        if len(lines[-1]) > len(margin) and len(lines[-1]) + len(part) + 1 > width:
            lines.append(margin)
        lines[-1] += part if lines[-1] == margin else f" {part}"
    return "\n".join(lines)
