"""flask-openapi3's typed hello-world, on waitress: a pydantic body and an answer, and nothing else."""

import os

import waitress
from flask_openapi3 import OpenAPI
from pydantic import BaseModel


class Row(BaseModel):
    features: list[float]


class Hello(BaseModel):
    hello: str
    count: int


app = OpenAPI(__name__)


@app.post("/hello", responses={200: Hello})
def hello(body: Row):
    return Hello(hello="world", count=len(body.features)).model_dump()


if __name__ == "__main__":
    waitress.serve(app, host="127.0.0.1", port=int(os.environ["PORT"]), threads=8)
