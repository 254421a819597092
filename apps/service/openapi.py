"""The OpenAPI document of both servers: what each framework generates of its views, completed with what all
routes have in common, the table of problems, and the card of the model being served.

https://spec.openapis.org/oas/v3.1.1.html. Imported, and made, when somebody asks for it."""

import re
from math import isfinite
from typing import Any

import msgspec
from pydantic import BaseModel

from apps.service import inference
from apps.service.access.declared import Declared
from apps.service.access.security import guards, security_schemes
from apps.service.batching import Outcome
from apps.service.documents import FILES
from apps.service.model import Serving
from apps.service.predictions import answer_all, answer_one
from apps.service.problems import KINDS, MEDIA_TYPE, Problem, render
from apps.service.requests import IS_HEALTH, REQUEST_ID
from apps.service.settings import Settings
from model_training.card import Card, Feature, Target

PARAMETER = re.compile(r"\{(\w+)\}")
REF = "#/components/schemas/{name}"
V1, V2 = (
    "v1-",
    "v2-",
)  # before the names of what OpenAI's API and the Open Inference Protocol have of their own
ID = "5f0c6c1d9a7e4b0f8d2b3a4c5d6e7f80"
DESCRIPTION = """Every GET answers HEAD too. Every answer carries `X-Request-ID`: the request's own, where
that is of 1 to 64 letters, digits and `._-`, else a new one. Every error is a problem of
[RFC 9457](https://www.rfc-editor.org/rfc/rfc9457); all that there are stand at [/problems](/problems).
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
INTERNAL = {"HTTPValidationError", "ValidationError"}  # FastAPI's own, which nobody gets


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
) -> bytes:
    """A generated document with what all routes have in common: their methods, headers and problems; what
    the served model's card says, where there is one; and of each of the `routes`, who may use it. As JSON."""
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
        "schemas": schemas(generated["components"]["schemas"], settings, serving),
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
        parts["securitySchemes"] = security_schemes()
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
            "tags": [{"name": name} for name in tags],
            "paths": paths,
            "components": parts,
        }
    )


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


def examples(schema: dict[str, Any], serving: Serving) -> dict[str, Any]:
    """Examples of a body: the card's, one by one, or as many rows of a batch."""
    named = {preset.label: preset.features for preset in serving.card.presets}
    named = named or {f"row {number + 1}": row.features for number, row in enumerate(serving.card.golden[:3])}
    rows = [*named.values()]
    by_name = {"by name": {"value": {"features": dict(zip(serving.features, rows[0], strict=True))}}}
    question = {"role": "user", "content": "Say hello."}
    of_shape = {
        "PredictRequest": {label: {"value": {"features": row}} for label, row in named.items()} | by_name,
        "BatchRequest": {"rows": {"value": {"instances": rows}}},
        "JobRequest": {"rows": {"value": {"instances": rows}}},
        "InferRequest": {"rows": {"value": {"inputs": tensors_of(rows, serving)}}},
        "ChatRequest": {"a question": {"value": {"messages": [question], "max_tokens": 20}}},
        "CompletionRequest": {"a beginning": {"value": {"prompt": "Once upon a time", "max_tokens": 20}}},
        "FeedbackRequest": {"the truth": {"value": truth_of(serving)}},
        "RegisterRequest": {"what was trained last": {"value": {}}},
        "AliasRequest": {"a version": {"value": {"version": "2"}}},
        "ActivateRequest": {
            "a version": {"value": {"version": "2"}},
            "the alias": {"value": {"alias": "champion"}},
        },
        "RolloutRequest": {"a tenth": {"value": {"mode": "canary", "percent": 10}}},
        "KeyRequest": {"a job": {"value": {"label": "nightly batch", "scopes": ["predict"]}}},
    }
    found = of_shape.get(name_of(schema))
    return {"examples": found} if found else {}


