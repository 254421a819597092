"""The same bytes to both full servers: whatever comes, the answers are alike in status, body and headers.

Requests are well formed as HTTP and strange in all else; what is wrong as HTTP is in test_framing.py. The
same ones in every run: derandomize."""

import json
import os
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from promises import check_answer, comparable
from routes import ROUTES
from wire import KeptAlive, chunked_bytes, request_bytes

ROW = [5.1, 3.5, 1.4, 0.2]
VALID = {
    "/predict": {"features": ROW},
    "/predict/batch": {"instances": [ROW, [6.3, 3.3, 6.0, 2.5]]},
    "/v2/models/iris/infer": {
        "id": "1",
        "inputs": [
            {
                "name": "features",
                "shape": [2, 4],
                "datatype": "FP64",
                "data": ROW + ROW,
                "parameters": {"a": 1},
            }
        ],
        "outputs": [{"name": "label", "parameters": {"binary_data": False}}],
    },
}
LIMITS = settings(
    max_examples=int(os.environ.get("SERVELAB_EXAMPLES", "1500")),
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

numbers = st.floats() | st.integers() | st.sampled_from([0, -0.0, 1e308, 2**53, 2**64, 5e-324, 12.8, 0.7])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value, at: tuple = ()) -> list[tuple]:
    """Where something stands in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in inner for place in places(one, (*at, key)))]


def changed(value, place: tuple, change):
    """The value with what stands at `place` put through `change`, whose None means: leave it out."""
    if not place:
        return change(value)
    key, *rest = place
    copy = dict(value) if isinstance(value, dict) else list(value)
    found = changed(copy[key], tuple(rest), change)
    if found is None:
        copy.pop(key)
    else:
        copy[key] = found
    return copy


def changes(other) -> st.SearchStrategy:
    """What may be done to a part of a body."""
    return st.sampled_from(
        [lambda one: other, lambda one: None, lambda one: [one, one], lambda one: {"features": one}]
    )


@st.composite
def mutated(draw, value) -> bytes:
    """A valid body with something in it replaced, left out, doubled or wrapped, and then perhaps a byte."""
    for _ in range(draw(st.integers(0, 2))):
        place, other = draw(st.sampled_from(places(value))), draw(values)
        value = changed(value, place, draw(changes(other)))
    body = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 2)) :]
    return body


@st.composite
def bodies(draw) -> tuple[str, bytes]:
    """A path that takes a body, and a body for it, for another one, or for none."""
    path = draw(st.sampled_from([*VALID]))
    meant = draw(st.sampled_from([path] * 4 + [*VALID]))
    body = draw(mutated(VALID[meant]) | values.map(lambda v: json.dumps(v).encode()) | st.binary(max_size=40))
    return path, body


visible = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30
)
content_types = st.sampled_from(
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=latin-1",
        "application/json ; a=b",
        "application/json, application/json",
        "application/jsonx",
        "application/problem+json",
        "text/plain",
        "multipart/form-data; boundary=a",
        "application/x-www-form-urlencoded",
        "",
        ";",
    ]
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": content_types | visible,
        "Content-Encoding": st.sampled_from(["identity", "gzip", "br", "gzip, identity", ""]) | visible,
        "X-Request-ID": visible | st.text("abcXYZ019._-", min_size=1, max_size=70),
        "Traceparent": visible
        | st.from_regex(
            r"\A[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z", alphabet="0123456789abcdef-"
        ),
        "Accept": visible,
        "Accept-Encoding": visible,
        "Cookie": visible,
        "Authorization": visible,
        "Range": st.sampled_from(["bytes=0-1", "bytes=-1", "x"]),
        "If-None-Match": st.sampled_from(["*", '"a"', "x"]),
        "If-Modified-Since": st.sampled_from(["Tue, 24 Nov 2026 09:00:00 GMT", "x"]),
        "X-HTTP-Method-Override": st.sampled_from(["DELETE", "GET"]),
        "X-Forwarded-Host": visible,
        "X-Forwarded-For": visible,
        "Origin": st.just("http://evil.example"),
        "Access-Control-Request-Method": st.just("POST"),
    },
)
methods = st.sampled_from(
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "BREW"]
)


@st.composite
def paths(draw) -> str:
    """A route with its parts filled in, and then something done to it."""
    path = draw(st.sampled_from([*ROUTES]))
    word = st.sampled_from(["iris", "start.js", "overloaded", "1"]) | st.text(max_size=6)
    for name in ("name", "version", "file", "slug"):
        path = path.replace(f"{{{name}}}", quote(draw(word), safe="", errors="surrogatepass"))
    ends = [
        "",
        "",
        "",
        "/",
        "//",
        "/.",
        "/..",
        "/%2e%2e",
        "?",
        "?a=b",
        "?%",
        "?probabilities=true",
        "%20",
        "%00",
    ]
    ends += ["%", "%zz", "%c3%28", "%2F", ";a=b", ".json", "\\", "?a=%ff"]
    path += draw(st.sampled_from(ends))
    return draw(
        st.sampled_from([path] * 6 + ["/" + path, "/x/.." + path, path.upper(), path.replace("/", "//")])
    )


@pytest.fixture(scope="module")
def connections(full):
    """One for each server, kept alive, as clients do."""
    pair = {name: KeptAlive(server.url) for name, server in full.items()}
    yield pair
    for connection in pair.values():
        connection.close()


def check_alike(full, connections, request: bytes) -> None:
    answers = {name: connection.ask(request) for name, connection in connections.items()}
    assert comparable(answers["fastapi"]) == comparable(answers["flask"]), request
    for name, answer in answers.items():
        assert answer.status < 500 or answer.status in (501, 503), request
        assert answer.status != 422
        check_answer(full[name], answer)


@LIMITS
@given(target=bodies(), chunk=st.integers(0, 40))
def test_whatever_a_body_holds(full, connections, target, chunk):
    path, body = target
    headers = {"Content-Type": "application/json"}
    if chunk:
        request = chunked_bytes(path, headers, body, chunk)
    else:
        request = request_bytes("POST", path, headers, body, keep=True)
    check_alike(full, connections, request)


@LIMITS
@given(method=methods, path=paths())
def test_whatever_is_asked_for(full, connections, method, path):
    check_alike(full, connections, request_bytes(method, path, {}, keep=True))


@LIMITS
@given(
    method=st.sampled_from(["POST", "POST", "GET"]),
    path=st.sampled_from([*VALID, "/health", "/v2/models/iris", "/nope"]),
    headers=headers,
)
def test_whatever_its_headers_say(full, connections, method, path, headers):
    body = json.dumps(VALID.get(path, {})).encode() if method == "POST" else b""
    headers = {name: value.strip() for name, value in headers.items()}
    check_alike(full, connections, request_bytes(method, path, headers, body, keep=True))
