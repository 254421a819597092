"""What the routes of a Flask app are, and their OpenAPI document, of what typed views say of themselves."""

import inspect
import re
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from apps.frameworks.flask_views import Signature

CONVERTER = re.compile(r"<(?:(\w+)(?:\([^)]*\))?:)?(\w+)>")  # in a rule of Werkzeug's
REF = "#/components/schemas/{model}"


def template_of(rule: str) -> str:
    """A rule of Werkzeug's as OpenAPI writes it: `<path:file>` becomes `{file:path}`, `<name>` `{name}`."""
    return CONVERTER.sub(lambda m: f"{{{m[2]}{':' + m[1] if m[1] else ''}}}", rule)


def listed(app: Flask) -> list[tuple[str, set[str], Any]]:
    """Every route's template, methods and view."""
    views = app.view_functions
    return [
        (template_of(rule.rule), rule.methods, views.get(rule.endpoint)) for rule in app.url_map.iter_rules()
    ]


def describe(app: Flask) -> dict:
    """The app's OpenAPI document, of what the typed views say of themselves, as FastAPI generates one."""
    paths: dict[str, dict] = {}
    models: set[type[BaseModel]] = set()
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if getattr(view, "websocket", False):
            continue  # as in FastAPI's document
        signature = getattr(view, "signature", None) or Signature(inspect.getdoc(view) or rule.endpoint)
        models |= {model for model in (signature.body, signature.gives) if model}
        template = re.sub(r":\w+}", "}", template_of(rule.rule))
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            paths.setdefault(template, {})[method.lower()] = operation(rule, signature)
    _, found = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=REF,
    )
    return {"openapi": "3.1.0", "paths": paths, "components": {"schemas": found.get("$defs", {})}}


def operation(rule, signature: Signature) -> dict:
    """One operation. What all have in common is added when the document is completed."""
    answered: dict[str, Any] = {"description": "Successful Response"}
    if signature.gives:
        answered["content"] = {"application/json": {"schema": ref(signature.gives)}}
    found: dict[str, Any] = {"summary": signature.summary, "responses": {str(signature.status): answered}}
    if "." in rule.endpoint:
        found["tags"] = [rule.endpoint.partition(".")[0]]
    if signature.body:
        content = {"application/json": {"schema": ref(signature.body)}}
        found["requestBody"] = {"required": True, "content": content}
    for status, told in signature.responses.items():
        own = found["responses"].setdefault(str(status), {})
        content = {**own.get("content", {}), **told.get("content", {})}
        own |= {**told, "content": content} if content else told
    if rule.arguments:
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in sorted(rule.arguments)
        ]
    return found | signature.extra


def ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}
