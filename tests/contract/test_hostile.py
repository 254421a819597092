"""What bad clients send: each gets the status that it should, from both servers alike, and does no harm."""

import ast
import json
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest
from promises import GROWTH_ALLOWED, REQUEST_ID, Watch, check_answer, comparable, family, memory
from wire import Answer, cases, read_cases, send, wire_of

TESTS = Path(__file__).resolve().parents[1]
MINIMAL = ("json-values", "content-type-and-encoding", "method-uri-routing")
FULL = (*MINIMAL, "headers-request-id-logs", "framing-smuggling", "size-and-slow", "observability")
MEMORY_CAP = 1 << 30  # bytes of address space beyond what the server has when the tests begin


@pytest.fixture(scope="module")
def capped(full):
    """Both full servers, which the system refuses memory beyond a limit, where it can."""
    if not hasattr(psutil, "RLIMIT_AS"):
        yield full
        return
    processes = [process for server in full.values() for process in family(server)]
    before = [process.rlimit(psutil.RLIMIT_AS) for process in processes]
    for process in processes:
        limit = process.memory_info().vms + MEMORY_CAP
        process.rlimit(psutil.RLIMIT_AS, (limit, psutil.RLIM_INFINITY))
    yield full
    for process, limits in zip(processes, before, strict=True):
        process.rlimit(psutil.RLIMIT_AS, limits)


@pytest.mark.parametrize("case", cases(*FULL), ids=lambda case: case["name"])
def test_both_full_servers_stand_it_and_answer_alike(capped, case):
    answers = [answer_of(server, case) for server in capped.values()]
    assert len(set(map(comparable, answers))) == 1, answers


def answer_of(server, case: dict) -> Answer:
    with Watch(server, case["secret"]) as watch:
        try:
            answer = send(server.url, wire_of(case), half_close=case.get("half_close", False))
        except (HTTPException, ConnectionError):
            assert case["expected"] == ["400 or closed"]
            return Answer(0, {}, b"")
        assert answer.status in case["expected"] or case["expected"] == ["400 or closed"], answer
        check_answer(server, answer)
        told = answer.body + "".join(answer.headers.values()).encode("latin-1")
        assert not [secret for secret in case["secret"] if secret in told]
        line = watch.line_of(answer)
        assert line["status"] == answer.status
        assert line.get("problem") == (
            json.loads(answer.body)["type"].rpartition("/")[2] if answer.status >= 400 else None
        )
        return answer


@pytest.mark.parametrize("case", cases(*MINIMAL), ids=lambda case: case["name"])
def test_both_minimal_servers_stand_it_and_answer_alike(both, case):
    before = {name: memory(server) for name, server in both.items()}
    answers = {name: send(server.url, wire_of(case)) for name, server in both.items()}

    for name, answer in answers.items():
        assert answer.status in case["minimal"], f"{name} answered {answer.status} {answer.body[:200]}"
        assert b"<html" not in answer.body.lower() and b"Traceback" not in answer.body
        if answer.status >= 400:
            assert case.get("raw") or json.loads(answer.body)["detail"]
    # A request line that is not HTTP's own is judged by the server's parser, before any app sees it.
    if "raw" not in case:
        first, second = (
            (a.status, a.body and json.loads(a.body), a.headers.get("allow")) for a in answers.values()
        )
        assert first == second
        assert answers["fastapi"].headers.get("content-type") == answers["flask"].headers.get("content-type")

    for name, server in both.items():
        assert server.alive
        assert server.get("/health", timeout=1).status_code == 200
        assert memory(server) - before[name] < GROWTH_ALLOWED


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a", True),
        ("7f3c.A_b-9", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("a b", False),
        ("a,b", False),
        ("a/b", False),
        ("ä", False),
        ("²", False),
        ("", False),
        ("a;b", False),
        ('"a"', False),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_a_well_formed_request_id_comes_back_and_any_other_is_replaced(full, sent, kept):
    for server in full.values():
        for path, status in (("/health", 200), ("/nope", 404)):
            with Watch(server) as watch:
                head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {sent}\r\n\r\n"
                answer = send(server.url, head.encode("latin-1"))
                assert answer.status == status
                assert (answer.request_id == sent) is kept
                assert REQUEST_ID(answer.request_id)
                assert watch.line_of(answer)["status"] == status


def test_every_case_that_takes_more_than_a_request_names_a_test_that_is_there():
    named = [case["test"] for group in read_cases().values() for case in group if "test" in case]
    for path, test in (name.split("::") for name in named):
        tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (
            f"{path}::{test}"
        )
    groups = read_cases()
    assert all("expected" in case and "why" in case for group in groups.values() for case in group)
    names = [case["name"] for group in groups.values() for case in group]
    assert len(set(names)) == len(names)
