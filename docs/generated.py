"""What the book takes from the code: tables of settings, routes, problems, metrics and commands, the card,
the list of lessons. Each is a fragment of Markdown that a page includes (`_generated/settings.md`)."""

import inspect
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from functools import cache, partial
from io import StringIO
from pathlib import Path

import nbformat

from apps.fastapi_app import create_app
from apps.fastapi_app.predictions import predict
from apps.frameworks.fastapi_routes import describe
from apps.service import Service
from apps.service.explanations import ExplanationMetrics
from apps.service.feedback.counted import FeedbackMetrics
from apps.service.generation.counted import GenerationMetrics
from apps.service.jobs.counted import WorkerMetrics
from apps.service.logs import configure
from apps.service.metrics import Metrics
from apps.service.model import Model
from apps.service.openapi import EVERYWHERE
from apps.service.openapi_types import ID
from apps.service.parts import Parts, gate_of
from apps.service.problems import KINDS, Problem, render
from apps.service.registry.counted import RegistryMetrics
from apps.service.settings import Settings
from benchmarks.__main__ import main as bench
from docs import schemas
from kit import commands as kit
from kit.registry import COMMANDS
from model_training import adopt, datasets, train
from model_training.card import Card
from model_training.checks import checks
from model_training.export import export
from model_training.registry import releases

ROOT = Path(__file__).resolve().parents[1]


def release(command: str, arguments: list[str]) -> int:
    return releases.main([command, *arguments])


OWN_HELP = {  # of commands that hand on their arguments
    "train": train.main,
    "adopt": adopt.main,
    "check": checks.main,
    "bench": bench,
    **{name: partial(release, name) for name in COMMANDS},
}
SECONDS_TO_LOAD = 60
SIGNED_IN = "With `ACCESS=on`: for whoever has credentials."
AREAS = (  # of apps/service
    "",
    "/access",
    "/cache",
    "/feedback",
    "/jobs",
    "/registry",
    "/generation",
    "/generation/moderation",
)


def fragments() -> dict[str, str]:
    """All of them, by name."""
    return {
        "settings.md": settings(),
        "problems.md": problems(),
        "routes.md": routes(),
        "types.md": schemas.tables(document()["components"]["schemas"]),
        "metrics.md": metrics(),
        "commands.md": commands(),
        "card.md": schemas.tables(Card.model_json_schema()["$defs"] | {"Card": Card.model_json_schema()}),
        "card_of_iris.md": shortened(iris()[0]),
        "lessons.md": lessons(),
        "python_training.md": "".join(
            modules(f"model_training{area}") for area in ("", "/registry", "/checks")
        ),
        "python_service.md": "".join(modules(f"apps/service{area}") for area in AREAS),
        "predict_view.py": inspect.getsource(predict),
    }


def table(*rows: tuple[str, ...]) -> str:
    """A table of Markdown; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:], ""])


def settings() -> str:
    described = Settings.model_json_schema()["properties"]
    rows = [("variable", "meaning", "takes")]
    for name, field in Settings.model_fields.items():
        takes, default = schemas.kind(described[name]), field.default
        told = f"{takes}; unset by default" if default is None else f"{takes}; `{default}` by default"
        rows.append((f"`{name.upper()}`", field.description, told))
    return table(*rows)


@cache
def iris() -> tuple[Card, dict]:
    """The card of an Iris model trained now, and the API of a server that serves it."""
    with tempfile.TemporaryDirectory() as folder:
        on = {"access": "on", "access_path": folder, "rate_limits": "600/minute"}
        on |= {"jobs": "on", "generation": "on", "explain": "on", "prediction_log": "on"}
        on |= {"model_uri": "models:/iris@champion"}  # so that all is told
        options = Settings.model_construct(log_level="error", log_format="text", **on)
        path = Path(folder) / "iris"
        card = export(train.train(datasets.load("iris")), path)
        log, counted = configure(options), Metrics("fastapi_app")
        model = Model(path, "onnx", log, counted)
        parts = Parts(gate=gate_of(options, log, counted))  # the views of others are described without them
        service = Service("fastapi_app", options, log, counted, model, parts)
        model.start(wait=SECONDS_TO_LOAD)
        app = create_app(service)
        found = json.loads(service.documents.openapi(lambda: describe(app), len(app.routes)))
        service.stop()
    return card, found


def document() -> dict:
    """The OpenAPI document of the full servers."""
    return iris()[1]


def resolved(part: dict) -> dict:
    """What a part of the document refers to, if it refers to something."""
    found = document()
    for step in part.get("$ref", "#").split("/")[1:]:
        found = found[step]
    return found if "$ref" in part else part


def operations() -> Iterator[tuple[str, str, dict]]:
    """Path, method and operation, without HEAD, which is every GET's twin."""
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            if method not in ("parameters", "head"):
                yield path, method.upper(), operation


