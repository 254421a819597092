"""The OpenAPI document of both servers: every route of the table, in the words of the structs that read and
write its bodies, of the table of problems, and of the card of the model being served.

https://spec.openapis.org/oas/v3.1.1.html. Imported, and made, when somebody asks for it."""

from math import isfinite
from typing import Any

import msgspec

from apps.service import contract, docs, open_inference
from apps.service.exchange import ALWAYS_ADMITTED, REQUEST_ID
from apps.service.model import Serving
from apps.service.operations import EVERYWHERE, OPERATIONS, TAGS, InferenceProblem, ProblemDetails
from apps.service.problems import KINDS, MEDIA_TYPE, Problem, render
from apps.service.routes import ROUTES, allow
from apps.service.settings import Settings
from model_training.card import Card

REF = "#/components/schemas/{name}"
V2 = "v2-"  # before the names of what the Open Inference Protocol has of its own
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


def document(app: str, version: str, settings: Settings, serving: Serving | None) -> dict[str, Any]:
    """The document, in the words of the served model's card where there is one."""
    paths: dict[str, dict] = {}
    for route, methods in ROUTES.items():
        paths[route] = {method.lower(): describe(route, method, serving) for method in methods}
        names = [part[1:-1] for part in route.split("/") if part[:1] == "{"]
        if names:
            paths[route] = {"parameters": [parameter(name, serving) for name in names], **paths[route]}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Servelab",
            "version": version,
            "summary": f"Answered by {app}",
            "description": DESCRIPTION,
        },
        "tags": [{"name": name} for name in TAGS.values()],
        "paths": paths,
        "components": {
            "schemas": schemas(settings, serving),
            "headers": HEADERS,
            "responses": {
                f"{prefix}{slug}": refusal(KINDS[slug].status, [slug], prefix)
                for prefix in ("", V2)
                for slug in EVERYWHERE
            },
            "examples": {
                f"{prefix}{slug}": {"value": problem(slug, prefix)} for prefix in ("", V2) for slug in KINDS
            },
        },
    }


def describe(route: str, method: str, serving: Serving | None) -> dict[str, Any]:
    """One operation: a route and a method of it."""
    operation = OPERATIONS[route]
    name = "_".join(part.strip("{}").replace(".", "_") for part in route.split("/") if part)
    found: dict[str, Any] = {
        "operationId": f"{method.lower()}_{name}",
        "summary": operation.summary,
        "tags": [next(tag for prefix, tag in TAGS.items() if route.startswith(prefix))],
    }
    if operation.takes:
        content = {"schema": ref(operation.takes)}
        if serving:
            content["examples"] = requests(operation.takes, serving)
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    answered = {
        "description": operation.summary,
        "headers": header_refs("X-Request-ID"),
        "content": content_of(operation.gives, serving),
    }
    found["responses"] = {"200": without_body(answered) if method == "HEAD" else answered}
    slugs = [*EVERYWHERE, *operation.problems.split()]
    if route not in ALWAYS_ADMITTED:
        slugs.append("overloaded")
    prefix = V2 if route.startswith("/v2") else ""
    for status in sorted({KINDS[slug].status for slug in slugs}):
        kinds = [slug for slug in slugs if KINDS[slug].status == status]
        if method == "HEAD":
            told = without_body(refusal(status, kinds, prefix))
        elif len(kinds) == 1 and kinds[0] in EVERYWHERE and status != 405:
            told = {"$ref": f"#/components/responses/{prefix}{kinds[0]}"}
        else:
            told = refusal(status, kinds, prefix)
        if status == 405:
            told["headers"]["Allow"] = {"required": True, "schema": {"const": allow(route)}}
        found["responses"][str(status)] = told
    return found


def refusal(status: int, slugs: list[str], prefix: str) -> dict[str, Any]:
    """What a client gets for these problems, all of this status."""
    return {
        "description": "\n".join(f"- `{slug}`: {KINDS[slug].meaning}" for slug in slugs),
        "headers": header_refs("X-Request-ID", *(["Retry-After"] if status == 503 else [])),
        "content": {
            MEDIA_TYPE: {
                "schema": ref(InferenceProblem if prefix else ProblemDetails),
                "examples": {slug: {"$ref": f"#/components/examples/{prefix}{slug}"} for slug in slugs},
            }
        },
    }


def without_body(response: dict[str, Any]) -> dict[str, Any]:
    """The same to a HEAD."""
    return {name: part for name, part in response.items() if name != "content"}


def problem(slug: str, prefix: str) -> dict[str, Any]:
    return msgspec.json.decode(render(Problem(slug, KINDS[slug].meaning), ID, v2=bool(prefix)))


def parameter(name: str, serving: Serving | None) -> dict[str, Any]:
    """A part of the path, with the values that there are for it."""
    values = {"slug": [*KINDS], "file": [*docs.FILES]}
    if serving:
        values |= {"name": [serving.name], "version": [serving.version]}
    schema = {"type": "string"} | ({"enum": values[name]} if name in values else {})
    return {"name": name, "in": "path", "required": True, "schema": schema}