def truth_of(serving: Serving) -> dict[str, Any]:
    """What may be told of a prediction."""
    told = {"label": serving.classes[0]} if serving.classes else {"value": 0.0}
    return {"request_id": ID, **told}


def tensors_of(rows: list[list[Any]], serving: Serving) -> list[dict[str, Any]]:
    """The rows as the Open Inference Protocol has them."""
    if not serving.has_categories:
        shape = [len(rows), len(rows[0])]
        return [{"name": "features", "shape": shape, "datatype": "FP64", "data": rows}]
    described = inference.description(serving).inputs
    return [
        {
            "name": one.name,
            "shape": [len(rows), 1],
            "datatype": one.datatype,
            "data": [row[place] for row in rows],
        }
        for place, one in enumerate(described)
    ]


def example(schema: dict[str, Any], serving: Serving) -> dict[str, Any]:
    """An example of an answer: of the card's golden rows, whose answers are known."""
    name = name_of(schema)
    if name not in ("PredictAnswer", "BatchAnswer"):
        return {}
    golden = serving.card.golden[: 1 if name == "PredictAnswer" else 2]
    raw = {label: label for label in serving.class_of}  # a card's 0.0 is the model's 0
    shares = None
    if serving.has_probabilities and all(row.probabilities for row in golden):
        shares = [row.probabilities for row in golden]
    predictions = [row.prediction for row in golden]
    if not serving.targets:
        predictions = [raw.get(prediction, prediction) for prediction in predictions]
    outcome = Outcome(predictions, shares)
    answer = answer_one if name == "PredictAnswer" else answer_all
    return {"example": answer(outcome, serving, ID).model_dump(exclude_none=True, warnings=False)}


def name_of(schema: dict[str, Any]) -> str:
    return schema.get("$ref", "").rpartition("/")[2]


def schemas(generated: dict[str, Any], settings: Settings, serving: Serving | None) -> dict[str, Any]:
    """Every type that an operation takes or gives, narrowed to what the served model takes and gives."""
    found = {name: alike(schema) for name, schema in generated.items() if name not in INTERNAL}
    for prefix, shape in SHAPES.items():
        if prefix != V1 or settings.generates:
            schema = shape.model_json_schema(ref_template=REF.format(name="{model}"))
            found |= schema.pop("$defs", {}) | {shape.__name__: schema}
    own = ("ExplainAnswer",) if settings.explains else ()
    for shape in ("PredictAnswer", "BatchAnswer", *own):  # what is not there is left out, never null
        for name, part in parts_of(serving).items():
            one = {"title": name.capitalize()} | part
            many = {"title": name.capitalize(), "type": "array", "items": part}
            found[shape]["properties"][name] = many if shape == "BatchAnswer" else one
        found[shape]["properties"]["prediction"]["items"] = label_of(serving)
    found["Row"] = row_of(serving)
    found["PredictRequest"]["properties"]["features"] = {"$ref": REF.format(name="Row")}
    many = {"type": "array", "minItems": 1, "maxItems": settings.max_batch_rows}
    found["BatchRequest"]["properties"]["instances"] = many | {"items": {"$ref": REF.format(name="Row")}}
    if settings.jobs == "on":
        most = {"maxItems": settings.jobs_max_rows, "items": {"$ref": REF.format(name="Row")}}
        found["JobRequest"] = found["BatchRequest"] | {
            "title": "JobRequest",
            "properties": {"instances": many | most},
        }
    count = len(serving.features) if serving and serving.has_categories else 1
    found["InferRequest"]["properties"]["inputs"] |= {"minItems": count, "maxItems": count}
    found["InputTensor"]["properties"] |= tensor_of(serving)
    return dict(sorted(found.items()))


