"""Servers that generate, and what is asked of them in the tests of it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
from classroom.servers import Server, free_port
from pairs import FULL, ONE
from prometheus_client.parser import text_string_to_metric_families as families
from wire import Connection, request_bytes

CHAT, COMPLETE = "/v1/chat/completions", "/v1/completions"
HELLO = [{"role": "user", "content": "Say hello."}]
STORY = [{"role": "user", "content": "Tell me a long story."}]
LONG = {"messages": STORY, "max_tokens": 400, "seed": 1}


class Door:
    """One of them, with its client and what it counts."""

    def __init__(self, name: str, env: dict[str, str]) -> None:
        metrics = free_port()
        on = {"GENERATION": "on", "LOG_FORMAT": "json", "METRICS_PORT": str(metrics)}
        self.server = Server(name, env=ONE | on | env)
        self.name, self.url = name, self.server.url
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self._metrics = f"http://127.0.0.1:{metrics}/metrics"

    def wait(self) -> None:
        self.server.wait()

    def stop(self) -> None:
        self.client.close()
        self.server.stop()

    def ask(self, body: dict, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.client.post(CHAT, json=body, headers=headers)

    def sent(self, body: dict, window: int | None = None) -> Connection:
        """A connection on which it has been asked, and nothing has been read."""
        connection = Connection(self.url, window)
        headers = {"Content-Type": "application/json"}
        connection.send(request_bytes("POST", CHAT, body=json.dumps(body).encode(), headers=headers))
        return connection

    def used(self, headers: dict[str, str] | None = None) -> list[dict]:
        answer = self.client.get("/v1/usage", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def count(self, name: str, **labels: str) -> float:
        text = httpx.get(self._metrics, trust_env=False).text
        samples = [sample for family in families(text) for sample in family.samples]
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())

    @property
    def generated(self) -> float:
        """Tokens of all texts that have ended."""
        return self.count("generation_tokens_total", kind="completion")

    @property
    def running(self) -> float:
        return self.count("generation_running")

    def log(self) -> str:
        return self.server.log.read_text(encoding="utf-8")


@contextmanager
def doors_with(env: dict[str, str]) -> Iterator[list[Door]]:
    """FastAPI first."""
    found = [Door(name, env) for name in FULL]
    with ExitStack() as stack:
        for door in found:
            stack.callback(door.stop)
        for door in found:
            door.wait()
        yield found