def content_of(gives: type | str, serving: Serving | None) -> dict[str, Any]:
    if gives == "*/*":
        return {media_type: {"schema": {}} for media_type in sorted(set(docs.FILES.values()))}
    if isinstance(gives, str):
        return {gives: {"schema": {"type": "string"}}}
    found = {"schema": {"type": "object"} if gives is dict else ref(gives)}
    if serving and gives in (contract.PredictAnswer, contract.BatchAnswer):
        found["example"] = answer(gives, serving)
    return {"application/json": found}


def requests(takes: type, serving: Serving) -> dict[str, Any]:
    """Examples of a body: the card's, one by one, or as many rows of a batch."""
    named = {preset.label: preset.features for preset in serving.card.presets}
    named = named or {f"row {number + 1}": row.features for number, row in enumerate(serving.card.golden[:3])}
    if takes is contract.PredictRequest:
        return {label: {"value": {"features": row}} for label, row in named.items()}
    rows = [*named.values()]
    if takes is contract.BatchRequest:
        return {"rows": {"value": {"instances": rows}}}
    tensor = {"name": "features", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": rows}
    return {"rows": {"value": {"inputs": [tensor]}}}


def answer(gives: type, serving: Serving) -> Any:
    """An example of an answer: of the card's golden rows, whose answers are known."""
    golden = serving.card.golden[:1] if gives is contract.PredictAnswer else serving.card.golden[:2]
    labels = [serving.class_of[row.prediction] for row in golden] if serving.classes else None
    raw = {label: label for label in serving.class_of}  # a card's 0.0 is the model's 0
    shares = None
    if serving.has_probabilities:
        shares = [dict(zip(serving.classes, row.probabilities, strict=True)) for row in golden]
    one = gives is contract.PredictAnswer
    return msgspec.to_builtins(
        gives(
            prediction=[raw.get(row.prediction, row.prediction) for row in golden],
            label=labels[0] if one and labels else labels,
            probabilities=shares[0] if one and shares else shares,
            model=serving.identity,
            request_id=ID,
        )
    )


def schemas(settings: Settings, serving: Serving | None) -> dict[str, Any]:
    """Every type that an operation takes or gives, narrowed to what the served model takes and gives."""
    types = {t for o in OPERATIONS.values() for t in (o.takes, o.gives) if isinstance(t, type)} - {dict, Card}
    ordered = sorted([*types, ProblemDetails, InferenceProblem], key=lambda found: found.__name__)
    _, found = msgspec.json.schema_components(ordered, ref_template=REF)
    card = Card.model_json_schema(ref_template="#/components/schemas/{model}")
    found |= card.pop("$defs") | {"Card": card}

    for shape in (contract.PredictAnswer, contract.BatchAnswer):  # what is not there is left out, never null
        for name in ("label", "probabilities"):
            found[shape.__name__]["properties"][name] = found[shape.__name__]["properties"][name]["anyOf"][0]
        found[shape.__name__]["properties"]["prediction"]["items"] = label_of(serving)
    found["Row"] = row_of(serving)
    found["PredictRequest"]["properties"]["features"] = {"$ref": REF.format(name="Row")}
    many = {"type": "array", "minItems": 1, "maxItems": settings.max_batch_rows}
    found["BatchRequest"]["properties"]["instances"] = many | {"items": {"$ref": REF.format(name="Row")}}
    found["InferRequest"]["properties"]["inputs"] |= {"minItems": 1, "maxItems": 1}
    found["InputTensor"]["properties"] |= {
        "name": {"const": "features"},
        "shape": shape_of(serving),
        "datatype": {"enum": sorted(open_inference.INPUT_TYPES)},
    }
    return found


def label_of(serving: Serving | None) -> dict[str, Any]:
    """What the model answers for a row."""
    if serving is None:
        return {}
    return {"enum": [*serving.class_of]} if serving.classes else {"type": "number"}


def row_of(serving: Serving | None) -> dict[str, Any]:
    """A number for each feature of the card, in its order and within its range."""
    if serving is None:
        return {"type": "array", "items": {"type": "number"}}
    items = []
    for feature, low, high in zip(serving.card.features, serving.minimum, serving.maximum, strict=True):
        title = f"{feature.name} ({feature.unit})" if feature.unit else feature.name
        bounds = {name: n for name, n in (("minimum", low), ("maximum", high)) if isfinite(n)}
        items.append({"type": "number", "title": title} | bounds)
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def shape_of(serving: Serving | None) -> dict[str, Any]:
    """The shape of a tensor of rows: how many rows, how many features."""
    columns = {"const": len(serving.features)} if serving else {"type": "integer", "minimum": 1}
    items = [{"type": "integer", "minimum": 1}, columns]
    return {"type": "array", "prefixItems": items, "minItems": 2, "maxItems": 2}


def ref(shape: type) -> dict[str, str]:
    return {"$ref": REF.format(name=shape.__name__)}


def header_refs(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
