"""What is wrong with a body, in these words, and never in the client's own."""

import gc
import threading
from datetime import date
from types import SimpleNamespace
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from apps.service.bodies import Body, reader
from apps.service.inference import InferRequest, rows_of
from apps.service.predictions import BatchRequest, PredictRequest
from apps.service.problems import Problem
from apps.service.rows import check_features
from model_training.card import Feature

TENSOR = '{"inputs":[{"name":"features","shape":[1,4],"datatype":"FP64","data":[1]}]}'
CHOICES = "true or false or a number or text or null"
FOUR = SimpleNamespace(
    features=["a", "b", "c", "d"],
    minimum=[0.0] * 4,
    maximum=[10.0] * 4,
    is_plain=True,
    has_categories=False,
    columns=None,
    card=SimpleNamespace(features=[Feature(name=name) for name in "abcd"]),
)
HUGE = "a number too large to be computed with"


class Numbers(Body):
    features: list[float]


class Visit(Body):
    """pydantic reads this one: msgspec knows no date as pydantic has it."""

    day: date
    kind: Literal["first", "later"] = "first"
    rows: list[Numbers] = []
    count: int = 0
    share: float = 0


class Ranged(Body):
    """msgspec reads this one, and pydantic has one rule more."""

    n: int = Field(ge=3)
    kind: Literal["first", "later"] = "first"
    notes: dict[str, int] = {}


class Even(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value


def read(model: type[BaseModel], body: bytes) -> None:
    """As a server whose model takes four numbers: what is in a row is looked at with the card."""
    found = reader(model)(body, 32)
    if model is PredictRequest:
        check_features([found.features], FOUR, one=True)
    elif model is BatchRequest:
        check_features(found.instances, FOUR)
    elif model is InferRequest:
        rows_of(found, FOUR)


def refusal(model: type[BaseModel], body: bytes | str) -> tuple[str, str]:
    """The problem's slug, and its detail without the shape that was expected."""
    with pytest.raises(Problem) as found:
        read(model, body if isinstance(body, bytes) else body.encode())
    expected = f"expected {getattr(model, 'shape', Body.shape)}: "
    if found.value.kind.slug == "invalid-json":
        expected = "expected one JSON object in UTF-8: "
    assert found.value.detail.startswith(expected), found.value.detail
    return found.value.kind.slug, found.value.detail.removeprefix(expected)


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        (PredictRequest, '{"features":["5.1"]}', "features[0] is text, expected a number"),
        (PredictRequest, '{"features":[1,null]}', "features[1] is null, expected a number"),
        (PredictRequest, '{"features":[true]}', "features[0] is true or false, expected a number"),
        (PredictRequest, '{"features":[[1]]}', "features[0] is a list, expected a number"),
        (PredictRequest, '{"features":[{}]}', "features[0] is an object, expected a number"),
        (PredictRequest, '{"features":5.1}', "features is a number, expected a list"),
        (PredictRequest, "[5.1]", "the body is a list, expected an object"),
        (PredictRequest, "null", "the body is null, expected an object"),
        (PredictRequest, "{}", "a name is missing: features"),
        (PredictRequest, '{"features":[1],"secret":1}', "a name is not one of these: features"),
        (PredictRequest, '{"features":[1,1e999]}', f"features[1] is {HUGE}"),
        (PredictRequest, '{"features":[-1e999]}', f"features[0] is {HUGE}"),
        (PredictRequest, '{"features":[' + "9" * 400 + "]}", f"features[0] is {HUGE}"),
        (PredictRequest, '{"features":[' + "9" * 9000 + "]}", f"there is {HUGE}"),
        (BatchRequest, '{"instances":[[1],[2],[3],[1,"a"]]}', "instances[3][1] is text, expected a number"),
        (BatchRequest, '{"instances":[1]}', "instances[0] is a number, expected a list"),
        (InferRequest, TENSOR.replace("[1]", '["a"]'),
         "inputs[0].data[0] is text, expected a number or a list"),
        (InferRequest, TENSOR.replace("[1]", "[[1,{}]]"),
         "inputs[0].data[0][1] is an object, expected a number"),
        (InferRequest, TENSOR.replace("[1]", "[[1e999]]"), f"inputs[0].data[0][0] is {HUGE}"),
        (InferRequest, TENSOR.replace("[1,4]", '["1"]'),
         "inputs[0].shape[0] is text, expected a whole number"),
        (InferRequest, TENSOR.replace("[1,4]", "[1.5]"),
         "inputs[0].shape[0] is a number with a fraction, expected a whole number"),
        (InferRequest, TENSOR.replace('"name":"features",', ""), "a name is missing in inputs[0]: name"),
        (InferRequest, TENSOR.replace('"data"', '"secret"'),
         "a name in inputs[0] is not one of these: name, shape, datatype, data, parameters"),
        (InferRequest, TENSOR[:-1] + ',"parameters":{"secret":[1]}}',
         f"a value in parameters is a list, expected {CHOICES}"),
        (InferRequest, TENSOR[:-1] + ',"id":5}', "id is a number, expected text or null"),
        (Visit, '{"day":"secret"}', "day is not what belongs there"),
        (Visit, '{"day":5}', "day is a number, expected a date as text"),
        (Visit, "{}", "a name is missing: day"),
        (Visit, "[]", "the body is a list, expected an object"),
        (Visit, '{"day":"2026-01-01","secret":1}',
         "a name is not one of these: day, kind, rows, count, share"),
        (Visit, '{"day":"2026-01-01","kind":"secret"}', "kind is none of the values that it may have"),
        (Visit, '{"day":"2026-01-01","count":"1"}', "count is text, expected a whole number"),
        (Visit, '{"day":"2026-01-01","share":true}', "share is true or false, expected a number"),
        (Visit, '{"day":"2026-01-01","share":1e999}', f"share is {HUGE}"),
        (Visit, '{"day":"2026-01-01","rows":[{"features":[1,"a"]}]}',
         "rows[0].features[1] is text, expected a number"),
        (Visit, '{"day":"2026-01-01","rows":[{}]}', "a name is missing in rows[0]: features"),
        (Ranged, '{"n":1}', "n is not what belongs there"),
        (Ranged, '{"n":3,"kind":"secret"}', "kind is none of the values that it may have"),
        (Ranged, '{"n":3,"notes":{"secret":"a"}}', "a value in notes is text, expected a whole number"),
        (Even, '{"n":3}', "n is not what belongs there"),
    ],
)  # fmt: skip
def test_the_wrong_part_is_named_and_what_it_is(model, body, words):
    assert refusal(model, body) == ("invalid-input", words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "it is empty"),
        ('{"features":[1', "it breaks off at line 1, column 14"),
        ('{"features":[1,]}', "nothing follows a comma at line 1, column 16"),
        ('{"features":[1]}{', "something follows after its end at line 1, column 17"),
        ('{"features":[NaN]}', "no JSON value begins at line 1, column 14"),
        ('{"features":[01]}', "a number is not written as JSON has it at line 1, column 15"),
        ('{"features":[1 2]}', "a comma or a bracket is missing at line 1, column 16"),
        ('{"features" [1]}', "a colon is missing at line 1, column 13"),
        ("{features:[1]}", "a name does not stand in double quotes at line 1, column 2"),
        ('{\n "features": [1,\n  "\\q"]}', "an escape is none that JSON has at line 3, column 5"),
        ('["\\ud800"]', "an escape is none that JSON has at line 1, column 9"),
        ('["a\tb"]', "a control character stands in a text as it is at line 1, column 4"),
        (b'["\xff"]', "it is not UTF-8 at line 1, column 3"),
    ],
)
@pytest.mark.parametrize("model", [PredictRequest, Visit], ids=["msgspec", "pydantic"])
def test_what_is_no_json_is_told_with_its_place(model, body, words):
    assert refusal(model, body) == ("invalid-json", words)


