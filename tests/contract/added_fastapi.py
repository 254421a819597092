"""A route of every kind that people write with FastAPI, on a bare app or on the full server:

python tests/contract/added_fastapi.py bare|full     (PORT; the project's folder in PYTHONPATH)"""

import asyncio
import hashlib
import os
import sys
from typing import Annotated

import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, UploadFile, WebSocket
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel

from apps.service.bodies import streamed

DONE: list[str] = []  # what happened beside the answers


class SignUp(BaseModel):
    name: str
    password: str
    age: int


def add(app: FastAPI) -> FastAPI:
    @app.get("/added/done")
    async def done():
        return DONE

    @app.get("/added/def")
    def plain():
        return {"kind": "def"}

    @app.get("/added/async")
    async def coroutine():
        return {"kind": "async"}

    async def parts(kind: str, count: int):
        try:
            for number in range(count):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.02)
            if kind == "breaks":
                raise RuntimeError("in mid-stream")
        finally:
            DONE.append(kind)

    @app.get("/added/stream")
    async def stream():
        return StreamingResponse(parts("stream", 3), media_type="text/plain")

    @app.get("/added/events")
    async def events():
        headers = {"Cache-Control": "no-cache"}
        return StreamingResponse(parts("events", 3), media_type="text/event-stream", headers=headers)

    @app.get("/added/breaks")
    async def breaks():
        return StreamingResponse(parts("breaks", 2), media_type="text/plain")

    @app.get("/added/endless")
    async def endless():
        return StreamingResponse(parts("endless", 10_000), media_type="text/plain")

    @app.get("/added/torrent")
    async def torrent():
        return StreamingResponse((bytes(65536) for _ in range(10_000)), media_type="text/plain")

    @app.post("/added/upload")
    async def upload(file: UploadFile):
        return {"name": file.filename, "size": len(await file.read())}

    @app.post("/added/pieces")
    @streamed("jobs_max_bytes")
    async def pieces(request: Request, stop: int = -1):
        digest, size = hashlib.sha256(), 0
        async for piece in request.stream():
            digest.update(piece)
            size += len(piece)
            if 0 <= stop < size:
                raise HTTPException(409, "enough")
        return {"size": size, "sha256": digest.hexdigest()}

    @app.post("/added/later")
    async def later(tasks: BackgroundTasks):
        async def work():
            await asyncio.sleep(1)
            DONE.append("later")

        tasks.add_task(work)
        return {"kind": "later"}

    async def session():
        DONE.append("opened")
        try:
            yield "session"
        finally:
            DONE.append("closed")

    @app.get("/added/yield")
    async def with_session(found: Annotated[str, Depends(session)]):
        return {"kind": found}

    @app.get("/added/file")
    async def file():
        return FileResponse(__file__, media_type="text/plain")

    @app.get("/added/moved")
    async def moved():
        return RedirectResponse("/added/def", 307)

    @app.get("/added/raises")
    async def raises():
        raise RuntimeError("no such luck")

    @app.get("/added/exits")
    async def exits():
        sys.exit("no such luck")

    @app.get("/added/conflict")
    async def conflict():
        raise HTTPException(409, "there already")

    @app.post("/added/typed")
    async def typed(body: SignUp):
        return {"name": body.name}

    @app.websocket("/added/echo")
    async def echo(socket: WebSocket):
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    @app.websocket("/added/typed")
    async def typed_socket(socket: WebSocket, age: int):
        await socket.accept()

    return app


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        bare = FastAPI()
        bare.get("/health")(lambda: {})
        uvicorn.run(add(bare), port=int(os.environ["PORT"]), log_level="warning")
    else:
        from apps.fastapi_app import create_app
        from apps.servers import uvicorn_server
        from apps.service import build

        uvicorn_server.run(lambda service: add(create_app(service)), build("fastapi_app", port=8000))
