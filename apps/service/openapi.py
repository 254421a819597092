"""The OpenAPI document of both servers: what each framework generates of its views, completed with what all
routes have in common, the table of problems, and the card of the model being served.

https://spec.openapis.org/oas/v3.1.1.html. Imported, and made, when somebody asks for it."""

import re
from typing import Any

import msgspec
from pydantic import BaseModel

from apps.service.access.declared import Declared
from apps.service.access.security import guards, security_schemes
from apps.service.documents import FILES
from apps.service.model import Serving
from apps.service.openapi_types import ID, REF, example, examples, schemas
from apps.service.problems import KINDS, MEDIA_TYPE, Problem, render
from apps.service.requests import IS_HEALTH, REQUEST_ID
from apps.service.settings import Settings

PARAMETER = re.compile(r"\{(\w+)\}")
V1, V2 = "v1-", "v2-"  # before names of OpenAI's API, and of the Open Inference Protocol
DESCRIPTION = """Every GET answers HEAD too. Every answer carries `X-Request-ID`: the request's own, where
that is of 1 to 64 letters, digits and `._-`, else a new one. Every error is a problem of
[RFC 9457](https://www.rfc-editor.org/rfc/rfc9457); all that there are stand at [/problems](problems).
Ranges, classes and examples are those of the model being served."""


HEADERS = {
    "X-Request-ID": {
        "description": "the request's id, in the log and in every problem",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{REQUEST_ID.__self__.pattern}$"},
    },
    "Retry-After": {
        "description": "seconds to wait before the next try",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}


EVERYWHERE = (  # what stands between a client and every route
    "bad-request",
    "method-not-allowed",
    "request-timeout",
    "content-too-large",
    "uri-too-long",
    "headers-too-large",
    "internal-error",
    "not-implemented",
)


class ProblemDetails(BaseModel):
    """RFC 9457. Problems of health tell `app` and `uptime_seconds` too."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


class InferenceProblem(ProblemDetails):
    """The same, with the `error` that clients of the Open Inference Protocol look for."""

    error: str


class OpenAIError(BaseModel):
    message: str
    type: str
    param: None
    code: str


class OpenAIProblem(ProblemDetails):
    """The same, with the `error` that clients of OpenAI's API look for."""

    error: OpenAIError


SHAPES: dict[str, type[ProblemDetails]] = {"": ProblemDetails, V1: OpenAIProblem, V2: InferenceProblem}


def complete(
    generated: dict[str, Any],
    app: str,
    version: str,
    settings: Settings,
    serving: Serving | None,
    routes: list[tuple[str, str, set[Declared]]],
    root: str,
) -> bytes:
    """A generated document with what all routes have in common: their methods, headers and problems; what
    the served model's card says, where there is one; of each of the `routes`, who may use it; and the path
    that all are under (`root`). As JSON."""
    declared = {(template, method.lower()): found for template, method, found in routes}
    paths: dict[str, dict] = {}
    for path, item in generated["paths"].items():
        operations = {}
        for method, operation in item.items():
            for twin in [method, "head"] if method == "get" else [method]:
                own = guards(declared.get((path, twin), set()), settings)
                operations[twin] = described(path, twin, operation, [*item], serving, own)
        names = PARAMETER.findall(path)
        parameters = {"parameters": [parameter(name, serving, settings) for name in names]} if names else {}
        paths[path] = parameters | operations
    prefixes = [prefix for prefix in SHAPES if prefix != V1 or settings.generates]
    tags = dict.fromkeys(tag for item in paths.values() for one in item.values() for tag in tags_of(one))
    parts = {
        "schemas": schemas(generated["components"]["schemas"] | shapes(prefixes), settings, serving),
        "headers": HEADERS,
        "responses": {
            f"{prefix}{slug}": refusal(KINDS[slug].status, [slug], prefix)
            for prefix in prefixes
            for slug in EVERYWHERE
        },
        "examples": {
            f"{prefix}{slug}": {"value": problem(slug, prefix)} for prefix in prefixes for slug in KINDS
        },
    }
    if settings.guarded:
        parts["securitySchemes"] = security_schemes(root)
    book = {"url": settings.book_url, "description": "The book"} if settings.book_url else None
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Servelab",
                "version": version,
                "summary": f"Answered by {app}",
                "description": DESCRIPTION,
            },
            **({"externalDocs": book} if book else {}),
            **({"servers": [{"url": root}]} if root else {}),
            "tags": [{"name": name} for name in tags],
            "paths": paths,
            "components": parts,
        }
    )


