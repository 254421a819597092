"""Views that are marked `at_once` skip what the framework does, and never what somebody added to it."""

import asyncio

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import Response as FastAPIResponse
from flask import Flask, Response, g, has_request_context

from apps.servers import at_once
from apps.servers.asgi import Route
from apps.servers.wsgi import Door


def ask(app: Flask) -> httpx.Response:
    with httpx.Client(transport=httpx.WSGITransport(app=app), base_url="http://t") as client:
        return client.post("/predict")


def door(mark) -> Door:
    app = Door(__name__)

    @app.post("/predict")
    @mark
    def predict():
        return Response("context" if has_request_context() else "none")

    return app


def test_flask_makes_no_context_for_a_marked_view_and_one_for_any_other():
    assert ask(door(at_once)).text == "none"
    assert ask(door(lambda view: view)).text == "context"


@pytest.mark.parametrize("hook", ["before_request", "after_request", "teardown_request"])
def test_flask_hooks_see_every_request(hook):
    app, seen = door(at_once), []

    @getattr(app, hook)
    def look(*given):
        g.seen = True
        seen.append(hook)
        return given[0] if given else None

    assert ask(app).text == "context"
    assert seen == [hook]


async def refuse():
    raise HTTPException(401)


@pytest.mark.parametrize("where", ["app", "route", "nowhere"])
def test_fastapi_dependencies_guard_every_route(where):
    guard = [Depends(refuse)]
    app = FastAPI(dependencies=guard if where == "app" else [])
    app.router.route_class = Route

    @app.post("/predict", dependencies=guard if where == "route" else [])
    @at_once
    async def predict(request: Request):
        return FastAPIResponse("in")

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.post("/predict")

    assert asyncio.run(post()).status_code == (200 if where == "nowhere" else 401)
