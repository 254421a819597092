"""The types in the OpenAPI document, narrowed to what the served model takes and gives, and examples of them:
both of the model's card."""

from math import isfinite
from typing import Any

from apps.service import inference
from apps.service.batching import Outcome
from apps.service.model import Serving
from apps.service.predictions import answer_all, answer_one
from apps.service.settings import Settings
from model_training.card import Card, Feature, Target

REF = "#/components/schemas/{name}"
ID = "5f0c6c1d9a7e4b0f8d2b3a4c5d6e7f80"  # a request's, in examples
INTERNAL = {"HTTPValidationError", "ValidationError"}  # FastAPI's own, which nobody gets


def schemas(generated: dict[str, Any], settings: Settings, serving: Serving | None) -> dict[str, Any]:
    """Every type that an operation takes or gives, narrowed to what the served model takes and gives."""
    found = {name: alike(schema) for name, schema in generated.items() if name not in INTERNAL}
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
