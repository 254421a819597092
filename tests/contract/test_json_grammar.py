"""Bodies that are no JSON, barely JSON, or JSON of another shape: 400 from both, in the same words.

The classes are those of the JSONTestSuite (N. Seriot, Parsing JSON is a Minefield, 2016), after RFC 8259."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire import post

NOT_JSON = [
    b"", b" ", b"\xef\xbb\xbf{}", b"\xff\xfe", b"\x00", b"abc", b"'a'", b"tru", b"nul", b"fals", b"TRUE", b"Null",
    b"[", b"]", b"{", b"}", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1,,2]", b"[,]", b"[1]]", b"[1]x", b"[1 2]", b"[1:2]",
    b'["', b'["a', b'["a\\', b'["\\x00"]', b'["\\u00A"]', b'["\\uD8', b'["\\a"]', b'["\\', b'["\n"]', b'["\t"]',
    b'["\x00"]', b'["\xff"]', b'["\xc0\xaf"]', b'["\xed\xa0\x80"]', b'["\xf4\xbf\xbf\xbf"]', b'[\xe9]', b"[\x0b]",
    b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}', b'{"a" 1}', b'{"a"::1}', b"{a:1}", b"{1:1}", b"{'a':1}",
    b'{,"a":1}', b'{"a":1,,"b":2}', b'{"a":1}{"b":2}', b'{"a":1}#', b'{"a":1}/**/', b'{"a":1//\n}', b'{"a":tru}',
    b"[+1]", b"[-]", b"[--1]", b"[01]", b"[-01]", b"[1.]", b"[.5]", b"[-.5]", b"[1.e1]", b"[1e]", b"[1e+]", b"[1e1.5]",
    b"[0x1]", b"[1_000]", b"[1a]", b"[1e1e1]", b"[-Inf]", b"[inf]", b"[nan]", b"[1+2]", b"[0.1.2]", b"[1/2]",
    "[１]".encode(), "[“1”]".encode(), b"[\xc2\xa01]", b"\xe2\x81\xa0{}", b"[" * 100_000, b'{"a":' * 50_000,
]  # fmt: skip
ANOTHER_SHAPE = [
    b"null", b"true", b"5", b"-0.0", b'""', b'"features"', b"[]", b"[5.1,3.5,1.4,0.2]", b"{}", b"NaN", b"[Infinity]",
    b'{"Features":[5.1,3.5,1.4,0.2]}', b'{"features ":[5.1,3.5,1.4,0.2]}', b'{"":[5.1,3.5,1.4,0.2]}',
    b'{"features":{}}', b'{"features":{"0":5.1}}', b'{"features":[{}]}', b'{"features":[[],[],[],[]]}',
    b'{"features":[null,null,null,null]}', b'{"features":[5.1,3.5,1.4,-Infinity]}', b'{"features":[5.1,3.5,1.4,1e400]}',
    b'{"features":[5.1,3.5,1.4,' + b"9" * 400 + b"]}", b'{"features":[5.1,3.5,1.4,"\\ud800"]}', b'{"\\ud800":1}',
    b'{"features":[5.1,3.5,1.4,0.2],"features":1}', b'{"features":[5.1,3.5,1.4,0.2],"\\ud800":[1]}',
    b'{"features":[5.1,3.5,1.4,0.2,0.2]}', b'{"features":[' + b"1," * 100_000 + b"1]}", b'[["features",[5.1,3.5,1.4,0.2]]]',
    b'{"features":[5.1,3.5,1.4,0.2],"__class__":"x"}', b'{"features":[-0.1,3.5,1.4,0.2]}',
]  # fmt: skip


@pytest.mark.parametrize("body", [*NOT_JSON, *ANOTHER_SHAPE], ids=lambda body: repr(body[:30]))
def test_a_body_that_is_not_the_one_object_is_refused_alike(both, body):
    answers = [post(server.url, body) for server in both.values()]
    assert [answer.status for answer in answers] == [400, 400]
    assert json.loads(answers[0].body) == json.loads(answers[1].body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"features":[5.1,3.5,1.4,0.2]}',
        b' \t\r\n{ "features" : [ 51e-1 , 3.5E0 , 14e-1 , 2e-1 ] } \n',
        b'{"\\u0066eatures":[5.1,3.5,1.4,0.2]}',
        b'{"features":[5,3,1,0]}',
        b'{"features":[5.1,3.5,1.4,-0]}',
        b'{"features":[5.1,3.5,1.4,0.' + b"0" * 300 + b"1]}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_every_way_to_write_a_number_is_understood(both, body):
    for server in both.values():
        answer = post(server.url, body)
        assert (answer.status, json.loads(answer.body)) == (200, {"prediction": [0]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
bodies = st.one_of(
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.lists(st.floats(-1, 9) | json_values, min_size=3, max_size=5).map(
        lambda features: json.dumps({"features": features}).encode()
    ),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=bodies)
def test_whatever_comes_both_answer_the_same(both, body):
    answers = [post(server.url, body) for server in both.values()]
    assert answers[0].status == answers[1].status
    assert answers[0].status in (200, 400)
    assert json.loads(answers[0].body) == json.loads(answers[1].body)