def slugs_of(operation: dict) -> list[str]:
    """The problems that an operation may answer with."""
    responses = [resolved(response) for response in operation["responses"].values()]
    contents = [content for response in responses for content in response.get("content", {}).values()]
    return [slug for content in contents for slug in content.get("examples", {})]


def routes() -> str:
    parts = []
    for tag in document()["tags"]:
        parts.append(f"## {tag['name'].capitalize()}\n")
        parts += [
            route(path, method, operation)
            for path, method, operation in operations()
            if tag["name"] in operation["tags"]
        ]
    return "\n".join(parts)


def route(path: str, method: str, operation: dict) -> str:
    lines = [f"### `{method} {path}`", "", sentence(operation["summary"])]
    for parameter in document()["paths"][path].get("parameters", []):
        lines += ["", f"`{parameter['name']}` in the path: {schemas.kind(parameter['schema'])}."]
    for parameter in operation.get("parameters", []):
        lines += ["", f"`{parameter['name']}` in the {parameter['in']}: {parameter['description']}."]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        if "examples" in content:
            example = next(iter(content["examples"].values()))["value"]
            lines += ["", f"Takes {schemas.kind(schema)}:", "", block(example)]
        elif "properties" in schema:
            lines += ["", "Takes a form with:", ""]
            lines += [f"- `{name}`: {field['description']}" for name, field in schema["properties"].items()]
        else:
            lines += ["", f"Takes `{media_type}`: {schema['description']}."]
    for status, response in operation["responses"].items():
        for media_type, content in (
            resolved(response).get("content", {}).items() if status in ("200", "201", "202") else ()
        ):
            schema = content.get("schema", {})
            shape = schemas.kind(schema) if "$ref" in schema else f"`{media_type}`"
            lines += ["", f"Answers {status} with {shape}" + (":" if "example" in content else ".")]
            if "example" in content:
                lines += ["", block(content["example"])]
    own = [
        f"[`{slug}`](/reference/problems.md#{slug})" for slug in slugs_of(operation) if slug not in EVERYWHERE
    ]
    if "security" in operation:
        [scopes] = operation["security"][0].values()
        lines += ["", f"With `ACCESS=on`: for the scope `{scopes[0]}`." if scopes else SIGNED_IN]
    if own:
        lines += ["", f"Its own problems: {', '.join(own)}."]
    return "\n".join([*lines, ""])


def sentence(text: str) -> str:
    return text if text[-1] in ".?)" else f"{text}."


def block(example: object) -> str:
    """As JSON, with lists of numbers and such on a line each."""
    text = json.dumps(example, indent=2, ensure_ascii=False)
    short = re.sub(r"\[[^\[\]{}]{1,200}\]", lambda found: re.sub(r"\s+", " ", found[0]), text)
    return "```json\n" + re.sub(r"\[ | \]", lambda found: found[0].strip(), short) + "\n```"


