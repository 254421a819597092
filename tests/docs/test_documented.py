"""What the code has, the README has: every setting, route, error and dataset."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit import environment as setup
from model_training import artifact
from model_training.datasets import LOADERS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVERS = [ROOT / "apps" / "minimal" / f"{name}_api_example.py" for name in ("fastapi", "flask")]


def source(*folders: str) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for folder in folders for path in (ROOT / folder).rglob("*.py")
    )


def test_every_setting_is_in_the_readme_and_is_read_by_the_code():
    read = set(re.findall(r'os\.environ(?:\.get\(|\[)"([A-Z_]+)"', source("apps", "ui")))
    documented = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`(?= \||, | and | \()", README))
    assert {"MODEL_PATH", "HOST", "PORT", "FASTAPI_URL", "FLASK_URL"} <= read
    assert read <= documented


@pytest.mark.parametrize("path", SERVERS, ids=lambda path: path.stem)
def test_every_route_is_in_the_readme(path):
    routes = re.findall(r'@app\.(get|post|put|delete)\("([^"]+)"', path.read_text(encoding="utf-8"))
    assert len(routes) == 3
    for method, route in routes:
        assert f"**`{method.upper()} {route}`**" in README


@pytest.mark.parametrize("path", SERVERS, ids=lambda path: path.stem)
def test_every_refusal_is_in_the_troubleshooting_table(path):
    messages = re.findall(
        r"(?:HTTPException|abort)\(\s*400,\s*f?(?:\"([^\"]+)\"|'([^']+)')", path.read_text(encoding="utf-8")
    )
    assert len(messages) == 6
    for message in ("".join(pair) for pair in messages):
        words = [part for part in re.split(r"\{\{|\}\}|\{[^}]*\}", message) if len(part) > 6]
        assert any(word.strip() in README for word in words), message


def test_every_error_of_loading_a_model_is_in_the_troubleshooting_table():
    names = [error.__name__ for error in artifact.ArtifactError.__subclasses__()]
    assert len(names) == 6
    assert [name for name in [*names, "CardError"] if f"`{name}" not in README] == []


def test_every_way_in_which_the_setup_fails_is_in_the_troubleshooting_table():
    for message in setup.MEANINGS:
        first_words = " ".join(message.split()[:4]).rstrip(".:,")
        assert first_words in README, message


def test_every_dataset_is_in_the_readme():
    assert [name for name in LOADERS if f"`{name}`" not in README] == []


def test_every_command_of_the_kit_is_in_the_readme():
    help_text = subprocess.run(
        [sys.executable, str(ROOT / "kit.py"), "--help"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    ).stdout
    commands = re.findall(r"^    ([a-z]+) ", help_text.split("positional arguments:")[1], flags=re.MULTILINE)
    assert {"up", "test", "train", "lab", "doctor"} <= set(commands)
    assert [command for command in commands if f"`python kit.py {command}" not in README] == []


def test_every_link_of_the_documents_leads_somewhere():
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("https://") or (ROOT / target).exists(), f"{document}: {target}"


def test_every_lesson_is_in_the_table():
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        assert f"(notebooks/{notebook.name})" in README, notebook.name
