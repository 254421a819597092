"""Following an alias into the store, in this process and in the agent's."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model_training.registry import candidates
from model_training.registry.candidates import Following
from model_training.registry.registry import Registry
from model_training.registry.store import Pointer, Rollout, Store
from tests.waiting import until


class Followed:
    """What an agent is to `Following`, its store, and what it has told."""

    def __init__(self, registry: Registry, name: str, folder: Path, uri: str | None = None) -> None:
        self.registry, self.name, self.store, self.told = registry, name, Store(folder), []
        self._following = Following(uri or f"models:/{name}@champion", self.store, self._tell)

    def _tell(self, level: str, event: str, **more: object) -> None:
        self.told.append((level, event, more))

    def look(self) -> str | None:
        """The version that is active afterwards."""
        self._following.look(self)
        active = self.store.pointer(self.name, "active")
        return active and active.version


@pytest.fixture
def followed(registry, model, tmp_path) -> Callable[..., Followed]:
    """`followed("name", 2)`: versions 1 and 2, of which the first is champion."""

    def make(name: str, versions: int, **more: str) -> Followed:
        for number in range(1, versions + 1):
            registry.register(model(name, number), name)
        registry.promote(name, "1")
        return Followed(registry, name, tmp_path / "store", **more)

    return make


def test_the_store_is_where_the_aliases_are(followed, registry):
    it = followed("moves", 2)
    assert it.look() == "1" and it.store.pointer("moves", "challenger") is None
    registry.challenge("moves", "2")
    assert it.look() == "1" and it.store.pointer("moves", "challenger").version == "2"
    registry.promote("moves", "2")
    registry.end_challenge("moves")
    assert it.look() == "2" and it.store.pointer("moves", "challenger") is None
    registry.rollback("moves")
    assert it.look() == "1"
    assert [level for level, *_ in it.told] == ["info"] * len(it.told)


@pytest.mark.parametrize("environment", ["embedded"], indirect=True)
class TestEmbedded:
    def test_a_pinned_version_stays_until_it_is_unpinned(self, followed, registry):
        it = followed("pinned", 2)
        it.look()
        digest = registry.fetch("pinned", "2", it.store)
        it.store.pin("pinned", Pointer("2", digest))
        assert it.look() == "2" and it.store.pointer("pinned", "champion").version == "1"
        it.store.unpin("pinned", "champion")
        assert it.store.pointer("pinned", "active").version == "1" and it.look() == "1"

    def test_a_version_by_its_number(self, followed):
        it = followed("numbered", 2, uri="models:/numbered/2")
        assert it.look() == "2" and it.store.pointer("numbered", "champion") is None
        it.store.pin("numbered", Pointer("1", "0" * 64))
        it.store.drop("numbered", "pinned")
        assert it.look() == "2"

    @pytest.mark.parametrize("what", ["features", "order", "classes", "golden", "files", "kind"])
    def test_a_bad_candidate_is_refused_and_the_old_one_goes_on(
        self, followed, registry, model, what, monkeypatch
    ):
        name = f"bad-{what}"
        it = followed(name, 1)
        it.look()
        if what == "files":
            registry.register(model(name, 2), name)
            location = Path(registry.client.get_model_version_download_uri(name, "2").removeprefix("file://"))
            (location / "servelab" / "model.onnx").unlink()
        else:
            with monkeypatch.context() as elsewhere:  # where it was registered it answered as it should
                elsewhere.setattr("model_training.registry.registry.load_path", lambda folder: None)
                registry.register(spoilt(model, name, what), name)
        registry.client.set_registered_model_alias(name, "champion", "2")
        assert it.look() == "1" and list(it.store.refused(name)) == ["2"]
        assert it.look() == "1"
        assert len([event for _, event, _ in it.told if "refused" in event]) == 1
        registry.rollback(name)
        assert it.look() == "1"

    def test_a_refused_version_is_looked_at_again(self, followed, registry, model, monkeypatch):
        it = followed("again", 2)
        it.look()
        location = Path(registry.client.get_model_version_download_uri("again", "2").removeprefix("file://"))
        moved = shutil.move(location / "servelab" / "model.onnx", location / "aside")
        registry.client.set_registered_model_alias("again", "champion", "2")
        assert it.look() == "1"
        shutil.move(moved, location / "servelab" / "model.onnx")
        assert it.look() == "1"
        later(monkeypatch, candidates.AGAIN_SECONDS)
        assert it.look() == "2" and it.store.refused("again") == {}

    def test_a_model_that_was_changed_in_the_store_is_fetched_anew(self, followed, monkeypatch):
        it = followed("healed", 1)
        it.look()
        folder = it.store.folder("healed", it.store.pointer("healed", "active").digest)
        (folder / "model.onnx").chmod(0o644)
        (folder / "model.onnx").write_bytes(b"sneaky")
        later(monkeypatch, candidates.AUDIT_SECONDS)
        assert it.look() == "1" and it.store.is_whole("healed", folder.name)
        assert [event for level, event, _ in it.told if level == "error"] == [
            "a model was changed in the store: it is fetched anew"
        ]

    def test_without_a_champion_it_waits_and_says_so_once(self, registry, tmp_path):
        it = Followed(registry, "nobody", tmp_path)
        assert it.look() is None and it.look() is None
        assert [event for _, event, _ in it.told] == [
            "nobody has no champion yet: python kit.py promote nobody 1"
        ]

    @pytest.mark.parametrize("answer", ["silence", "rubbish", "nobody", "redirect"])
    def test_a_registry_that_is_away_costs_nothing(self, followed, answer, monkeypatch):
        it = followed(f"away-{answer}", 1)
        assert it.look() == "1"
        with registry_that_gives(answer) as url:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
            it.registry = Registry()
            assert it.look() == "1" and it.look() == "1"
        assert [event for level, event, _ in it.told if level != "info"] == [
            "following stopped: what is in the store goes on"
        ]


def later(monkeypatch, seconds: float) -> None:
    """Let so much time have passed."""
    now = time.monotonic() + seconds
    monkeypatch.setattr(time, "monotonic", lambda: now)


def spoilt(model, name: str, what: str) -> Path:
    """A model folder that cannot take the place of the first, though it may be registered."""
    folder = model(name, 2)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    if what == "features":
        card["features"][0]["name"] = "another"
    elif what == "order":
        card["features"].reverse()
    elif what == "classes":
        card["classes"][0] = "another"
        for row in card["golden"]:
            row["label"] = row["label"].replace("setosa", "another")
    elif what == "kind":
        card["features"][0] = {"name": card["features"][0]["name"], "kind": "category", "categories": ["a"]}
        for row in (*card["golden"], *card["presets"]):
            row["features"][0] = "a"
    else:
        card["golden"][0]["probabilities"] = [0.2, 0.3, 0.5]
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


@contextmanager
def registry_that_gives(answer: str) -> Iterator[str]:
    """The address of something that is no registry."""
    said = {
        "rubbish": b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{"a": [1]',
        "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n"
        b"Connection: close\r\n\r\n",
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            kept = []
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    for connection in kept:
                        connection.close()
                    return
                kept.append(connection)
                if answer in said:
                    with contextlib.suppress(OSError), connection:  # its client may have gone
                        connection.recv(65536)
                        connection.sendall(said[answer])

        port = listener.getsockname()[1]
        if answer != "nobody":
            serving = threading.Thread(target=serve, daemon=True)
            serving.start()
        else:
            listener.close()
        yield f"http://127.0.0.1:{port}"
        if answer != "nobody":
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "models:/iris",
            "models:/../x@champion",
            "models:/iris@../x",
            "models:/iris/latest",
            "iris@champion",
        ),
        *(
            "http://127.0.0.1/",
            "file:///etc",
            "models:/iris/1/..",
            "models:/iris@active",
            "models:/iris@pinned",
        ),
        *("models://host/iris@champion", "models:/iris@Champion", "", "models:/iris@champion\n", "runs:/x/y"),
    ],
)
def test_what_is_no_uri_of_a_model_is_refused(uri):
    with pytest.raises(ValueError, match="models:/iris@champion"):
        candidates.parse(uri)


class Agent:
    """The process."""

    def __init__(self, uri: str | None, store: Path, env: dict) -> None:
        command = [sys.executable, "-m", "model_training.registry.agent", *([uri] if uri else [])]
        self.process = subprocess.Popen(
            [*command, "--store", str(store), "--seconds", "0.05"],
            env=os.environ | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.told: list[dict] = []
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        for line in self.process.stderr:
            self.told.append(json.loads(line))  # nothing else may come

    def end(self) -> int:
        """Its input ends, and so it does."""
        self.process.stdin.close()
        code = self.process.wait(20)
        self._listening.join()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._listening.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def ask(self, **command: object) -> dict:
        return self.say(json.dumps({"id": 7} | command))

    def say(self, line: str) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.mark.parametrize("environment", ["server"], indirect=True)
@pytest.mark.skipif(os.name != "posix", reason="needs SIGSTOP")
def test_the_agent_follows_a_server_and_does_what_it_is_told(environment, server, model, tmp_path):
    agent = Agent("models:/told@champion", tmp_path / "store", environment)
    store = Store(tmp_path / "store")

    def active() -> str | None:
        pointer = store.pointer("told", "active")
        return pointer and pointer.version

    try:
        assert agent.ask(do="versions", name="told") == {"id": 7, "ok": []}
        made = agent.ask(do="register", name="told", folder=str(model("told")))["ok"]
        assert made["version"] == "1" and made["new"]
        again = agent.ask(do="register", name="told", folder=str(tmp_path / "models" / "told-1"))["ok"]
        assert again == made | {"new": False}
        agent.ask(do="register", name="told", folder=str(model("told", 2)))
        assert agent.ask(do="alias", name="told", alias="champion", version="1")["ok"]["aliases"] == [
            "champion"
        ]
        until(lambda: active() == "1")
        assert agent.ask(do="alias", name="told", alias="challenger", version="2")["ok"]["version"] == "2"
        until(lambda: store.pointer("told", "challenger"))
        assert agent.ask(do="unalias", name="told", alias="challenger") == {"id": 7, "ok": None}
        fetched = agent.ask(do="fetch", name="told", version="2")["ok"]
        assert store.is_whole("told", fetched["digest"])
        agent.ask(do="alias", name="told", alias="champion", version="2")
        until(lambda: active() == "2")
        assert agent.ask(do="rollback", name="told")["ok"]["version"] == "1"
        until(lambda: active() == "1")
        for kind, command in (
            ("not-found", {"do": "fetch", "name": "told", "version": "9"}),
            ("not-found", {"do": "alias", "name": "told", "alias": "champion", "version": "9"}),
            ("conflict", {"do": "rollback", "name": "told"}),
            ("invalid", {"do": "fetch", "name": "../told", "version": "1"}),
            ("invalid", {"do": "fetch", "name": "told", "version": 1}),
            ("invalid", {"do": "fetch", "name": ["told"], "version": "1"}),
            ("invalid", {"do": "alias", "name": "told", "alias": "active", "version": "1"}),
            ("invalid", {"do": "unalias", "name": "told", "alias": "champion"}),
            ("invalid", {"do": "fetch", "name": "told"}),
            ("invalid", {"do": "__class__"}),
            ("refused", {"do": "register", "name": "told", "folder": str(tmp_path)}),
        ):
            error = agent.ask(**command)["error"]
            assert error["kind"] == kind and str(tmp_path) not in error["detail"], command
        assert agent.say("rubbish")["error"]["kind"] == "invalid"
        assert agent.say("[]")["error"]["kind"] == "invalid"
        server.silence()
        try:
            assert agent.ask(do="versions", name="told")["error"]["kind"] == "unavailable"
            assert active() == "1"
        finally:
            server.wake()
        until(lambda: "ok" in agent.ask(do="alias", name="told", alias="champion", version="2"))
        until(lambda: active() == "2")
        assert agent.end() == 0
    finally:
        agent.kill()
    assert "following stopped: what is in the store goes on" in [line["event"] for line in agent.told]


def test_the_store_keeps_what_is_named_and_what_came_last(iris_exported, model, tmp_path):
    store = Store(tmp_path / "store")
    digests = []
    for number in range(1, 6):
        digests.append(store.add("kept", model("kept", number)))
        os.utime(store.folder("kept", digests[-1]), (number, number))
    store.point("kept", "champion", Pointer("1", digests[0]))
    for name, age in ((".new-old", 4000), (".new-young", 100)):
        (tmp_path / "store" / "kept" / "models" / name).mkdir()
        os.utime(tmp_path / "store" / "kept" / "models" / name, (time.time() - age,) * 2)
    store.sweep("kept", kept=2)
    left = {path.name for path in (tmp_path / "store" / "kept" / "models").iterdir()}
    assert left == {digests[0], *digests[3:], ".new-young"}


def test_a_rollout_is_kept(tmp_path):
    store = Store(tmp_path)
    assert store.rollout("iris") is None
    store.set_rollout("iris", Rollout("canary", 10))
    store.set_rollout("iris", Rollout("shadow", 10))
    assert store.rollout("iris") == Rollout("shadow", 10)
    with pytest.raises(ValueError, match="name of lower-case"):
        store.set_rollout("../x", Rollout("off", 0))