def problems() -> str:
    """A section for each, with an anchor of its name, which addresses outside of the book lead to."""
    rows = [("status", "type", "when")]
    rows += [(str(kind.status), f"[`{kind.slug}`](#{kind.slug})", kind.meaning) for kind in KINDS.values()]
    parts = [table(*rows)]
    for kind in KINDS.values():
        lines = [f"({kind.slug})=", f"## {kind.status} {kind.title}", "", f"`{kind.slug}`", ""]
        lines += [
            kind.meaning,
            "",
            f"**What to do:** {kind.remedy}",
            "",
            f"*Given by:* {given_by(kind.slug)}.",
            "",
        ]
        if kind.headers:
            told = ", ".join(f"`{name}: {value}`" for name, value in kind.headers)
            lines += [f"*With the header* {told}.", ""]
        lines.append(block(json.loads(render(Problem(kind.slug, kind.meaning), ID))))
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def given_by(slug: str) -> str:
    """The routes that answer with a problem, in words."""
    if slug in EVERYWHERE:
        return "every route"
    found = [f"`{method} {path}`" for path, method, one in operations() if slug in slugs_of(one)]
    if slug == "overloaded":
        return "every route but those of health"
    return ", ".join(found) or "no route yet: lessons to come use it"


def metrics() -> str:
    rows = [("metric", "labels", "kind", "what it counts")]
    registry = Metrics("fastapi_app").registry
    RegistryMetrics(registry)
    GenerationMetrics(registry)
    FeedbackMetrics(registry)
    ExplanationMetrics(registry)
    own = registry._collector_to_names  # the registry itself does not tell labels
    for collector in [*own, *list(WorkerMetrics().registry._collector_to_names)[:-1]]:  # app_info is in both
        [family] = collector.describe() or collector.collect()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)
        rows.append((f"`{name}`", labels, family.type, family.documentation))
    return table(*rows)


def commands() -> str:
    """What kit.py's own help says of each command, and the options of those that have some."""
    parts = []
    for told in re.finditer(r"^python kit\.py (\w+)(.*?)  +(.+(?:\n {10,}.+)*)", kit.__doc__, re.MULTILINE):
        name, example, meaning = told[1], told[2], re.sub(r"\s+", " ", told[3])
        meaning = re.sub(r"(--[a-z-]+)", r"`\1`", meaning)
        parts.append(f"## `python kit.py {name}`\n\n{meaning[0].upper()}{meaning[1:]}.\n")
        if example:
            parts.append(f"For example `python kit.py {name}{example}`.\n")
        if (options := options_of(name)).strip():
            parts.append(f"```text\n{options}\n```\n")
    return "\n".join(parts)


def options_of(command: str) -> str:
    """The part of its help that lists what it takes; nothing for `test`, whose options are pytest's."""
    if command == "test":
        return ""
    os.environ |= {"COLUMNS": "80", "NO_COLOR": "1", "PYTHON_COLORS": "0"}  # argparse looks there
    with redirect_stdout(StringIO()) as said, suppress(SystemExit):
        if command in OWN_HELP:
            OWN_HELP[command](["--help"])
        else:
            kit.parse([command, "--help"])
    found = re.search(r"^\w[\w ]*:\n", said.getvalue(), re.MULTILINE)
    return said.getvalue()[found.start() :].rstrip() if found else ""


def shortened(card: Card) -> str:
    """A card with one golden row of several, and one file."""
    found = json.loads(card.to_json())
    found["golden"], found["presets"] = found["golden"][:1], found["presets"][:1]
    return block(found)


def lessons() -> str:
    found = []
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        opening = nbformat.read(path, as_version=4).cells[0].source
        title = re.match(r"# (.+)", opening)[1]
        minutes = re.search(r"\*(\d+ minutes to read and run, \d+ to practise)", opening)[1]
        able = " ".join(re.findall(r"^- (\*\*[a-z ]+\*\* .+[;.])$", opening, re.MULTILINE))
        found.append(f"**[{title}](/lessons/{path.name})**: {minutes}. After it you can {able}\n")
    return "\n".join(found)


def modules(folder: str) -> str:
    """A section for each module of a package, from its docstrings."""
    parts = []
    for path in [ROOT / folder / "__init__.py", *sorted((ROOT / folder).glob("[!_]*.py"))]:
        name = folder.replace("/", ".") + ("" if path.stem == "__init__" else f".{path.stem}")
        directive = f".. automodule:: {name}\n   :members:\n   :show-inheritance:"
        parts.append(f"## `{name}`\n\n```{{eval-rst}}\n{directive}\n```\n")
    return "\n".join(parts)
