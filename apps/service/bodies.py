"""Bodies of requests, strictly read: pydantic models say what they are, and msgspec holds them to it.

A model with what msgspec does not know, or knows otherwise (dates, aliases), pydantic reads by itself.

msgspec is the faster (benchmarks/README.md), takes no string for a number and no number for a truth, and its
errors tell the place. https://jcristharif.com/msgspec/ But its parser takes 7 µs for a number such as
1.2345678901234567e-300: for a body of 1 MB a third of a second, in which nobody else would be served. So the
JSON of a large body is read by pydantic's."""

import gc
import json
import re
import sys
from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, SkipValidation, ValidationError
from pydantic_core import from_json

from apps.service import faults
from apps.service.problems import Problem

PLAIN = (str, int, bool, None, type(None), list, dict, Any)
LARGE = 8192  # bytes
GREATEST = sys.float_info.max
NUMBER = Annotated[float, msgspec.Meta(ge=-GREATEST, le=GREATEST)]  # 1e999 is JSON, and no number here
# A feature's value, of which only the served model's card knows what it may be (apps/service/rows.py). What
# no feature may be, a list or an object, is read as well, so that the same words tell of it.
Cell = Annotated[float | str | bool | None, SkipValidation]
CELL = (NUMBER, str, bool, None, dict)
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
    check_encoding(content_encoding)
    if not content_type and not strict:
        return
    if (
        content_type != "application/json"
        and content_type.partition(";")[0].strip().lower() != "application/json"
    ):
        raise Problem("unsupported-media-type", "expected the header Content-Type: application/json")


def check_encoding(content_encoding: str) -> None:
    """Raises Problem 415 for a body that is compressed."""
    if content_encoding.strip().lower() not in ("", "identity"):
        raise Problem(
            "unsupported-media-type",
            "expected a body that is not compressed",
            [("Accept-Encoding", "identity")],
        )


def streamed(limit: str) -> Callable[[Callable], Callable]:
    """A view's decorator, next to `@access(...)`: the body is not read before the view is called, which takes
    it in pieces from its framework's `request` as they come. `limit` is the setting that says how many bytes
    there may be."""

    def note(view: Callable) -> Callable:
        view.streamed = limit
        return view

    return note


@cache
def reader(model: type[BaseModel]) -> Callable[[bytes, int], BaseModel]:
    """A function that reads bodies of this model. It raises Problem 400, which never repeats what came."""
    shape = getattr(model, "shape", Body.shape)
    build = model.__pydantic_validator__.validate_python
    try:
        struct = struct_of(model)
        decode = msgspec.json.Decoder(struct).decode
    except TypeError:
        return pydantic_reader(model, shape)

    def checked(body: bytes) -> msgspec.Struct:
        parsed = parse(body, shape)
        try:
            return msgspec.convert(parsed, struct)
        except msgspec.ValidationError as error:
            check_names(body)
            told = faults.of_msgspec(error, model)
            raise Problem("invalid-input", f"expected {shape}: {told}") from None

    def read(body: bytes, max_depth: int) -> BaseModel:
        if body.count(b"[") + body.count(b"{") > max_depth and depth(body) > max_depth:
            raise Problem("invalid-json", f"expected JSON nested at most {max_depth} deep")
        try:
            found = decode(body) if len(body) < LARGE else checked(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = checked(body)  # which tells what is wrong
        if body.count(b'"') > 2:  # more than one name: is one of them there twice?
            check_names(body)
        try:
            return build(found, from_attributes=True)
        except ValidationError as error:  # a rule that only pydantic has
            told = faults.of_pydantic(error, model)
            raise Problem("invalid-input", f"expected {shape}: {told}") from None

    return uncollected(read)


def pydantic_reader(model: type[BaseModel], shape: str) -> Callable[[bytes, int], BaseModel]:
    """The same, by pydantic alone."""
    validate = model.__pydantic_validator__.validate_json

    def read(body: bytes, max_depth: int) -> BaseModel:
        if depth(body) > max_depth:
            raise Problem("invalid-json", f"expected JSON nested at most {max_depth} deep")
        try:
            found = validate(body)
        except ValidationError as error:
            parse(body, shape)
            check_names(body)
            told = faults.of_pydantic(error, model)
            raise Problem("invalid-input", f"expected {shape}: {told}") from None
        check_names(body)
        return found

    return uncollected(read)


def uncollected(read: Callable[[bytes, int], BaseModel]) -> Callable[[bytes, int], BaseModel]:
    """The same without the collection of garbage that Python begins for every 700 new lists or objects: of a
    large body none is garbage yet, and looking for some takes four fifths of the time."""

    def call(body: bytes, max_depth: int) -> BaseModel:
        if len(body) < LARGE or not gc.isenabled():
            return read(body, max_depth)
        gc.disable()
        try:
            return read(body, max_depth)
        finally:
            gc.enable()

    return call


@cache
def struct_of(model: type[BaseModel]) -> type[msgspec.Struct]:
    """The msgspec struct with a model's fields. Raises TypeError where it would not read them alike."""
    fields = []
    decorators = model.__pydantic_decorators__
    if decorators.field_validators or decorators.model_validators or decorators.validators:
        raise TypeError("a validator may want what was sent, and not what was read")
    for name, field in model.model_fields.items():
        if field.alias or field.validation_alias or field.default_factory:
            raise TypeError(f"{name} has an alias or makes its default")
        known = (name, translated(field.annotation))
        fields.append(known if field.is_required() else (*known, field.default))
    forbid = model.model_config.get("extra") == "forbid"
    return msgspec.defstruct(model.__name__, fields, forbid_unknown_fields=forbid, kw_only=True)


def translated(annotation: Any) -> Any:
    """An annotation with structs in the places of models. Raises TypeError for what is not plain JSON."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return struct_of(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == Cell:
        return Union[(*CELL, list)]
    if origin in (Union, UnionType) and Cell in arguments:  # or lists of such
        return Union[(*CELL, *(translated(one) for one in arguments if one != Cell))]
    if annotation is float:
        return NUMBER
    if annotation in PLAIN or origin is Literal:
        return annotation
    if origin not in (list, dict, Union, UnionType):
        raise TypeError(f"{annotation} is not plain JSON")
    inner = tuple(translated(argument) for argument in arguments)
    return Union[inner] if origin in (Union, UnionType) else origin[inner]  # noqa: UP007


def parse(body: bytes, shape: str) -> Any:
    """What JSON stands for. Raises Problem 400 where it is none."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if faults.is_too_large(error):
            raise Problem("invalid-input", f"expected {shape}: there is {faults.TOO_LARGE}") from None
        told = faults.of_parser(error)
        raise Problem("invalid-json", f"expected one JSON object in UTF-8: {told}") from None


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
        json.loads(body, object_pairs_hook=unique, parse_float=len, parse_int=len)  # numbers do not matter
    except (ValueError, RecursionError):
        return  # not JSON: that is told elsewhere
