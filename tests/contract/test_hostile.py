"""What bad clients send: each gets the status that it should, from both servers alike, and does no harm."""

import json

import psutil
import pytest
from wire import Answer, cases, send

GROUPS = ("json-values", "content-type-and-encoding", "method-uri-routing")
GROWTH_ALLOWED = 20 * 1024 * 1024


@pytest.mark.parametrize("case", cases(*GROUPS), ids=lambda case: case["name"])
def test_both_servers_stand_it_and_answer_alike(both, case):
    before = {name: memory(server) for name, server in both.items()}
    answers = {name: send(server.url, case["bytes"]) for name, server in both.items()}

    for name, answer in answers.items():
        assert answer.status in case["minimal"], f"{name} answered {answer.status} {answer.body[:200]}"
        assert b"<html" not in answer.body.lower() and b"Traceback" not in answer.body
        if answer.status >= 400:
            assert case.get("raw") or json.loads(answer.body)["detail"]
    # A request line that is not HTTP's own is judged by the server's parser, before any app sees it.
    if "raw" not in case:
        assert comparable(answers["fastapi"]) == comparable(answers["flask"])

    for name, server in both.items():
        assert server.alive
        assert server.get("/health", timeout=1).status_code == 200
        assert memory(server) - before[name] < GROWTH_ALLOWED


def comparable(answer: Answer) -> tuple:
    """Status, body, and the headers that a client acts on."""
    body = json.loads(answer.body) if answer.body else None
    return answer.status, body, answer.headers.get("allow"), answer.headers.get("content-type")


def memory(server) -> int:
    """Bytes of the server's process and of those it started."""
    process = psutil.Process(server.process.pid)
    return sum(member.memory_info().rss for member in [process, *process.children(recursive=True)])
