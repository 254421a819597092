"""No page of another origin may read what the servers answer: none is told that it may."""

import httpx
import pytest
from credentials import ROW

ORIGIN = {"Origin": "https://evil.example"}
PREFLIGHT = ORIGIN | {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
    "Access-Control-Request-Private-Network": "true",
}
PATHS = ("/predict", "/health", "/model", "/v2", "/docs", "/openapi.json", "/problems", "/nope", "/token")


def allowed(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("path", PATHS)
def test_no_answer_allows_another_origin_anything(full, path):
    for server in full.values():
        asked = [
            server.request("OPTIONS", path, headers=PREFLIGHT),
            server.request("OPTIONS", "*", headers=PREFLIGHT),
            server.get(path, headers=ORIGIN),
            server.get(path, headers={"Origin": "null"}),
            server.post(path, json=ROW, headers=ORIGIN),
            server.post(path, content=b"{", headers=ORIGIN),
        ]
        assert [(server.name, allowed(answer)) for answer in asked if allowed(answer)] == []
        assert asked[0].status_code in (404, 405)
