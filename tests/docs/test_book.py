"""The book is made strictly and without a network, has what the code has, and reads well in a browser."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from classroom.servers import serve
from playwright.sync_api import Browser, expect

from apps.service import problems
from apps.service.settings import Settings
from tests.ui.conftest import browser  # noqa: F401 - the fixture
from tests.ui.looks import AXE, VIOLATIONS
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
SECONDS = 800  # half a minute of a quiet machine; others may be at work
pytestmark = pytest.mark.timeout(900)
NOBODY = "http://127.0.0.1:9"  # where every request to elsewhere would go
OFFLINE = {name: NOBODY for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
SIZES = {"laptop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}


def python(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    """Python in the project's folder; where the system can, in a network that has nothing in it."""
    command = [sys.executable, *arguments]
    alone = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") and not subprocess.run([*alone, "true"], capture_output=True).returncode:
        command = [*alone, *command]
    env = {name: value for name, value in os.environ.items() if name != "BOOK_URL"} | OFFLINE | env
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8", timeout=SECONDS)


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the book was made: `html` for people, `source` is what Sphinx read."""
    folder = tmp_path_factory.mktemp("book")
    # what a machine has set must not show in the book
    made = python("-m", "docs", str(folder), PORT="1234", MAX_IN_FLIGHT="7", MODEL_PATH="nowhere")
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    return folder


def page(book: Path, name: str) -> str:
    """A page's text, without its marks."""
    text = (book / "html" / name).read_text(encoding="utf-8")
    article = text.partition("<article")[2].partition("</article>")[0]
    return html.unescape(re.sub(r"<[^>]+>", "", article))


def table(book: Path, fragment: str) -> set[str]:
    """What stands as code in the first column of a generated table."""
    text = (book / "source" / "_generated" / f"{fragment}.md").read_text(encoding="utf-8")
    return {
        name for row in text.splitlines() if row.startswith("| ") for name in re.findall("`([^`]+)`", row)[:1]
    }


def test_what_leads_nowhere_is_refused(tmp_path):
    wrong = {
        "link": "[x](gone.md)",
        "anchor": "[x](link.md#gone)",
        "label": "{ref}`gone`",
        "term": "{term}`gone`",
        "include": "```{include} gone.md\n```",
        "picture": "![x](gone.png)",
    }
    source = tmp_path / "source"
    source.mkdir()
    for name, text in wrong.items():
        (source / f"{name}.md").write_text(f"# A page\n\n{text}\n", encoding="utf-8")
    toctree = "```{toctree}\n" + "\n".join(wrong) + "\n```\n"
    (source / "index.md").write_text(f"# All\n\n{toctree}", encoding="utf-8")
    run = "import sys; from pathlib import Path; from docs.__main__ import build; "
    run += "sys.exit(build(Path(sys.argv[1]), Path(sys.argv[2])))"
    made = python("-c", run, str(source), str(tmp_path))
    assert made.returncode == 1
    for name in wrong:
        assert re.search(rf"{name}\.md:\d+: \w+: .*gone", made.stderr), name


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_is_in_it_as_it_was_run(book, lesson):
    cells = nbformat.read(lesson, as_version=4).cells
    text = page(book, f"lessons/{lesson.stem}.html")
    assert cells[0].source.splitlines()[0].removeprefix("# ") in text
    assert lesson.stem in (book / "html" / "index.html").read_text(encoding="utf-8")
    shown = [
        line
        for cell in cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
        for line in output.text.splitlines()
    ]
    assert shown and [line for line in shown if line.strip() not in text] == []
    assert not re.search(r"\|(—|-{3})", text), "a table that stayed text"


def test_every_setting_is_in_it_with_its_meaning(book):
    assert table(book, "settings") == {name.upper() for name in Settings.model_fields}
    text = page(book, "reference/settings.html")
    for field in Settings.model_fields.values():
        words = re.sub(r"[`’']", "", field.description)
        assert words in re.sub(r"[`’']", "", text)
    assert "8000 by default" in text and "64 by default" in text  # and not what this machine has set


def test_every_variable_that_the_code_reads_is_documented(book):
    read = set()
    for path in [*(ROOT / "apps").rglob("*.py"), *(ROOT / "ui").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        read |= set(re.findall(r'os\.environ(?:\.get\(|\[)"([A-Z_]+)"', text))
    documented = (book / "source" / "reference" / "settings.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", documented)) | table(book, "settings")
    assert {"MODEL_PATH", "HOST", "PORT", "FASTAPI_URL", "FLASK_URL", "BOOK_URL"} <= documented
    assert read and read <= documented


def test_every_route_is_in_it_with_its_problems(book, iris_root, tmp_path):
    env = {"ACCESS": "on", "ACCESS_PATH": str(tmp_path), "MODEL_PATH": str(iris_root / "models" / "iris")}
    with serve("flask", env=env) as server:
        document = server.get("/openapi.json").json()
    text = page(book, "reference/api.html")
    routes = [
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in item
        if method not in ("parameters", "head")
    ]
    assert len(routes) > 15
    for route in routes:
        assert text.count(f"\n{route}¶") == 1, route
    predict = text.partition("POST /predict¶")[2].partition("POST /predict/batch¶")[0]
    assert "out-of-range" in predict and "prediction-timeout" in predict and "too-many-rows" not in predict
    assert '"label": "setosa"' in predict
    for name in document["components"]["schemas"]:
        assert f"{name}¶" in text, name


