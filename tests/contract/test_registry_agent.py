"""Servers that follow a real registry, through the process that speaks to it for them."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from classroom.servers import Server
from followed import ANSWERS, SETOSA, make_models
from pairs import FULL, ONE, pair
from promises import check_answer
from test_model_registry import ask, versions
from wire import Answer

from model_training.card import read_card
from model_training.registry.store import Pointer, Store
from tests.waiting import PATIENCE, until


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    return make_models(tmp_path_factory.mktemp("versions"))


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A disk of its own at `folder`, if the system lets us; whether it does."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Both servers, an empty registry on a disk of its own, and the folder of what was trained last."""
    root, registry = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("registry")
    env = {"MODEL_URI": "models:/iris@champion", "MODEL_STORE": str(root / "store"), **ONE}
    env |= {"REGISTRY_FOLDER": str(registry), "MODELS_FOLDER": str(root / "models")}
    with small_disk(registry) as small, pair(env) as servers:
        for server in servers.values():
            until(lambda server=server: versions(server)["registry"] == "available", server.tail)
        yield servers, root, registry, small


def put(root: Path, model: Path) -> None:
    """As train or adopt writes it."""
    shutil.rmtree(root / "models", ignore_errors=True)
    shutil.copytree(model, root / "models" / "iris")


def done(server: Server, method: str, path: str, body: object = None, status: int = 200) -> dict:
    """What comes of a change; an agent may have to be started for it."""
    found = server.request(method, f"/models/iris/{path}", json=body, timeout=2 * PATIENCE)
    assert found.status_code == status, (found.text, server.tail(20))
    if status >= 400:
        check_answer(server, Answer(status, dict(found.headers), found.content))
    return found.json()


def await_answer(servers: dict[str, Server], model: Path) -> None:
    version = read_card(model / "card.json").version
    for server in servers.values():
        until(lambda server=server: ask(server, "GET", "/health").status == 200, server.tail)
        until(lambda server=server: answered(server)["model"]["version"] == version, server.tail)


def register(server: Server, root: Path, *models: Path) -> None:
    """Unless they are known already."""
    for model in models:
        put(root, model)
        found = server.request("POST", "/models/iris/versions", json={}, timeout=2 * PATIENCE)
        assert found.status_code in (200, 201), (found.text, server.tail(20))


def answered(server: Server) -> dict:
    return json.loads(ask(server, "POST", "/predict", {"features": SETOSA}).body)


def test_models_are_registered_promoted_and_rolled_back_at_either_server(site, models):
    servers, root, _, _ = site
    fastapi, flask = servers.values()
    put(root, models["1"])
    found = done(fastapi, "POST", "versions", {}, 201)
    assert [(each["version"], each["state"]) for each in found["versions"]] == [("1", "registered")]
    assert done(flask, "POST", "versions", {})["versions"] == found["versions"]  # the same again
    put(root, models["2"])
    done(flask, "POST", "versions", {}, 201)
    put(root, models["3"])
    assert "registered" in done(fastapi, "POST", "versions", {}, 409)["detail"]
    assert fastapi.get("/health").status_code == 503

    done(fastapi, "PUT", "aliases/champion", {"version": "1"})
    await_answer(servers, models["1"])
    done(flask, "PUT", "aliases/champion", {"version": "2"})
    done(flask, "PUT", "aliases/challenger", {"version": "1"})
    await_answer(servers, models["2"])
    for server in servers.values():
        until(lambda server=server: len(server.get("/models").json()["models"]) == 2, server.tail)
        told = {each["version"]: each for each in versions(server)["versions"]}
        assert (told["2"]["state"], told["2"]["aliases"]) == ("active", ["champion"])
        assert (told["1"]["state"], told["1"]["aliases"]) == ("challenger", ["challenger"])
        assert told["1"]["metrics"] and told["1"]["algorithm"] and told["1"]["created_at"]
    assert done(fastapi, "DELETE", "aliases/challenger")["versions"][1]["aliases"] == []
    done(fastapi, "POST", "rollback", {})
    await_answer(servers, models["1"])

    assert answered(fastapi)["prediction"] == [ANSWERS["1"]]
    done(fastapi, "DELETE", "aliases/champion", status=400)
    done(flask, "PUT", "aliases/production", {"version": "1"}, 400)
    done(flask, "PUT", "aliases/champion", {"version": "9"}, 404)
    done(fastapi, "POST", "activate", {"version": "9"}, 404)
    done(fastapi, "POST", "rollback", {}, 409)


