"""What people send stays out of logs, metrics and traces: a full run of both servers with access on, in which
everything that may be secret has words of its own, and then a look for these words."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from classroom.servers import ROOT, Server, free_port, serve
from collector import Collector, collecting
from credentials import bearer
from pairs import FULL
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from apps.service.access.accounts import Accounts

WORD = "hunter2"  # is in every text below, so that any part of it that is kept is found
PASSWORD = f"{WORD} correct horse"
FEATURES = [5.0716253, 3.4190871, 1.4280937, 0.2190443]  # within the card's ranges
OUTSIDE = 98765.43219
LAST = "0af7651916cd43dd8448eb211c80319c"  # of the trace that comes last


class Run:
    """All that one server was sent that is nobody's business, and the statuses that it answered with."""

    def __init__(self, accounts: Accounts, server: Server) -> None:
        self.secrets = {WORD, PASSWORD, "horse", str(OUTSIDE), *map(str, FEATURES)}
        self.statuses: set[int] = set()
        self.server, self.name = server, f"bob-{server.name}"
        accounts.add(self.name, ["predict", "generate"], password=PASSWORD)
        self.ask_for_tokens()
        self.use_them()
        self.send_what_is_refused()
        self.give_feedback()
        self.generate()

    def send(self, method: str, path: str, **options) -> httpx.Response:
        answer = self.server.request(method, path, **options)
        self.statuses.add(answer.status_code)
        return answer

    def keep(self, secret: str) -> str:
        self.secrets |= {secret, *secret.split(".")}
        return secret

    def ask_for_tokens(self) -> None:
        given = self.token(username=self.name, password=PASSWORD).json()
        self.access = bearer(self.keep(given["access_token"]))
        refresh = self.keep(given["refresh_token"])
        again = self.token(grant_type="refresh_token", refresh_token=refresh)
        self.newest = bearer(self.keep(again.json()["access_token"]))
        self.token(username=self.name, password=f"{WORD}-wrong")
        self.token(username=f"{WORD}-typed-into-the-name", password=f"{WORD}-wrong")
        self.token(grant_type=f"{WORD}-grant", scope=f"{WORD}-scope")
        self.token(username=self.name, password=PASSWORD, scope=f"{WORD}-scope")
        self.token(grant_type="refresh_token", refresh_token=f"{WORD}-refresh")
        pair = self.keep(base64.b64encode(f"{WORD}:{PASSWORD}".encode()).decode())
        asked, basic = {"grant_type": "client_credentials"}, {"Authorization": f"Basic {pair}"}
        for path in ("/token", "/me"):
            self.send("POST", path, data=asked, headers=basic)
        self.send("POST", "/token/revoke", data={"token": f"{WORD}-revoked"})

    def token(self, **form: str) -> httpx.Response:
        return self.send("POST", "/token", data=form)

    def use_them(self) -> None:
        asked = {"label": f"{WORD}-label", "scopes": ["predict"]}
        made = self.send("POST", "/keys", json=asked, headers=self.newest).json()
        key = {"X-API-Key": self.keep(made["key"])}
        self.secrets.add(made["key"].split("_", 2)[2])
        for credentials in (self.access, key):
            assert self.predict(credentials, {"features": FEATURES}).status_code == 200
            self.send("POST", "/predict/batch", json={"instances": [FEATURES]}, headers=credentials)
            self.send(
                "GET", f"/model?api_key={WORD}-query", headers=credentials | {"Cookie": f"a={WORD}-cookie"}
            )
            self.send("GET", "/me", headers=credentials)
        tensor = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": FEATURES}
        self.send("POST", "/v2/models/iris/infer", json={"inputs": [tensor]}, headers=key)
        self.send("POST", f"/v2/models/{WORD}-model/infer", json={"inputs": [tensor]}, headers=key)
        self.send("POST", "/keys", json=asked, headers=key)  # which a key may not
        self.send("DELETE", f"/keys/{made['prefix']}", headers=self.newest)
        self.send("DELETE", f"/keys/{WORD}-prefix", headers=self.newest)
        self.send("POST", "/keys", json={**asked, "scopes": [f"{WORD}-scope"]}, headers=self.newest)

    def give_feedback(self) -> None:
        id = self.predict(self.newest, {"features": FEATURES}).json()["request_id"]
        for truth in (
            {"label": f"{WORD}-label"},
            {"label": "setosa", WORD: WORD},
            {"value": OUTSIDE},
            {"label": [f"{WORD}-label"]},
        ):
            answer = self.send("POST", "/feedback", json={"request_id": id} | truth, headers=self.newest)
            assert answer.status_code == 400
        told = {"request_id": id, "label": "setosa"}
        assert self.send("POST", "/feedback", json=told, headers=self.newest).status_code == 200
        told["request_id"] = f"{WORD}-id"
        assert self.send("POST", "/feedback", json=told, headers=self.newest).status_code == 404
        for path in ("/models/iris/quality", "/models/iris/drift"):
            assert self.send("GET", path, headers=self.newest).status_code == 200
            for query in (f"?hours={WORD}", f"?version={WORD}", f"?{WORD}={WORD}"):
                self.send("GET", path + query, headers=self.newest)
            self.send("GET", path.replace("iris", WORD), headers=self.newest)

    def generate(self) -> None:
        chat, card = "/v1/chat/completions", self.keep("4111111111111111")
        for text in (f"{WORD} says", f"my card is {card}, {WORD}", f"what a bastard, {WORD}", " "):
            for stream in (False, True):
                body = {"max_tokens": 3, "stream": stream}
                messages = [{"role": "system", "content": WORD}, {"role": "user", "content": text}]
                self.send("POST", chat, json=body | {"messages": messages}, headers=self.newest)
                self.send("POST", "/v1/completions", json=body | {"prompt": text}, headers=self.newest)
        wrong = ({"messages": WORD}, {"messages": []}, {"prompt": WORD}, {WORD: WORD})
        asked = {"messages": [{"role": "user", "content": WORD}]}
        for body in (*wrong, *(asked | one for one in ({"model": WORD}, {"stop": [WORD] * 9}, {"n": WORD}))):
            assert self.send("POST", chat, json=body, headers=self.newest).status_code in (400, 404)
        long = {"messages": [{"role": "user", "content": f"{WORD} " * 3000}]}
        assert self.send("POST", chat, json=long, headers=self.newest).status_code == 400
        self.send("GET", f"/v1/usage?days={WORD}", headers=self.newest)
        with connect(
            self.server.url.replace("http", "ws", 1) + "/v1/chat/ws", additional_headers=self.newest
        ) as socket:
            for message in (WORD, {"type": WORD}, {"type": "chat", "request": asked | {"max_tokens": 3}}):
                socket.send(json.dumps(message))
                while "choices" in json.loads(socket.recv(60)):
                    pass

    def predict(self, headers: dict, body: object = None, **options) -> httpx.Response:
        return self.send("POST", "/predict", json=body, headers=headers, **options)

    def send_what_is_refused(self) -> None:
        json_ = self.newest | {"Content-Type": "application/json"}
        for body in (
            {"features": [OUTSIDE, *FEATURES[1:]]},
            {"features": [f"{WORD}-text", 1, 2, 3]},
            {"features": FEATURES[:3]},
            {"prompt": f"{WORD}-prompt", "features": FEATURES},
            {f"{WORD}-name": 1},
            f"{WORD}-value",
        ):
            assert self.predict(self.newest, body).status_code == 400
        for raw in (f'{{"{WORD}":', f'{{"{WORD}":1,"{WORD}":2}}', f'"{WORD}\\ud800"', "[" * 100 + WORD):
            assert self.send("POST", "/predict", content=raw, headers=json_).status_code == 400
        self.send("POST", "/predict", content=WORD * 200_000, headers=json_)
        self.send("POST", "/predict", content=WORD, headers=json_ | {"Content-Type": f"text/{WORD}"})
        self.send("POST", "/predict", content=WORD, headers=json_ | {"Content-Encoding": WORD})
        self.send(
            "GET", f"/{WORD}-path?{WORD}=query", headers={"User-Agent": WORD, "Referer": f"http://{WORD}/"}
        )
        self.send("GET", "/" + WORD * 2000)
        self.send("GET", "/health", headers={"X-Long": WORD * 3000})
        self.send("GET", "/health", headers={"Host": f"{WORD}.example"})
        self.send("GET", "/health", headers={"X-Request-ID": f"{WORD} with blanks"})
        self.send("GET", "/health", headers={"traceparent": f"00-{WORD}", "tracestate": f"a={WORD}"})
        self.send(
            "GET", "/health", headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "baggage": f"a={WORD}"}
        )
        self.send("PUT", "/predict", content=WORD)
        self.send(WORD.upper(), "/predict")
        for headers in (
            bearer(f"{WORD}.{WORD}.{WORD}"),
            {"Authorization": f"{WORD} {WORD}"},
            {"X-API-Key": f"sk_00000000_{WORD}"},
            {},
        ):
            assert self.predict(headers, {"features": FEATURES}).status_code == 401
        self.predict(self.newest | {"traceparent": f"00-{LAST}-{'3' * 16}-01"}, {"features": FEATURES})


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, iris_root: Path) -> Iterator[dict]:
    """What both servers wrote of it: lines of their logs, metrics, and traces as they were sent."""
    folder = tmp_path_factory.mktemp("access")
    accounts = Accounts(None, folder)
    accounts.create_tables()
    runs, metrics = [], []
    with collecting() as collector:
        env = {"ACCESS": "on", "ACCESS_PATH": str(folder), "MODEL_PATH": str(iris_root / "models" / "iris")}
        env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        env |= {"LOG_FORMAT": "json", "LOG_LEVEL": "debug", "RATE_LIMITS": "token=100/minute"}
        env |= {"GENERATION": "on", "GENERATION_FOLDER": str(folder)}
        env |= {"PREDICTION_LOG": "on", "PREDICTION_LOG_FOLDER": str(folder / "predictions")}
        for name in FULL:
            port = str(free_port())
            with serve(name, env=env | {"METRICS_PORT": port}) as server:
                runs.append(Run(accounts, server))
                collector.trace(LAST, 4 * len(runs))  # four of each
                metrics.append(httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text)
    accounts.close()
    logs = [run.server.log.read_bytes() for run in runs]
    kept = b"".join(path.read_bytes() for path in (folder / "predictions").iterdir())
    yield {"runs": runs, "logs": logs, "metrics": metrics, "collector": collector, "predictions": [kept]}


