from collections.abc import Iterator
from pathlib import Path

import pytest
from classroom.servers import Server
from granian_limits import GRANIAN, reason
from language_doors import Door, doors_with
from pairs import FULL

MINIMAL = ("fastapi", "flask")


@pytest.fixture(params=MINIMAL)
def server(request: pytest.FixtureRequest, both: dict[str, Server]) -> Server:
    """One after the other."""
    return both[request.param]


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory, iris_exported: Path) -> Iterator[dict[str, Door]]:
    """Both full servers with a language model, two slots and two places to wait."""
    env = {"GENERATION_SLOTS": "2", "GENERATION_QUEUE": "2", "GENERATION_MAX_TOKENS": "1000"}
    env["GENERATION_FOLDER"] = str(tmp_path_factory.mktemp("generation"))
    env["MODEL_PATH"] = str(iris_exported)
    with doors_with(env) as found:
        yield {door.name: door for door in found}


@pytest.fixture(params=FULL)
def door(request: pytest.FixtureRequest, doors: dict[str, Door]) -> Door:
    return doors[request.param]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Flask on granian: what it cannot hold is known by name, and told when it can."""
    for item in items if GRANIAN else ():
        name, _, case = item.name.removesuffix("]").partition("[")
        if item.path.parent == Path(__file__).parent and (why := reason(name, case)):
            item.add_marker(pytest.mark.xfail(reason=why))
            item.add_marker(pytest.mark.timeout(15, func_only=True))  # it may wait for what does not come
