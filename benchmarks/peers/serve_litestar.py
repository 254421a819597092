"""Litestar's typed hello-world, on uvicorn: a pydantic body and a pydantic answer, and nothing else."""

import os

import uvicorn
from litestar import Litestar, post
from pydantic import BaseModel


class Row(BaseModel):
    features: list[float]


class Hello(BaseModel):
    hello: str
    count: int


@post("/hello")
async def hello(data: Row) -> Hello:
    return Hello(hello="world", count=len(data.features))


if __name__ == "__main__":
    app = Litestar([hello])
    uvicorn.run(app, port=int(os.environ["PORT"]), access_log=False, log_level="warning")
