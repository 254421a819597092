"""Bodies of requests, strictly read: pydantic models say what they are, msgspec reads them.

msgspec is the faster (benchmarks/README.md), takes no string for a number and no number for a truth, and its
errors tell the place without the value. https://jcristharif.com/msgspec/"""

import json
import re
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, ClassVar, Union, get_args, get_origin

import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from apps.service.problems import Problem

STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')


class Body(BaseModel):
    """What a request's body may be. `shape` is what an error shows of it."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    shape: ClassVar[str] = "another JSON object"


class Answer(BaseModel):
    """What an answer's body is. A member that is None is left out."""

    model_config = ConfigDict(extra="forbid")


def check_content_type(content_type: str, content_encoding: str, strict: bool = True) -> None:
    """Raises Problem 415 unless the body is application/json as it is; without `strict`, the header may be
    missing. A browser's form may not stand in for it: that would let any web page post here."""
    if content_encoding.strip().lower() not in ("", "identity"):
        raise Problem(
            "unsupported-media-type",
            "expected a body that is not compressed",
            [("Accept-Encoding", "identity")],
        )
    if not content_type and not strict:
        return
    if (
        content_type != "application/json"
        and content_type.partition(";")[0].strip().lower() != "application/json"
    ):
        raise Problem("unsupported-media-type", "expected the header Content-Type: application/json")


@cache
def reader(model: type[BaseModel]) -> Callable[[bytes, int], BaseModel]:
    """A function that reads bodies of this model. It raises Problem 400, which never repeats what came."""
    decode = msgspec.json.Decoder(struct_of(model)).decode
    shape = getattr(model, "shape", Body.shape)
    build = model.__pydantic_validator__.validate_python

    def read(body: bytes, max_depth: int) -> BaseModel:
        if body.count(b"[") + body.count(b"{") > max_depth and depth(body) > max_depth:
            raise Problem("invalid-json", f"expected JSON nested at most {max_depth} deep")
        try:
            found = decode(body)
        except msgspec.ValidationError as error:
            check_names(body)
            raise Problem("invalid-input", f"expected {shape}: {tell(error)}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem("invalid-json", f"expected one JSON object in UTF-8: {tell(error)}") from None
        if body.count(b'"') > 2:  # more than one name: is one of them there twice?
            check_names(body)
        try:
            return build(found, from_attributes=True)
        except ValidationError:  # a rule that only pydantic has
            raise Problem("invalid-input", f"expected {shape}") from None

    return read


@cache
def struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    """The msgspec struct with a model's fields."""
    fields = []
    for name, field in model.model_fields.items():
        known = (name, translated(field.annotation))
        fields.append(known if field.is_required() else (*known, field.default))
    forbid = model.model_config.get("extra") == "forbid"
    return msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=forbid, kw_only=True)


def translated(annotation: Any) -> Any:
    """An annotation with structs in the places of models."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return struct_of(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return annotation
    inner = tuple(translated(argument) for argument in arguments)
    return Union[inner] if origin in (Union, UnionType) else origin[inner]  # noqa: UP007


def tell(error: Exception) -> str:
    """An error of msgspec's in words that hold nothing of the input."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    message = str(error).partition(" - at ")
    if message[0].startswith("Object contains unknown field"):
        return "a name is not one of these"
    where = f" at {message[2].strip('`')}" if message[2] and "..." not in message[2] else ""
    return message[0].replace("`", "") + where


def depth(body: bytes) -> int:
    """How deep the brackets are nested that stand outside strings."""
    marks = np.frombuffer(STRINGS.sub(b"", body), np.uint8)
    opens = (marks == ord("[")) | (marks == ord("{"))
    closes = (marks == ord("]")) | (marks == ord("}"))
    return int(np.cumsum(opens.astype(np.int64) - closes).max(initial=0))


def check_names(body: bytes) -> None:
    """Raises Problem where a name stands twice in an object: RFC 8259 section 4 leaves open which counts."""

    def unique(pairs: list) -> None:
        if len({name for name, _ in pairs}) < len(pairs):
            raise Problem("invalid-json", "expected each name once", reason="duplicate-name")

    try:
        json.loads(body, object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return  # not JSON: that is told elsewhere
