"""What is wrong with a body, in words that a person reads, and that hold nothing of what came.

The libraries' own words would: a client's name for a field, a value of a choice. So what is not known here is
told in general."""

import re
from typing import Any, get_args

import msgspec
from pydantic import BaseModel, ValidationError

GOT = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false", "null": "null"}
GOT |= {"array": "a list", "object": "an object", "NoneType": "null", "list": "a list", "dict": "an object"}
WANTED = GOT | {"int": "a whole number"}
TOO_LARGE = "a number too large to be computed with"
MSGSPEC = [  # its words (https://jcristharif.com/msgspec/), and ours: {0} stands for the place
    (r"Expected `float` [<>]= \S+|(?:Number|Integer value) out of range", f"{{0}} is {TOO_LARGE}"),
    (r"Object missing required field `(\w+)`", "a name is missing{in_0}: {1}"),
    (r"Object contains unknown field .*", "a name{in_0} is not one of these: {names}"),
    (r"Expected `(int)`, got `float`", "{0} is a number with a fraction, expected a whole number"),
    (r"Expected `([a-z |]+)`, got `([a-z]+)`", "{0} is {got}, expected {wanted}"),
    (r"Invalid enum value .*", "{0} is none of the values that it may have"),
]
PYDANTIC = {  # its errors' types (https://docs.pydantic.dev/latest/errors/validation_errors/)
    "missing": "a name is missing{in_0}: {last}",
    "extra_forbidden": "a name{in_0} is not one of these: {names}",
    "finite_number": f"{{0}} is {TOO_LARGE}",
    "literal_error": "{0} is none of the values that it may have",
    "enum": "{0} is none of the values that it may have",
    "string_type": "{0} is {got}, expected text",
    "int_type": "{0} is {got}, expected a whole number",
    "int_from_float": "{0} is a number with a fraction, expected a whole number",
    "float_type": "{0} is {got}, expected a number",
    "bool_type": "{0} is {got}, expected true or false",
    "none_required": "{0} is {got}, expected null",
    "list_type": "{0} is {got}, expected a list",
    "tuple_type": "{0} is {got}, expected a list",
    "dict_type": "{0} is {got}, expected an object",
    "model_type": "{0} is {got}, expected an object",
    "model_attributes_type": "{0} is {got}, expected an object",
    "date_type": "{0} is {got}, expected a date as text",
    "datetime_type": "{0} is {got}, expected a date and a time as text",
}
GENERAL = "{0} is not what belongs there"
JITER = [  # the parser's words (https://docs.rs/jiter), which is pydantic's, and ours
    (r"EOF while parsing", "it breaks off"),
    (r"expected value|expected ident", "no JSON value begins"),
    (r"invalid number", "a number is not written as JSON has it"),
    (r"trailing comma", "nothing follows a comma"),
    (r"trailing characters", "something follows after its end"),
    (r"expected `,` or", "a comma or a bracket is missing"),
    (r"expected `:`", "a colon is missing"),
    (r"key must be a string", "a name does not stand in double quotes"),
    (r"control character", "a control character stands in a text as it is"),
    (r"invalid unicode code point", "it is not UTF-8"),
    (r"invalid escape|.*(?:hex escape|surrogate)", "an escape is none that JSON has"),
    (r"recursion limit exceeded", "it is nested too deeply"),
]
POSITION = re.compile(r"(.*) at line (\d+) column (\d+)", re.DOTALL).fullmatch


def got(value: Any) -> str:
    """What a value is, in a word."""
    return GOT.get(type(value).__name__, "something else")


def of_msgspec(error: msgspec.ValidationError, model: type[BaseModel]) -> str:
    """What an error of msgspec's says of a body that should have been one of `model`."""
    said, _, where = str(error).partition(" - at `$")
    path = [int(part) if part.isdigit() else part for part in re.findall(r"\w+|\.\.\.", where)]
    for words, ours in MSGSPEC:
        if found := re.fullmatch(words, said, re.DOTALL):
            groups = [*found.groups(), "", ""]
            kinds = [
                kind for kind in groups[0].split(" | ") if not (kind == "object" and "array" in groups[0])
            ]
            wanted = " or ".join(WANTED.get(kind, "something else") for kind in kinds)
            return written(ours, model, path, groups[0], GOT.get(groups[1], "something else"), wanted)
    return written(GENERAL, model, path)


def of_pydantic(error: ValidationError, model: type[BaseModel]) -> str:
    """What the first of pydantic's errors says."""
    first = error.errors(include_url=False, include_context=False)[0]
    path, ours = list(first["loc"]), PYDANTIC.get(first["type"], GENERAL)
    last = path.pop() if first["type"] in ("missing", "extra_forbidden") else ""
    return written(ours, model, path, last, got(first["input"]))


def of_parser(error: ValueError) -> str:
    """What is wrong with JSON that cannot be read, and where."""
    found = POSITION(str(error))
    said, line, column = found.groups() if found else (str(error), "", "0")
    ours = next((ours for words, ours in JITER if re.match(words, said)), "it cannot be read")
    if said.startswith("EOF while parsing a value") and (line, column) == ("1", "0"):
        return "it is empty"
    return f"{ours} at line {line}, column {max(1, int(column))}" if found else ours


def is_too_large(error: ValueError) -> bool:
    """Whether the parser gave up on a number of thousands of digits, which is JSON."""
    return str(error).startswith("number out of range")


def written(
    words: str, model: type[BaseModel], path: list, name: str = "", got: str = "", wanted: str = ""
) -> str:
    """The words with a place: of the path, as much as the model itself has names for."""
    place, names, of = "", list(model.model_fields), model
    for part in path:
        if isinstance(part, int):
            place += f"[{part}]"
        elif of is not None and part in of.model_fields:
            place += f".{part}" if place else part
            of = model_in(of.model_fields[part].annotation)
            names = list(of.model_fields) if of else []
        else:
            place = f"a value in {place}" if place else "a value"
            break
    return words.format(
        place or "the body", name, last=name, got=got, wanted=wanted, names=", ".join(names),
        in_0=f" in {place}" if place else "",
    )  # fmt: skip


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is of, or has in a list, say."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part))), None)
