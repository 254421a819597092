"""The FastAPI server under whatever speaks ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html."""

import asyncio

from apps import fastapi_app


def test_a_scope_need_not_hold_what_the_specification_leaves_out(iris_root, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(iris_root / "models" / "iris"))
    monkeypatch.setenv("METRICS_PORT", "0")
    app, sent = fastapi_app.create_app(), []
    least = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
    least |= {"path": "/health/live", "query_string": b"", "headers": [(b"host", b"localhost")]}

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(least, receive, send))
    assert [message.get("status", message.get("body")) for message in sent] == [200, b'{"status":"live"}']
