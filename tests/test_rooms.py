"""Imports run downwards only: each room may import those named here, and nothing else of ours."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "model_training": {"model_training"},
    "apps/minimal": set(),
    "apps/service": {"apps", "model_training"},
    "apps/servers": {"apps"},
    "ui": {"ui"},
    "notebooks/classroom": {"classroom", "model_training", "apps"},
}
ROOMS = {
    *("kit", "notebooks", "classroom", "solutions", "apps", "ui", "model_training", "tests"),
    *("deploy", "benchmarks"),
}


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports, at any depth of it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_lies_below_it(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        wrong = imported(path) & ROOMS - MAY_IMPORT[room]
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(wrong)}"


def test_the_service_knows_no_web_framework_and_of_training_only_the_card_and_loading():
    frameworks = {"fastapi", "starlette", "flask", "werkzeug", "uvicorn", "waitress"}
    for path in (ROOT / "apps" / "service").rglob("*.py"):
        assert not imported(path) & frameworks, path.name
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"from model_training\.(\w+)", text)) <= {"artifact", "card"}, path.name
        assert "apps.servers" not in text and "apps.minimal" not in text, path.name


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