def shapes(prefixes: list[str]) -> dict[str, Any]:
    """The schemas of problems."""
    found: dict[str, Any] = {}
    for shape in [SHAPES[prefix] for prefix in prefixes]:
        schema = shape.model_json_schema(ref_template=REF.format(name="{model}"))
        found |= schema.pop("$defs", {}) | {shape.__name__: schema}
    return found


def tags_of(operation: Any) -> list[str]:
    return operation["tags"] if isinstance(operation, dict) else []


def described(
    route: str,
    method: str,
    generated: dict[str, Any],
    methods: list[str],
    serving: Serving | None,
    guards: dict[str, Any],
) -> dict[str, Any]:
    """One operation: what the framework generated of its view, completed. `guards` as that function gives."""
    name = "_".join(part.strip("{}").replace(".", "_") for part in route.split("/") if part)
    summary = generated.get("summary", name)
    found: dict[str, Any] = {
        "operationId": f"{method}_{name}",
        "summary": summary,
        "tags": generated.get("tags", ["added"]),
    }
    if "requestBody" in generated:
        parts = generated["requestBody"]["content"]
        found["requestBody"] = {"required": True, "content": {name: {**part} for name, part in parts.items()}}
        content = found["requestBody"]["content"].get("application/json")
        if content and serving:
            content |= examples(content["schema"], serving)
    queries = [one for one in generated.get("parameters", []) if one["in"] != "path"]
    if queries:
        found["parameters"] = queries
    told = generated["responses"]
    slugs = [*EVERYWHERE, *(slug for response in told.values() for slug in response.get("x-problems", []))]
    if not IS_HEALTH(route):
        slugs.append("overloaded")
    slugs = [*dict.fromkeys([*slugs, *guards["problems"]])]
    if guards["security"]:
        found["security"] = guards["security"]
    found["responses"] = {}
    for status, response in told.items():
        if "x-problems" in response or status == "422":
            continue
        headers = header_refs("X-Request-ID") | response.get("headers", {})
        answered = {"description": summary, "headers": headers}
        if method != "head" and "content" in response:
            answered["content"] = {
                media_type: part | (example(part.get("schema", {}), serving) if serving else {})
                for media_type, part in response["content"].items()
            }
        found["responses"][status] = answered
    allow = sorted({one.upper() for one in methods} | ({"HEAD"} if "get" in methods else set()))
    prefix = next((one for one in (V1, V2) if f"{route}/".startswith(f"/{one[:2]}/")), "")
    for status in sorted({KINDS[slug].status for slug in slugs}):
        kinds = [slug for slug in slugs if KINDS[slug].status == status]
        if method == "head":
            refused = without_body(refusal(status, kinds, prefix))
        elif len(kinds) == 1 and kinds[0] in EVERYWHERE and status != 405:
            refused = {"$ref": f"#/components/responses/{prefix}{kinds[0]}"}
        else:
            refused = refusal(status, kinds, prefix)
        if status == 405:
            refused["headers"]["Allow"] = {"required": True, "schema": {"const": ", ".join(allow)}}
        found["responses"][str(status)] = refused
    return found


def refusal(status: int, slugs: list[str], prefix: str) -> dict[str, Any]:
    """What a client gets for these problems, all of this status."""
    return {
        "description": "\n".join(f"- `{slug}`: {KINDS[slug].meaning}" for slug in slugs),
        "headers": header_refs("X-Request-ID", *(["Retry-After"] if status in (429, 503) else [])),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": REF.format(name=SHAPES[prefix].__name__)},
                "examples": {slug: {"$ref": f"#/components/examples/{prefix}{slug}"} for slug in slugs},
            }
        },
    }


def without_body(response: dict[str, Any]) -> dict[str, Any]:
    """The same to a HEAD."""
    return {name: part for name, part in response.items() if name != "content"}


def problem(slug: str, prefix: str) -> dict[str, Any]:
    return msgspec.json.decode(render(Problem(slug, KINDS[slug].meaning), ID, f"/{prefix[:2]}"))


def parameter(name: str, serving: Serving | None, settings: Settings) -> dict[str, Any]:
    """A part of the path, with the values that there are for it; versions of a registry come and go."""
    values: dict[str, list[str]] = {"slug": [*KINDS], "file": [*FILES], "alias": ["champion", "challenger"]}
    if serving:
        values["name"] = [serving.name]
        values |= {} if settings.follows else {"version": [serving.version]}
    schema = {"type": "string"} | ({"enum": values[name]} if name in values else {})
    return {"name": name, "in": "path", "required": True, "schema": schema}


def header_refs(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