@pytest.mark.parametrize("slug", problems.KINDS)
def test_every_problem_is_in_it_in_the_words_of_the_servers_page(book, slug):
    kind = problems.KINDS[slug]
    text = (book / "html" / "reference" / "problems.html").read_text(encoding="utf-8")
    [section] = re.findall(
        rf'<section id="[^"]+">\s*<span id="{slug}"></span>.*?</section>', text, re.DOTALL
    ) or (re.findall(rf'<section id="{slug}">.*?</section>', text, re.DOTALL))
    words = plain(re.sub(r"<[^>]+>", "", section))
    served = plain(re.sub(r"<[^>]+>", "", problems.page(slug)))
    for part in (f"{kind.status} {kind.title}", kind.meaning, kind.remedy):
        assert plain(part) in words and plain(part) in served


def plain(text: str) -> str:
    """Without marks, typographic quotes and line breaks."""
    return " ".join(html.unescape(text).replace("’", "'").split())


def test_every_metric_is_in_it(book, tmp_path):
    ask = (
        "from apps.service.metrics import Metrics; from apps.service.jobs.counted import WorkerMetrics; "
        "from apps.service.generation.counted import GenerationMetrics; "
        "from apps.service.registry.counted import RegistryMetrics; "
        "from apps.service.feedback.counted import FeedbackMetrics; "
        "from apps.service.explanations import ExplanationMetrics; "
        "from prometheus_client import generate_latest as latest; "
        "metrics = Metrics('x'); "
        "[one(metrics.registry) for one in "
        "(GenerationMetrics, RegistryMetrics, FeedbackMetrics, ExplanationMetrics)]; "
        "print(*[latest(one.registry).decode() for one in (metrics, WorkerMetrics())], sep='')"
    )
    told = python("-c", ask).stdout
    names = {name.removesuffix("_total") for name in re.findall(r"^# HELP (\w+) ", told, re.MULTILINE)}
    assert len(names) == 45
    assert {name.removesuffix("_total") for name in table(book, "metrics")} == names


def test_every_command_of_the_kit_is_in_it(book):
    asked = python("kit.py", "--help").stdout
    commands = re.findall(r"^    ([a-z]+) ", asked.split("positional arguments:")[1], flags=re.MULTILINE)
    assert {"up", "test", "train", "lab", "docs", "doctor"} <= set(commands)
    text = page(book, "reference/kit.html")
    assert [command for command in commands if f"python kit.py {command}¶" not in text] == []
    assert "with --quick" in text and "--no-browser" in text and "--seed" in text and "--data" in text


def test_the_card_and_the_python_api_are_in_it(book):
    text = page(book, "reference/model_card.html")
    assert '"name": "iris"' in text and "golden" in text and "in the order in which they are sent" in text
    for package, name in (("model_training", "model_training"), ("apps/service", "service")):
        text = (book / "html" / "reference" / f"{name}.html").read_text(encoding="utf-8")
        for path in (ROOT / package).glob("*.py"):
            module = package.replace("/", ".") + ("" if path.stem == "__init__" else f".{path.stem}")
            assert f'id="module-{module}"' in text, module
        assert 'id="model_training.artifact.load"' in text or name == "service"


def test_the_addresses_that_servers_and_page_link_to_are_there(book):
    pages = ["reference/problems.html", "reference/settings.html", "troubleshooting.html"]
    pages += [f"lessons/{lesson.stem}.html" for lesson in LESSONS]
    assert [name for name in pages if not (book / "html" / name).is_file()] == []


def test_nothing_is_loaded_from_elsewhere(book):
    for path in (book / "html").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)"', text)
        loaded += re.findall(r'<link [^>]*rel="(?:stylesheet|icon)"[^>]* href="(https?:[^"]+)"', text)
        assert loaded == [], path.name


def test_a_search_finds_without_a_server(book, browser: Browser):  # noqa: F811
    index = (book / "html" / "searchindex.js").read_text(encoding="utf-8")
    found = json.loads(index.removeprefix("Search.setIndex(").rstrip(");"))
    assert "how-to/workers" in found["docnames"]
    window = browser.new_page()
    asked = []
    window.on("request", lambda request: asked.append(request.url))
    window.goto((book / "html" / "search.html").as_uri() + "?q=PROMETHEUS_MULTIPROC_DIR")
    expect(window.get_by_role("link", name="Workers and process managers").last).to_be_visible(
        timeout=PATIENCE * 1000
    )
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    expect(window.locator("ul.search a[href*='files/']")).to_have_count(0)  # source is not in its way
    window.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_readable_in_a_browser(book, browser: Browser, size, scheme):  # noqa: F811
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
    window = context.new_page()
    faults = []
    window.on("pageerror", lambda error: faults.append(str(error)))
    for name in ("index", "troubleshooting", "reference/problems", "explanations/a_request"):
        window.goto((book / "html" / f"{name}.html").as_uri())
        assert window.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], name
        window.evaluate(AXE)
        found = window.evaluate(VIOLATIONS)
        assert [one for one in found if one[1] in ("serious", "critical")] == [], name
    for lesson in LESSONS if (size, scheme) == ("phone", "light") else ():
        window.goto((book / "html" / "lessons" / f"{lesson.stem}.html").as_uri())
        assert window.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["width"], lesson.stem
    assert faults == []
    context.close()
