"""JSON Schema in words, for the book's tables."""

NAMES = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
NAMES |= {"object": "an object", "array": "a list", "null": "nothing"}


def kind(schema: dict) -> str:
    """What a value may be: "a whole number from 1", "`auto` or `onnx`", "a list of numbers"."""
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return either([f"`{value}`" for value in schema["enum"]])
    if "anyOf" in schema:
        return either([kind(one) for one in schema["anyOf"] if one.get("type") != "null"])
    if schema.get("type") == "array":
        return row(schema)
    if isinstance(schema.get("additionalProperties"), dict):
        return f"an object of names, each with {kind(schema['additionalProperties'])}"
    name = "a path" if schema.get("format") == "path" else NAMES.get(schema.get("type"), "anything")
    return name + bounds(schema)


def row(schema: dict) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if "prefixItems" in schema:
        parts = ", ".join(one.get("title") or kind(one) for one in schema["prefixItems"])
        return f"a list of {len(schema['prefixItems'])}: {parts}"
    many = f" (from {least} to {most:,} of them)" if least and most else ""
    return f"a list, each {kind(schema.get('items', {}))}{many}"


def either(options: list[str]) -> str:
    if len(options) > 8:
        return f"one of {len(options)}: {', '.join(options[:3])}, …"
    return " or ".join([", ".join(options[:-1]), options[-1]]) if len(options) > 1 else options[0]


def bounds(schema: dict) -> str:
    parts = [
        f"{word} {schema[name]}"
        for name, word in (
            ("exclusiveMinimum", "above"),
            ("minimum", "from"),
            ("maximum", "to"),
        )
        if name in schema
    ]
    return " " + " ".join(parts) if parts else ""


def tables(found: dict[str, dict]) -> str:
    """A section for each type: what it is, its members, and which of them may be left out."""
    parts = []
    for name, schema in found.items():
        parts.append(f"### `{name}`\n")
        if "description" in schema:
            parts.append(" ".join(schema["description"].split()) + "\n")
        if not schema.get("properties"):
            parts.append(f"{kind(schema).capitalize()}.\n")
            continue
        needed = schema.get("required", [])
        lines = ["| member | what it is | needed |", "|---|---|---|"]
        for member, one in schema["properties"].items():
            told = f"{one['description']}; {kind(one)}" if "description" in one else kind(one)
            lines.append(
                f"| `{member}` | {told} | {'always there' if member in needed else 'may be left out'} |"
            )
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)
