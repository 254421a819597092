"""FastAPI's typed hello-world: a pydantic body and a pydantic answer, and nothing else."""

from fastapi import FastAPI
from pydantic import BaseModel


class Row(BaseModel):
    features: list[float]


class Hello(BaseModel):
    hello: str
    count: int


app = FastAPI()


@app.post("/hello")
async def hello(row: Row) -> Hello:
    return Hello(hello="world", count=len(row.features))