def test_an_agent_that_is_killed_is_followed_by_another(site, models):
    servers, root, _, _ = site
    register(servers["fastapi"], root, models["1"], models["2"])
    server = next(server for server in servers.values() if agents(server, "models:/iris@champion"))
    [first] = agents(server, "models:/iris@champion")
    first.kill()
    until(
        lambda: [one for one in agents(server, "models:/iris@champion") if one.pid != first.pid], server.tail
    )
    assert "the agent ended: another is started" in server.log.read_text(encoding="utf-8")
    done(server, "PUT", "aliases/champion", {"version": "2"})
    await_answer(servers, models["2"])


def agents(server: Server, word: str = "model_training.registry.agent") -> list[psutil.Process]:
    """What speaks to the registry for this server."""
    found = []
    for child in psutil.Process(server.process.pid).children(recursive=True):
        try:
            if word in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.Error:
            continue
    return found


def test_a_full_disk_keeps_nothing_of_a_version(site, models):
    servers, root, registry, small = site
    if not small:
        pytest.skip("needs to mount a small disk, which here may not be done")
    server = servers["fastapi"]
    register(server, root, models["1"])
    done(server, "PUT", "aliases/champion", {"version": "1"})
    await_answer(servers, models["1"])
    card = root / "models" / "iris" / "card.json"
    card.write_text(card.read_text(encoding="utf-8").replace("0.9667", "0.9666"), encoding="utf-8")
    before = [each["version"] for each in versions(server)["versions"]]
    ballast = registry / "ballast"
    try:
        with ballast.open("wb") as file:
            full = 0  # times in a row: what is being written elsewhere gives back what it took meanwhile
            while full < 20:
                free = max(shutil.disk_usage(registry).free - 20_000, 0)
                full = 0 if free else full + 1
                file.write(bytes(free))
                file.flush()
                time.sleep(0.1)
        told = done(server, "POST", "versions", {}, 507)
        assert told["type"] == "/problems/insufficient-storage"
        assert [each["version"] for each in versions(server)["versions"]] == before
        assert answered(server)["prediction"]
    finally:
        ballast.unlink(missing_ok=True)
    done(server, "POST", "versions", {}, 201)


def test_a_registry_that_is_silent_or_gone_costs_nothing(models, tmp_path):
    """Silent: it takes connections, and says nothing for as long as anybody waits."""
    store = Store(tmp_path / "store")
    for alias in ("champion", "active"):
        store.point("iris", alias, Pointer("1", store.add("iris", models["1"])))
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        env = {"MODEL_URI": "models:/iris@champion", "MODEL_STORE": str(tmp_path / "store"), **ONE}
        with pair(env | {"MLFLOW_TRACKING_URI": url}) as servers:
            logs = [server.log for server in servers.values()]
            deadline = time.monotonic() + PATIENCE
            while not any("the registry does not answer" in log.read_text(encoding="utf-8") for log in logs):
                assert time.monotonic() < deadline
                for server in servers.values():
                    assert server.get("/health/ready").status_code == 200
                    assert answered(server)["prediction"] == [0]
                time.sleep(0.05)
            for state in ("silent", "gone"):
                for server in servers.values():
                    told = versions(server)
                    assert (told["registry"], told["active"]) == ("unavailable", "1"), state
                    assert [(each["version"], each["state"]) for each in told["versions"]] == [
                        ("1", "active")
                    ]
                    assert answered(server)["prediction"] == [0]
                server = next(server for server in servers.values() if agents(server))
                refused = done(server, "PUT", "aliases/champion", {"version": "2"}, 503)
                assert refused["type"] == "/problems/registry-unavailable"
                assert server.get("/health/ready").status_code == 200
                listener.close()


def test_what_speaks_to_the_registry_ends_with_its_server_and_another_server_has_its_own(models, tmp_path):
    """They share a store, of which one follows the registry at a time."""
    store = Store(tmp_path / "store")
    store.point("iris", "active", Pointer("1", store.add("iris", models["1"])))
    env = {"MODEL_URI": "models:/iris@champion", "MODEL_STORE": str(tmp_path / "store"), "METRICS_PORT": "0"}
    env |= {"REGISTRY_FOLDER": str(tmp_path / "registry"), "LOG_FORMAT": "json"}
    with ExitStack() as stack:
        first = Server(FULL[0], env=env)
        stack.callback(first.stop)
        first.wait()
        until(lambda: agents(first), first.tail)
        [agent] = agents(first)
        other = Server(FULL[1], env=env)
        stack.callback(other.stop)
        other.wait()
        assert not agents(other)
        if os.name == "posix":
            first.process.kill()
        else:
            first.process.terminate()
        _, left = psutil.wait_procs([agent], timeout=PATIENCE)
        assert not left
        until(lambda: versions(other)["registry"] == "available", other.tail)
        assert len(agents(other)) == 1
