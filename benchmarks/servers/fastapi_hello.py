"""FastAPI's own hello-world: the measure for the FastAPI server."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/hello")
async def hello():
    return {"hello": "world"}