secrets = st.sampled_from(["s3cr3t", 7771234, {"s3cr3t": 7771234}, ["s3cr3t"], [7771234.5]])
names = st.sampled_from(["features", "s3cr3t", "day", "rows", "kind", "n", "inputs", "notes", "id"])
objects = st.dictionaries(names, st.recursive(secrets, lambda inner: st.lists(inner, max_size=3)), max_size=4)


@given(found=objects, model=st.sampled_from([PredictRequest, InferRequest, Visit, Ranged, Even]))
def test_nothing_that_came_is_repeated(found, model):
    try:
        read(model, msgspec.json.encode(found))
    except Problem as problem:
        assert "s3cr3t" not in problem.detail and "7771234" not in problem.detail


class Unused:
    def __init__(self, _) -> None:
        pass

    def decode(self, _) -> None:
        raise AssertionError("msgspec's parser is used")


@pytest.mark.parametrize(
    "body",
    [
        '{"features":[5.1,3]}',
        '{"features":[1e999]}',
        '{"features":["a"}',
        '{"features":[1,]}',
        "[NaN]",
        '{"x":1}',
    ]
    + ['{"features":[1],"features":[1]}', '{"features":[true]}', '{"features":[1e-400,-0,1E+2]}'],
)
def test_a_large_body_is_read_as_a_small_one_is(body):
    """What msgspec's parser says of the small one is what is said of the large one."""

    def outcome(body: str):
        try:
            return reader(PredictRequest)(body.encode(), 32)
        except Problem as problem:
            return problem.kind.slug, problem.detail

    assert outcome(body + " " * 10_000) == outcome(body)


@pytest.mark.parametrize("number", ["1.2345678901234567e-300", "4.9406564584124654e-324"])
def test_the_numbers_that_msgspec_reads_slowly_another_parser_reads(monkeypatch, number):
    """7 µs each in msgspec's parser: a third of a second for a body of them, in which nobody is served."""
    reader.cache_clear()
    monkeypatch.setattr(msgspec.json, "Decoder", Unused)
    body = f'{{"features":[{",".join([number] * 40_000)}]}}'.encode()
    assert reader(PredictRequest)(body, 32).features == [float(number)] * 40_000
    reader.cache_clear()


def test_a_body_of_many_lists_is_read_without_looking_for_garbage_among_them():
    collections = []
    here = threading.get_ident()  # other tests' threads have garbage of their own

    def note(phase: str, _) -> None:
        if threading.get_ident() == here:
            collections.append(phase)

    body = b'{"instances":[' + b",".join([b"[]"] * 100_000) + b"]}"
    read = reader(BatchRequest)  # whose making may begin a collection
    gc.collect()
    gc.callbacks.append(note)
    try:
        assert len(read(body, 32).instances) == 100_000
        during = len(collections)
    finally:
        gc.callbacks.remove(note)
    assert during == 0 and gc.isenabled()
    with pytest.raises(Problem):
        reader(BatchRequest)(body[:-1], 32)
    assert gc.isenabled()
