"""What the book says of rollouts is what a server does that follows a store."""

import json
import shutil

import pytest
from classroom.servers import serve

from model_training.registry.lock import Lock
from model_training.registry.store import Pointer, Store
from tests.docs.blocks import BASH, block, run

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture
def store(project, tmp_path):
    """Two versions of a model, the first of them served; whoever has the lock follows: here we."""
    other = shutil.copytree(project / "models" / "iris", tmp_path / "other")
    card = (other / "card.json").read_text(encoding="utf-8")
    (other / "card.json").write_text(card.replace('"title": "', '"title": "Another: '), encoding="utf-8")
    found, lock = Store(tmp_path / "store"), Lock(tmp_path / "store" / "iris" / "lock")
    assert lock.take()
    models = enumerate((project / "models" / "iris", other), 1)
    pointers = [Pointer(str(number), found.add("iris", folder)) for number, folder in models]
    for alias, pointer in zip(("active", "champion", "challenger"), (pointers[0], *pointers), strict=True):
        found.point("iris", alias, pointer)
    yield tmp_path / "store"
    lock.release()


@pytest.mark.skipif(not (BASH and shutil.which("curl")), reason="needs bash and curl")
def test_models_are_rolled_out_as_the_book_says(store, project):
    start = (
        block("bash", "MODEL_URI=models:/iris@champion").strip().removesuffix(" python -m apps.fastapi_app")
    )
    with serve("fastapi", env=dict([start.split("=", 1)]) | {"MODEL_STORE": str(store)}) as server:

        def said(command: str) -> dict:
            return json.loads(run([BASH, "-ec", command.replace(ADDRESS, server.url)], project))

        found = said(block("bash", "/models/iris/versions"))
        assert {each["version"]: each["state"] for each in found["versions"]} == {
            "1": "active",
            "2": "challenger",
        }
        found = said(block("bash", '{"version": "2"}'))
        assert (found["active"], found["pinned"]) == ("2", "2")
        found = said(block("bash", '{"alias": "champion"}'))
        assert found["active"] == "1" and "pinned" not in found
        found = said(block("bash", '{"mode": "canary"'))
        assert found["rollout"] == {"mode": "canary", "percent": 10}
        found = said(block("bash", '{"mode": "shadow"}'))
        assert found["rollout"] == {"mode": "shadow", "percent": 10}
