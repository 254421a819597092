"""The WSGI middleware keeps nothing of a request that has been answered."""

import gc
import os
import sys

import pytest

from apps.frameworks.wsgi import Middleware
from apps.service import Problem, build

SIZE = 100_000  # bytes


class Input:
    """A server's wsgi.input, which gives the very object that a test holds."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        return self._body


def answering(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def streaming(environ, start_response):
    start_response("200 OK", [])
    yield from (b"o", b"k")


def refusing(environ, start_response):
    body = environ["wsgi.input"].read()
    try:
        raise ValueError(len(body))
    except ValueError:
        raise Problem("invalid-input", "expected something else") from None


def failing(environ, start_response):
    raise RuntimeError(len(environ["wsgi.input"].read()))


@pytest.fixture
def no_collection():
    """Memory is freed as soon as nothing refers to it, or this test sees it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("app", [answering, streaming, refusing, failing])
def test_no_body_is_kept_when_its_request_has_been_answered(no_collection, app):
    middleware = Middleware(app, build("flask_app", port=5000).requests)
    body = os.urandom(SIZE)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "t",
        "CONTENT_LENGTH": str(SIZE),
        "wsgi.input": Input(body),
    }
    alone = sys.getrefcount(body) - 1  # but for wsgi.input
    parts = middleware(environ, lambda *_: None)
    assert b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    del environ, parts
    assert sys.getrefcount(body) == alone
