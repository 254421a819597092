"""Pairs of answers that are the same to a client, or not: exercise 5.1."""

import httpx

JSON, HTML = {"Content-Type": "application/json"}, {"Content-Type": "text/html"}


def answer(status: int, text: str, headers: dict[str, str], *, server: str = "uvicorn") -> httpx.Response:
    return httpx.Response(status, content=text.encode(), headers={**headers, "Server": server})


# What differs, the two answers, whether they are the same to a client, and what to ask who thinks otherwise.
PAIRS = (
    (
        "only in a newline at the end and the name of the server",
        answer(200, '{"prediction":[0]}', JSON),
        answer(200, '{"prediction":[0]}\n', JSON, server="waitress"),
        True,
        "What would `json()` make of the two bodies, and which headers does a program act on?",
    ),
    (
        "only in the order of the names in their JSON",
        answer(200, '{"status":"ok","app":"x"}', JSON),
        answer(200, '{"app":"x","status":"ok"}', JSON),
        True,
        "Does a JSON object have an order?",
    ),
    (
        "in the prediction",
        answer(200, '{"prediction":[0]}', JSON),
        answer(200, '{"prediction":[1]}', JSON),
        False,
        "Do you compare the bodies?",
    ),
    (
        "in the status (400 and 503)",
        answer(400, '{"detail":"no"}', JSON),
        answer(503, '{"detail":"no"}', JSON),
        False,
        "Whose fault is a 400, and whose a 503?",
    ),
    (
        "in the status (400 and 404)",
        answer(400, '{"detail":"no"}', JSON),
        answer(404, '{"detail":"no"}', JSON),
        False,
        "Do you compare the whole status, or its first digit?",
    ),
    (
        "in Content-Type, with the same body",
        answer(200, '{"prediction":[0]}', JSON),
        answer(200, '{"prediction":[0]}', {"Content-Type": "text/plain"}),
        False,
        "Do you compare each of the headers that matter?",
    ),
    (
        "in Allow, which only one of them has",
        answer(405, '{"detail":"no"}', {**JSON, "Allow": "POST"}),
        answer(405, '{"detail":"no"}', JSON),
        False,
        "What does `a.headers.get(name)` give where there is no such header?",
    ),
    (
        "in where Location sends a client",
        answer(307, "", {"Location": "/predict"}),
        answer(307, "", {"Location": "/login"}),
        False,
        "Is each of HEADERS_THAT_MATTER compared?",
    ),
    (
        "in kind: an HTML page and JSON",
        answer(404, "<h1>Not Found</h1>", HTML),
        answer(404, '{"detail":"Not Found"}', JSON),
        False,
        "What does `json()` do with a page in HTML?",
    ),
    (
        "in the words of their HTML pages",
        answer(404, "<h1>Not Found</h1>", HTML),
        answer(404, "<h1>Nothing here</h1>", HTML),
        False,
        "What can you compare where a body is not JSON?",
    ),
    (
        "in nothing: both bodies are empty, as after a HEAD",
        answer(200, "", JSON),
        answer(200, "", JSON, server="waitress"),
        True,
        "What does `json()` do with an empty body?",
    ),
)
