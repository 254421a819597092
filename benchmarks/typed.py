"""Typed hello-worlds: a pydantic body and a pydantic answer, without a model, limits, log or metrics. All of
that our full servers do for nothing, as long as they are faster than these.

Two of them are other frameworks', in environments of their own as the peers are."""

from benchmarks.contenders import BODY, Contender, uvicorn
from benchmarks.environments import PEERS, python_of


def elsewhere(name: str, environment: str, base: str) -> Contender:
    command = [str(python_of(environment)), str(PEERS / f"serve_{environment}.py")]
    return Contender(name, command, "/hello", base, BODY, {"PORT": "{port}"})


TYPED = [
    Contender("FastAPI typed hello", uvicorn("fastapi_typed"), "/hello", "FastAPI hello", BODY),
    elsewhere("Litestar typed hello", "litestar", "FastAPI hello"),
    elsewhere("Flask typed hello, flask-openapi3", "flask_openapi3", "Flask hello"),
]
TYPED_ENVIRONMENTS = {
    "Litestar typed hello": "litestar",
    "Flask typed hello, flask-openapi3": "flask_openapi3",
}