def test_the_run_met_every_class_of_status_on_both_servers_alike(told):
    fastapi, flask = (run.statuses for run in told["runs"])
    assert fastapi == flask
    assert fastapi >= {200, 201, 400, 401, 403, 404, 405, 413, 414, 415, 431, 501}


@pytest.mark.parametrize("what", ["logs", "metrics", "traces", "predictions"])
def test_nothing_that_was_sent_is_kept(told, what):
    kept = told["collector"].received if what == "traces" else told[what]
    kept = b"\n".join(part if isinstance(part, bytes) else part.encode() for part in kept).lower()
    there = {"traces": b"predict", "predictions": b"setosa"}
    assert there.get(what, b"/keys/{prefix}") in kept
    secrets = set().union(*(run.secrets for run in told["runs"]))
    assert [secret for secret in secrets if secret.lower().encode() in kept] == []


def documented() -> set[str]:
    text = (ROOT / "docs" / "how-to" / "privacy.md").read_text(encoding="utf-8")
    return set(re.findall(r"`([\w.]+)`", text))


def test_the_book_names_every_field_that_is_kept(told):
    lines = [json.loads(line) for log in told["logs"] for line in log.splitlines()]
    labels = {
        label
        for text in told["metrics"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels
    }
    collector: Collector = told["collector"]
    attributes = {item.key for _, span in collector.spans for item in span.attributes}
    assert {"token given", "login refused", "key made", "request"} <= {line["event"] for line in lines}
    fields = {name for line in lines for name in line}
    assert (fields | labels | attributes) - {"le"} - documented() == set()
    assert not any(span.events or span.status.message for _, span in collector.spans)


@pytest.mark.parametrize("name", FULL)
def test_a_server_that_has_answered_has_left_nothing_in_the_users_folder(name, tmp_path, monkeypatch):
    """ONNX Runtime by itself writes an id of the device there, and what it would tell its makers."""
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with serve(name, env={"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}) as server:
        answer = server.post("/predict", json={"features": FEATURES})
        assert answer.status_code == 200
        assert server.get("/health").json()["model"]["format"] == "onnx"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
