"""What the code has, README and the book's own pages have; what is generated is tested in test_book.py."""

import re
from pathlib import Path

import pytest

from kit import environment as setup
from model_training import artifact
from model_training.datasets import LOADERS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TROUBLESHOOTING = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SERVERS = [ROOT / "apps" / "minimal" / f"{name}_api_example.py" for name in ("fastapi", "flask")]


def test_the_readme_is_one_page():
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("path", SERVERS, ids=lambda path: path.stem)
def test_every_route_of_the_minimal_servers_is_in_the_readme(path):
    routes = re.findall(r'@app\.(get|post|put|delete)\("([^"]+)"', path.read_text(encoding="utf-8"))
    assert len(routes) == 3
    for method, route in routes:
        assert f"**`{method.upper()} {route}`**" in README


@pytest.mark.parametrize("path", SERVERS, ids=lambda path: path.stem)
def test_every_setting_of_the_minimal_servers_is_in_the_readme(path):
    read = set(re.findall(r'os\.environ\.get\("([A-Z_]+)"', path.read_text(encoding="utf-8")))
    assert read == {"MODEL_PATH", "HOST", "PORT"}
    assert [name for name in read if f"`{name}`" not in README] == []


@pytest.mark.parametrize("path", SERVERS, ids=lambda path: path.stem)
def test_every_refusal_is_in_the_troubleshooting_table(path):
    messages = re.findall(
        r"(?:HTTPException|abort)\(\s*400,\s*f?(?:\"([^\"]+)\"|'([^']+)')", path.read_text(encoding="utf-8")
    )
    assert len(messages) == 6
    for message in ("".join(pair) for pair in messages):
        words = [part for part in re.split(r"\{\{|\}\}|\{[^}]*\}", message) if len(part) > 6]
        assert any(word.strip() in TROUBLESHOOTING for word in words), message


def test_every_error_of_loading_a_model_is_in_the_troubleshooting_table():
    names = [error.__name__ for error in artifact.ArtifactError.__subclasses__()]
    assert len(names) == 6
    assert [name for name in [*names, "CardError"] if f"`{name}" not in TROUBLESHOOTING] == []


def test_every_problem_of_access_is_in_the_troubleshooting_table():
    words = ("401", "403", "429", "`token-refused`", "`access-unavailable`", "`JWT_SECRET:", "`DATABASE_URL:")
    words += ("`ACCESS_PATH:", "`ACCESS:", *("invalid_request", "invalid_grant", "invalid_scope"))
    assert [word for word in words if word not in TROUBLESHOOTING] == []
    for source, said in (
        ("gate", "expected an access token"),
        ("gate", "expected credentials with the scope"),
        ("identity", "expected credentials that are valid"),
        ("grants", "expected a name and its password"),
        ("grants", "expected a client's id and its secret"),
        ("grants", "a key makes and revokes no keys"),
        ("logins", "attempts in a minute"),
    ):
        assert said in (ROOT / "apps" / "service" / "access" / f"{source}.py").read_text(encoding="utf-8")
        assert said in TROUBLESHOOTING


def test_every_problem_of_jobs_is_in_the_troubleshooting_table():
    words = (
        "`unknown-job`",
        "`job-not-done`",
        "`idempotency-conflict`",
        "`job-queue-full`",
        "`jobs-unavailable`",
    )
    assert [word for word in words if word not in TROUBLESHOOTING] == []
    for source, said in (
        ("csv_rows", "expected CSV of the model's features, got "),
        ("csv_rows", "expected a line with the names of the features"),
        ("file_part", "expected a whole form with one part, a file named file"),
        ("uploads", "expected an Idempotency-Key of 1 to 200 visible ASCII characters"),
    ):
        assert said in (ROOT / "apps" / "service" / "jobs" / f"{source}.py").read_text(encoding="utf-8")
        assert said in TROUBLESHOOTING


def test_every_problem_of_feedback_is_in_the_troubleshooting_table():
    words = ("`unknown-prediction`", "`feedback-unavailable`", "`PREDICTION_LOG_FOLDER:")
    assert [word for word in words if word not in TROUBLESHOOTING] == []
    for source, said in (
        ("feedback", "expected a label among "),
        ("feedback", "expected row, the number of a row of that batch"),
        ("prediction_log", "predictions are not logged: more of them wait than there is room for"),
    ):
        assert said in (ROOT / "apps" / "service" / "feedback" / f"{source}.py").read_text(encoding="utf-8")
        assert said in TROUBLESHOOTING


def test_every_refusal_about_compose_and_a_class_is_in_the_troubleshooting_table():
    for source, said in (
        ("docker-compose.yml", "run python kit.py secrets --profile "),
        ("kit/compose.py", "expected letters, digits and . _ ~ - only"),
        ("kit/compose.py", " is there: another kit.py is writing it"),
        ("kit/classroom.py", "--port-offset: the last learner's ports would reach "),
        ("kit/classroom.py", " MB for the system need "),
        ("kit/classroom.py", " holds no class"),
    ):
        assert said in (ROOT / source).read_text(encoding="utf-8")
        assert said in TROUBLESHOOTING


def test_every_way_in_which_the_setup_fails_is_in_the_troubleshooting_table():
    for message in setup.MEANINGS:
        first_words = " ".join(message.split()[:4]).rstrip(".:,")
        assert first_words in TROUBLESHOOTING, message


def test_every_dataset_is_in_the_book():
    text = (ROOT / "docs" / "how-to" / "adopt_a_model.md").read_text(encoding="utf-8")
    for page in (text, TROUBLESHOOTING):
        assert [name for name in LOADERS if f"`{name}`" not in page] == []


def test_every_link_of_the_documents_leads_somewhere():
    pages = [path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts]
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "deploy" / "README.md", *pages):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
            there = target.startswith("https://") or (document.parent / target).exists()
            assert there, f"{document.name}: {target}"


def test_every_anchor_that_the_readme_links_is_a_heading():
    for target, anchor in re.findall(r"\]\(([^)#\s]+\.md)#([^)]+)\)", README):
        headings = re.findall(r"^#+ (.+)$", (ROOT / target).read_text(encoding="utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def test_every_lesson_is_in_the_table():
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        assert f"(notebooks/{notebook.name})" in README, notebook.name
        row = next(line for line in README.splitlines() if notebook.name in line)
        opening = notebook.read_text(encoding="utf-8")
        read, practise = re.search(r"(\d+) minutes to read and run, (\d+) to practise", opening).groups()
        assert f"| {read} + {practise} |" in row, notebook.name


def test_every_page_of_the_book_is_in_a_table_of_contents():
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        if page.name != "index.md" and not name.startswith(("_build", "explanations/")):
            assert re.search(rf"^{name}$", contents, re.MULTILINE), name
