"""Where a request begins and ends: RFC 9112, byte by byte. Both full servers read it alike, and what one of
them refuses ends the connection, so that nobody's second request hides behind a first.

After the smuggling research of J. Kettle (2019 to 2025), and what waitress and httptools take by default."""

import socket

import pytest
from promises import Watch, check_answer, comparable
from wire import Connection, send

ROW = b'{"features":[5.1,3.5,1.4,0.2]}'
HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
SECOND = b"GET /models HTTP/1.1\r\nHost: localhost\r\n\r\n"

REFUSED = {
    "line-without-version": (b"GET /health\r\nHost: localhost\r\n\r\n", 400),
    "line-of-one-word": (b"GET\r\n\r\n", 400),
    "line-double-space": (b"GET  /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "line-tab": (b"GET\t/health\tHTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "line-space-at-end": (b"GET /health HTTP/1.1 \r\nHost: localhost\r\n\r\n", 400),
    "line-space-before": (b" GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "line-space-in-target": (b"GET /hea lth HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "line-nul-in-target": (b"GET /hea\0lth HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "line-control-in-target": (b"GET /hea\x7flth HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "line-target-no-slash": (b"GET health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "line-target-star": (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "line-connect": (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 405, 501)),
    "line-lower-case-method": (b"get /health HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 405, 501)),
    "line-method-no-token": (b"G{}T /health HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 501)),
    "line-10k-method": (b"G" * 10_000 + b" /health HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 501)),
    "line-unknown-method": (b"BREW /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "line-unknown-method-absolute": (b"BREW http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "authority-half-bracket": (b"GET http://[::1/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "authority-no-host": (b"GET http://:80/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "authority-no-port": (b"GET http://localhost:/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "authority-word-for-port": (b"GET http://localhost:x/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "authority-port-too-large": (b"GET http://localhost:65536/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "authority-user": (b"GET http://localhost@evil/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "authority-alone": (b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "version-2": (b"GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
    "version-1.2": (b"GET /health HTTP/1.2\r\nHost: localhost\r\n\r\n", 400),
    "version-0.9": (b"GET /health HTTP/0.9\r\nHost: localhost\r\n\r\n", 400),
    "version-1.10": (b"GET /health HTTP/1.10\r\nHost: localhost\r\n\r\n", 400),
    "version-lower-case": (b"GET /health http/1.1\r\nHost: localhost\r\n\r\n", 400),
    "version-other": (b"GET /health ICY/1.1\r\nHost: localhost\r\n\r\n", 400),
    "http2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "not-http": (b"\x00\x01\x02\x03hello\r\n\r\n", 400),
    "bare-lf": (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
    "bare-cr": (b"GET /health HTTP/1.1\rHost: localhost\r\r", 400),
    "host-missing": (b"GET /health HTTP/1.1\r\nAccept: */*\r\n\r\n", 400),
    "host-twice": (GET + b"Host: evil\r\n\r\n", 400),
    "header-no-colon": (GET + b"hello\r\n\r\n", 400),
    "header-no-name": (GET + b": a\r\n\r\n", 400),
    "header-space-in-name": (GET + b"X Y: a\r\n\r\n", 400),
    "header-tab-before-colon": (GET + b"X\t: a\r\n\r\n", 400),
    "header-control-in-name": (GET + b"X\x01Y: a\r\n\r\n", 400),
    "header-not-ascii-name": (GET + b"X\xe9Y: a\r\n\r\n", 400),
    "header-no-token-name": (GET + b"X(Y): a\r\n\r\n", 400),
    "header-bare-cr": (GET + b"X: a\rY: b\r\n\r\n", 400),
    "header-folded": (GET + b"X: a\r\n b\r\n\r\n", 400),
    "header-first-folded": (b"GET /health HTTP/1.1\r\n Host: localhost\r\n\r\n", 400),
    "header-control-in-value": (GET + b"X: a\x01b\r\n\r\n", 400),
    "header-del-in-value": (GET + b"X: a\x7fb\r\n\r\n", 400),
    "cl-empty": (HEAD + b"Content-Length:\r\n\r\n" + ROW, 400),
    "cl-hex": (HEAD + b"Content-Length: 0x1e\r\n\r\n" + ROW, 400),
    "cl-inner-space": (HEAD + b"Content-Length: 3 0\r\n\r\n" + ROW, 400),
    "cl-comma": (HEAD + b"Content-Length: 30,\r\n\r\n" + ROW, 400),
    "cl-underscore": (HEAD + b"Content-Length: 3_0\r\n\r\n" + ROW, 400),
    "cl-other-digits": (HEAD + "Content-Length: ३०\r\n\r\n".encode() + ROW, 400),
    "cl-superscript": (HEAD + b"Content-Length: \xb2\r\n\r\n" + ROW, 400),
    "cl-twice-same": (HEAD + b"Content-Length: 30\r\nContent-Length: 30\r\n\r\n" + ROW, 400),
    "cl-300-digits": (HEAD + b"Content-Length: " + b"9" * 300 + b"\r\n\r\n" + ROW, (400, 413)),
    "cl-5000-zeros": (HEAD + b"Content-Length: " + b"0" * 5000 + b"\r\n\r\n", 400),
    "cl-5000-zeros-and-more": (HEAD + b"Content-Length: " + b"0" * 5000 + b"40000\r\n\r\n" + b"a" * 40_000, 400),
    "cl-zeros-before-too-many": (HEAD + b"Content-Length: " + b"0" * 20 + b"99999999\r\n\r\n", (400, 413)),
    "te-and-cl": (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "te-twice-in-one": (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    "te-twice": (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    "te-two-kinds": (HEAD + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    "te-gzip-chunked": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", (400, 501)),
    "te-chunked-identity": (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", (400, 501)),
    "te-unknown-and-upgrade": (HEAD + UPGRADE + b"Transfer-Encoding: gzip\r\n\r\n", (400, 501)),
    "te-quoted": (HEAD + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', (400, 501)),
    "te-parameter": (HEAD + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", (400, 501)),
    "te-empty": (HEAD + b"Transfer-Encoding:\r\nContent-Length: 30\r\n\r\n" + ROW, (400, 501)),
    "te-vertical-tab": (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", (400, 501)),
    "te-http-1.0": (CHUNKED.replace(b"/1.1", b"/1.0") + b"1e\r\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-no-hex": (CHUNKED + b"xyz\r\n", 400),
    "chunk-empty-size": (CHUNKED + b"\r\n\r\n", 400),
    "chunk-empty-line-between": (CHUNKED + b"1\r\n{\r\n\r\n1d\r\n" + ROW[1:] + b"\r\n0\r\n\r\n", 400),
    "chunk-negative": (CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n", 400),
    "chunk-plus": (CHUNKED + b"+1e\r\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-0x": (CHUNKED + b"0x1e\r\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-underscore": (CHUNKED + b"1_e\r\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-space-before": (CHUNKED + b" 1e\r\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-overflow": (CHUNKED + b"1000000000000001e\r\n" + ROW + b"\r\n0\r\n\r\n", (400, 413)),
    "chunk-long-size": (CHUNKED + b"0" * 20_000, 400),
    "chunk-many-zeros-before": (CHUNKED + b"0" * 5000 + b"1e\r\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-longer-than-said": (CHUNKED + b"1d\r\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-no-crlf-after": (CHUNKED + b"1e\r\n" + ROW + b"0\r\n\r\n", 400),
    "chunk-lf-after-size": (CHUNKED + b"1e\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-lf-after-data": (CHUNKED + b"1e\r\n" + ROW + b"\n0\r\n\r\n", 400),
    "chunk-lf-in-extension": (CHUNKED + b"1e;a\nb\r\n" + ROW + b"\r\n0\r\n\r\n", 400),
    "chunk-many-extensions": (CHUNKED + b"1;aaaaaaaaaaaaaaaa\r\n \r\n" * 5000, 400),
    "trailer-too-long": (CHUNKED + b"1e\r\n" + ROW + b"\r\n0\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", (400, 431)),
    "trailer-te": (CHUNKED + b"1e\r\n" + ROW + b"\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "trailer-no-colon": (CHUNKED + b"1e\r\n" + ROW + b"\r\n0\r\nhello\r\n\r\n", 400),
}  # fmt: skip

TAKEN = {
    "crlf-before": (b"\r\n" + GET + b"\r\n", 200),
    "http-1.0": (b"GET /health HTTP/1.0\r\n\r\n", 200),
    "absolute-target": (b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
    "absolute-target-last-port": (b"GET http://localhost:65535/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
    "absolute-target-ipv6": (b"GET http://[::1]:80/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
    "host-empty": (b"GET /health HTTP/1.1\r\nHost:\r\n\r\n", 200),
    "options-star": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 404, 405)),
    "header-no-value": (GET + b"X:\r\n\r\n", 200),
    "header-tab-before-value": (GET + b"X:\ta\r\n\r\n", 200),
    "header-not-ascii-value": (GET + b"X: caf\xe9 \xff\r\n\r\n", 200),
    "header-any-case": (b"GET /health HTTP/1.1\r\nhOsT: localhost\r\n\r\n", 200),
    "header-method-override": (GET + b"X-HTTP-Method-Override: DELETE\r\n\r\n", 200),
    "upgrade-websocket": (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
    "upgrade-http2": (GET + UPGRADE + b"\r\n", 200),
    "expect-without-body": (GET + b"Expect: 100-continue\r\n\r\n", 200),
    "expect-http-1.0": (HEAD.replace(b"/1.1", b"/1.0") + b"Expect: 100-continue\r\nContent-Length: 30\r\n\r\n" + ROW, 200),
    "upgrade-with-body": (HEAD + UPGRADE + b"Content-Length: 30\r\n\r\n" + ROW, 200),
    "upgrade-with-chunks": (CHUNKED[:-2] + UPGRADE + b"\r\n1e\r\n" + ROW + b"\r\n0\r\n\r\n", 200),
    "upgrade-websocket-with-body": (HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 30\r\n\r\n" + ROW, 200),
    "upgrade-http-1.0": (HEAD.replace(b"/1.1", b"/1.0") + UPGRADE + b"Content-Length: 30\r\n\r\n" + ROW, 200),
    "cl-spaces-around": (HEAD + b"Content-Length: \t30 \t\r\n\r\n" + ROW, 200),
    "cl-leading-zeros": (HEAD + b"Content-Length: 0030\r\n\r\n" + ROW, 200),
    "cl-with-get": (GET + b"Content-Length: 3\r\n\r\nabc", 200),
    "underscore-content-type": (b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent_Type: application/json\r\nContent-Length: 30\r\n\r\n" + ROW, 415),
    "underscore-content-length": (HEAD + b"Content_Length: 3\r\nContent-Length: 30\r\n\r\n" + ROW, 200),
    "no-body": (HEAD + b"\r\n", 400),
    "te-upper-case": (HEAD + b"Transfer-Encoding: CHUNKED\r\n\r\n1E\r\n" + ROW + b"\r\n0\r\n\r\n", 200),
    "chunk-leading-zeros": (CHUNKED + b"00001e\r\n" + ROW + b"\r\n000\r\n\r\n", 200),
    "chunk-extension": (CHUNKED + b'1e;a=b;c="d"\r\n' + ROW + b"\r\n0\r\n\r\n", 200),
    "trailer": (CHUNKED + b"1e\r\n" + ROW + b"\r\n0\r\nX-Check: 1\r\n\r\n", 200),
    "trailer-length": (CHUNKED + b"1e\r\n" + ROW + b"\r\n0\r\nContent-Length: 5\r\n\r\n", (200, 400)),
    "trailer-request-id": (CHUNKED + b"1e\r\n" + ROW + b"\r\n0\r\nX-Request-ID: trailer-id\r\n\r\n", (200, 400)),
}  # fmt: skip


def parameters(table: dict) -> list:
    return [pytest.param(raw, as_tuple(statuses), id=name) for name, (raw, statuses) in table.items()]


def as_tuple(statuses) -> tuple[int, ...]:
    return statuses if isinstance(statuses, tuple) else (statuses,)


@pytest.mark.parametrize(("raw", "statuses"), parameters(REFUSED))
def test_what_is_not_http_is_refused_alike_and_ends_the_connection(full, raw, statuses):
    answers, lines = [], []
    for server in full.values():
        with Watch(server) as watch, Connection(server.url) as connection:
            connection.send(raw + SECOND)
            answer = connection.receive()
            assert answer.status in statuses, answer
            assert answer.headers["connection"] == "close"
            check_answer(server, answer)
            assert connection.is_closed(), "a second answer came"
            line = watch.line_of(answer)
            lines.append([line[name] for name in ("method", "route", "status", "problem")])
            assert b"/models" not in watch.log, "the second request was read"
        answers.append(answer)
    assert comparable(answers[0]) == comparable(answers[1])
    assert lines[0] == lines[1]


def test_what_refuses_a_head_has_no_body(full):
    for server in full.values():
        with Connection(server.url) as connection:
            connection.send(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n")
            answer = connection.receive("HEAD")
            assert answer.status == 400 and int(answer.headers["content-length"]) > 0
            assert connection.is_closed()


@pytest.mark.parametrize(("raw", "statuses"), parameters(REFUSED))
def test_it_is_refused_behind_another_request_too(full, raw, statuses):
    for server in full.values():
        with Connection(server.url) as connection:
            connection.send(GET + b"\r\n" + raw)
            assert connection.receive().status == 200
            answer = connection.receive()
            assert answer.status in statuses and answer.headers["connection"] == "close", answer
            assert connection.is_closed()


@pytest.mark.parametrize(("raw", "statuses"), parameters(TAKEN))
def test_what_is_unusual_and_http_is_read_alike(full, raw, statuses):
    answers = []
    for server in full.values():
        with Watch(server) as watch:
            answer = send(server.url, raw)
            assert answer.status in statuses, answer
            check_answer(server, answer)
            assert answer.request_id not in ("trailer-id",)
            assert watch.line_of(answer)["status"] == answer.status
        answers.append(answer)
    assert comparable(answers[0]) == comparable(answers[1])


def test_requests_sent_at_once_are_answered_in_order(full):
    post = HEAD + b"Content-Length: 30\r\n"
    asked = [
        (GET + b"X-Request-ID: first\r\n\r\n", 200),
        (post + b"X-Request-ID: second\r\n\r\n" + ROW, 200),
        (b"GET /nope HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: third\r\n\r\n", 404),
        (CHUNKED[:-2] + b"X-Request-ID: fourth\r\n\r\n1e\r\n" + ROW + b"\r\n0\r\n\r\n", 200),
        (GET + b"X-Request-ID: fifth\r\nContent-Length: 3\r\n\r\nabc", 200),
        (post + UPGRADE + b"X-Request-ID: sixth\r\n\r\n" + ROW, 200),
        (GET + UPGRADE + b"X-Request-ID: seventh\r\n\r\n", 200),
        (GET + b"X-Request-ID: last\r\n\r\n", 200),
    ]
    for server in full.values():
        with Connection(server.url) as connection:
            connection.send(b"".join(raw for raw, _ in asked))
            answers = [connection.receive() for _ in asked]
        assert [answer.status for answer in answers] == [status for _, status in asked]
        assert [answer.request_id for answer in answers] == [
            *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "last")
        ]


@pytest.mark.parametrize(
    "garbage",
    [
        b"%2f\r\n\r\n",
        b"content-length: 30, 30\r\n\r\n",
        b"\0\0\0\0",
        GET + b"Host: evil\r\n\r\n",
        CHUNKED + b"xyz\r\n",
        b"GET  /health HTTP/1.1\r\n\r\n",
    ],
    ids=["no-request", "header", "binary", "two-hosts", "bad-chunk", "two-spaces"],
)
@pytest.mark.parametrize("before", [1, 2])
def test_what_comes_before_something_that_is_not_http_is_answered(full, garbage, before):
    """And has its own answer: who sends ahead takes them in the order in which they asked."""
    request = HEAD + b"Content-Length: 30\r\n\r\n" + ROW
    for server in full.values():
        with Watch(server) as watch, Connection(server.url) as connection:
            connection.send(request * before + garbage + SECOND)
            answers = [connection.receive() for _ in range(before + 1)]
            assert [answer.status for answer in answers] == [200] * before + [400]
            assert answers[-1].headers["connection"] == "close"
            assert connection.is_closed()
            assert [watch.line_of(answer)["status"] for answer in answers] == [200] * before + [400]
            assert b"/models" not in watch.log, "the second request was read"


@pytest.mark.parametrize("said", [b"close", b"Close", b"keep-alive, close", b"TE,close"])
def test_a_client_that_is_done_is_answered_and_left(full, said):
    """`close` may be one of several options (RFC 9110, section 7.6.1)."""
    for server in full.values():
        with Connection(server.url) as connection:
            connection.send(GET + b"Connection: " + said + b"\r\n\r\n")
            answer = connection.receive()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert connection.is_closed()


def test_a_client_that_says_that_nothing_more_will_come_is_answered_all_it_has_asked(full):
    """It may still read: https://www.rfc-editor.org/rfc/rfc9293#section-3.6, and `nc -N` does so."""
    asked = [GET + b"\r\n", HEAD + b"Content-Length: 30\r\n\r\n" + ROW, GET + b"\r\n"]
    for server in full.values():
        for sent in (asked[:1], asked):
            with Connection(server.url) as connection:
                connection.send(b"".join(sent))
                connection.socket.shutdown(socket.SHUT_WR)
                assert [connection.receive().status for _ in sent] == [200] * len(sent)
                assert connection.is_closed()


def test_a_request_close_behind_a_large_one_is_answered(full):
    """Its bytes arrive together with the end of a body that is longer than all heads may be."""
    body = ROW + b" " * 200_000
    for server in full.values():
        with Connection(server.url) as connection:
            connection.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body + GET + b"\r\n")
            assert [connection.receive().status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Length: 30\r\n\r\n" + ROW,
        CHUNKED + b"1e\r\n" + ROW + b"\r\n0\r\n\r\n",
        CHUNKED + b"1e;a=b\r\n" + ROW + b"\r\n0\r\nX-Check: 1\r\n\r\n",
        HEAD + UPGRADE + b"Content-Length: 30\r\n\r\n" + ROW,
    ],
)
def test_a_request_that_comes_byte_by_byte_is_read_all_the_same(full, raw):
    for server in full.values():
        with Connection(server.url) as connection:
            for byte in raw:
                connection.send(bytes([byte]))
            assert connection.receive().status == 200


def test_a_client_that_asks_whether_to_go_on_is_told(full):
    for server in full.values():
        with Connection(server.url) as connection:
            connection.send(HEAD + b"Content-Length: 30\r\nExpect: 100-continue\r\n\r\n")
            assert connection.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.send(ROW)
            assert connection.receive().status == 200
        answer = send(server.url, HEAD + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
        assert answer.status == 413
        check_answer(server, answer)


def test_after_a_refusal_by_the_app_the_connection_is_fit_for_the_next_request(full):
    """A body that was not read must not be taken for a request."""
    body = SECOND * 3
    for server in full.values():
        for head, status in (
            (b"POST /nope HTTP/1.1\r\nHost: localhost\r\n", 404),
            (b"POST /predict HTTP/1.1\r\nHost: localhost\r\n", 415),
            (b"GET /predict HTTP/1.1\r\nHost: localhost\r\n", 405),
            (b"DELETE /model HTTP/1.1\r\nHost: localhost\r\n", 405),
            (HEAD, 400),
        ):
            with Connection(server.url) as connection:
                connection.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body + GET + b"\r\n")
                first = connection.receive()
                assert first.status == status
                if first.headers.get("connection") == "close":
                    assert connection.is_closed()
                else:
                    second = connection.receive()
                    assert second.status == 200 and b'"status":"ok"' in second.body
