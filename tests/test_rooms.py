"""Imports run downwards only: each room may import those named here, and nothing else of ours."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "kit": {"kit", "classroom", "model_training"},
    "model_training": {"model_training"},
    "apps/minimal": set(),
    "apps/service": {"apps", "model_training"},
    "apps/frameworks": {"apps"},
    "apps/servers": {"apps"},
    "ui": {"ui"},
    "notebooks/classroom": {"classroom", "model_training", "apps"},
    "docs": {"docs", "apps", "model_training", "kit", "benchmarks"},  # it describes them; nobody imports it
}
ROOMS = {
    *("kit", "notebooks", "classroom", "solutions", "apps", "ui", "model_training", "tests"),
    *("deploy", "benchmarks", "docs"),
}


# What a room starts in a process of its own, by the module's name: no import, and as much to know of.
MAY_START = {
    "kit": {"kit", "model_training", "benchmarks", "docs", "apps"},  # its commands, and its plugin for pytest
    "apps/service": {
        "kit",  # only told to people, as what to type
        "model_training",  # the tiny language model, where there is none yet
    },
    "apps/servers": {"apps"},  # a supervisor goes on without what it had imported
    "ui": {
        "benchmarks",  # the load generator: in the page's own process they would slow each other down
        "apps",  # only told to people, as what to type
    },
    "notebooks/classroom": {  # the servers, the registry; itself, to survive a crash
        *("apps", "benchmarks", "notebooks", "model_training"),
    },
}
OURS = [path for room in (*MAY_IMPORT, "benchmarks", "deploy") for path in (ROOT / room).rglob("*.py")]
OURS += (ROOT / "apps").glob("*.py")


def module_of(path: Path) -> str:
    """`apps.service` for apps/service/__init__.py; what lessons import lies below notebooks."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part not in ("__init__", "notebooks"))


MODULES = {module_of(path): path for path in OURS if not path.relative_to(ROOT).parts[1].startswith(".")}


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports, at any depth of it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def imported_at_once(module: str) -> set[str]:
    """Our modules that one of them imports outside of functions, if only for its types."""
    path, found = MODULES[module], set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    nodes = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = ".".join(parts[: len(parts) + 1 - node.level]) if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            for alias in node.names:
                found.add(f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            nodes += ast.iter_child_nodes(node)
    return found & set(MODULES)


def started(path: Path) -> set[str]:
    """The rooms of the modules that a file names in a string, as `python -m` takes them."""
    texts = (node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if is_text(node))
    return {text.split(".")[0] for text in texts if re.fullmatch(r"\w+(\.\w*)+(:\w+)?", text)} & ROOMS


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Names of which each leads to the next, and the last is the first; empty where there are none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for following in sorted(graph[name]):
                if found := walk(following, [*way, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_imports_go_in_a_circle():
    assert len(MODULES) > 50
    found = circle({module: imported_at_once(module) - {module} for module in MODULES})
    assert not found, " imports ".join(found)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_starts_in_a_process_only_what_is_named_here(room):
    for path in (ROOT / room).rglob("*.py"):
        wrong = started(path) - MAY_START.get(room, set())
        assert not wrong, f"{path.relative_to(ROOT)} starts {', '.join(wrong)}"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        wrong = imported(path) & ROOMS - MAY_IMPORT[room]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(wrong)}"


def test_the_service_knows_no_web_framework_and_of_training_only_what_serving_needs():
    frameworks = {"fastapi", "starlette", "flask", "werkzeug", "uvicorn", "waitress"}
    for path in (ROOT / "apps" / "service").rglob("*.py"):
        assert not imported(path) & frameworks, path.name
        text = path.read_text(encoding="utf-8")
        needed = {"artifact", "card", "rows"}
        if path.parent.name == "registry":
            needed |= {"registry.store", "registry.candidates", "registry.lock"}
        assert set(re.findall(r"from model_training\.([\w.]+)", text)) <= needed, path.name
        for above in ("frameworks", "servers", "minimal", "fastapi_app", "flask_app"):
            assert not re.search(rf"from apps(\.{above}| import .*{above})", text), path.name


def test_what_stands_around_a_framework_knows_no_server():
    """So that the apps are the same on any server."""
    for path in (ROOT / "apps" / "frameworks").rglob("*.py"):
        assert not imported(path) & {"uvicorn", "waitress", "granian", "gunicorn"}, path.name
        assert "apps.servers" not in path.read_text(encoding="utf-8"), path.name


def test_there_is_no_room_for_odds_and_ends():
    hidden = re.compile(r"(^|[/\\\\])\.")  # environments are not ours
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    names = {path.stem for path in files if not hidden.search(str(path))}
    assert not names & {"utils", "util", "common", "helpers", "helper", "misc"}


def test_loading_a_model_needs_no_training_library():
    assert not imported(ROOT / "model_training" / "artifact.py") & {"skl2onnx", "matplotlib"}


def test_notebooks_and_page_paint_the_two_servers_in_the_same_colours():
    for name in ("notebooks/classroom/plots.py", "ui/servers.py"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "#0072B2" in text and "#D55E00" in text, name