def alike(schema: Any) -> Any:
    """A schema as both generators could have written it: without defaults that are null, members sorted, and
    whole numbers as such."""
    if isinstance(schema, list):
        return [alike(part) for part in schema]
    if isinstance(schema, dict):
        kept = sorted(name for name in schema if not (name == "default" and schema[name] is None))
        found = {name: alike(schema[name]) for name in kept}
        if isinstance(schema.get("properties"), dict):
            found["properties"] = {name: found["properties"][name] for name in schema["properties"]}
        return found
    return int(schema) if isinstance(schema, float) and schema.is_integer() else schema


def label_of(serving: Serving | None) -> dict[str, Any]:
    """What the model answers for a row."""
    if serving is None:
        return {}
    if serving.targets:
        parts = [labels_of(target) for target in serving.targets]
        return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}
    return labels_of(serving.card)


def labels_of(target: Card | Target) -> dict[str, Any]:
    return {"enum": whole(target.raw_labels)} if target.classes else {"type": "number"}


def whole(labels: list) -> list:
    """A card's 2.0 is the model's 2, or its 2.0."""
    return [int(one) if isinstance(one, float) and one.is_integer() else one for one in labels]


def parts_of(serving: Serving | None) -> dict[str, Any]:
    """What goes with a prediction."""
    label, probabilities = {"type": "string"}, {"type": "object", "additionalProperties": {"type": "number"}}
    if serving and serving.targets:
        label, probabilities = by_target(serving, label), by_target(serving, probabilities)
    return {"label": label, "probabilities": probabilities}


def by_target(serving: Serving, part: dict[str, Any]) -> dict[str, Any]:
    names = [target.name for target in serving.targets]
    return {"type": "object", "properties": dict.fromkeys(names, part), "required": names}


def row_of(serving: Serving | None) -> dict[str, Any]:
    """What each feature of the card may be: in its order, or by name."""
    if serving is None:
        return {"anyOf": [{"type": "array"}, {"type": "object"}]}
    items = [
        feature_of(feature, low, high)
        for feature, low, high in zip(serving.card.features, serving.minimum, serving.maximum, strict=True)
    ]
    named = dict(zip(serving.features, items, strict=True))
    return {
        "anyOf": [
            {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)},
            {"type": "object", "properties": named, "required": [*named], "additionalProperties": False},
        ]
    }


def feature_of(feature: Feature, low: float, high: float) -> dict[str, Any]:
    """A number within its range, or a category; or null, where it may be missing."""
    title = {"title": f"{feature.name} ({feature.unit})" if feature.unit else feature.name}
    missing = feature.may_be_missing
    if feature.categories:
        return title | {
            "enum": [*feature.categories, *whole(feature.labels or []), *([None] if missing else [])]
        }
    bounds = {name: n for name, n in (("minimum", low), ("maximum", high)) if isfinite(n)}
    return {"type": ["number", "null"] if missing else "number"} | title | bounds


def tensor_of(serving: Serving | None) -> dict[str, Any]:
    """What a tensor of rows may be called, what it is of, and its shape: how many rows, how many features."""
    rows = {"type": "integer", "minimum": 1}
    if serving and serving.has_categories:
        types = sorted({*inference.INPUT_TYPES, inference.TEXT, inference.TRUTH})
        shape = {"type": "array", "prefixItems": [rows, {"const": 1}], "minItems": 1, "maxItems": 2}
        return {"name": {"enum": serving.features}, "shape": shape, "datatype": {"enum": types}}
    number = {"type": "number" if serving is None or serving.is_plain else ["number", "null"]}
    many = {"type": "array", "items": {"anyOf": [number, {"type": "array", "items": number}]}}
    columns = {"const": len(serving.features)} if serving else {"type": "integer", "minimum": 1}
    shape = {"type": "array", "prefixItems": [rows, columns], "minItems": 2, "maxItems": 2}
    return {
        "name": {"const": "features"},
        "shape": shape,
        "datatype": {"enum": sorted(inference.INPUT_TYPES)},
        "data": {"title": "Data"} | many,
    }


def header_refs(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
