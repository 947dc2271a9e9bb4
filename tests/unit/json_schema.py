"""Holds values against the JSON Schema that our API's description uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
#: Every keyword that `problems` understands, or that says nothing about values.
KEYWORDS = {"$ref", "type", "enum", "oneOf", "format", "default", "description"} | {
    *("required", "properties", "additionalProperties", "items", "maxItems"),
    *("minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum"),
}


def problems(value: Any, schema: Mapping[str, Any], shapes: Mapping[str, Any], at: str = "$") -> list[str]:
    """What is wrong with the value, each with where."""
    assert schema.keys() <= KEYWORDS, schema
    if "$ref" in schema:
        return problems(value, shapes[schema["$ref"].removeprefix("#/components/schemas/")], shapes, at)
    found = [f"{at}: {value!r} is not {wanted}" for wanted in _broken(value, schema, shapes)]
    if isinstance(value, dict):
        found += _of_object(value, schema, shapes, at)
    if isinstance(value, list):
        for place, item in enumerate(value):
            found += problems(item, schema.get("items", {}), shapes, f"{at}[{place}]")
    return found


def _broken(value: Any, schema: Mapping[str, Any], shapes: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type", list(TYPES))
    checks = {
        f"of type {kinds}": any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)),
        f"one of {schema.get('enum')}": "enum" not in schema or value in schema["enum"],
        "exactly one of the choices": "oneOf" not in schema
        or sum(not problems(value, one, shapes) for one in schema["oneOf"]) == 1,
        f"a {schema.get('format')}": not isinstance(value, str) or _has_format(value, schema.get("format")),
    }
    if isinstance(value, str | list):
        least, most = schema.get("minLength", 0), schema.get("maxLength", schema.get("maxItems", len(value)))
        checks[f"between {least} and {most} long"] = least <= len(value) <= most
    if isinstance(value, int | float):
        low, high, above = schema.get("minimum", value), schema.get("maximum", value), schema.get("exclusiveMinimum")
        checks[f"between {low} and {high}, above {above}"] = low <= value <= high and (above is None or value > above)
    return [wanted for wanted, holds in checks.items() if not holds]


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _has_format(value: str, wanted: str | None) -> bool:
    try:
        if wanted == "date-time":
            return datetime.fromisoformat(value).tzinfo is not None
        if wanted == "uuid":
            return str(UUID(value)) == value
    except ValueError:
        return False
    return wanted != "uri" or "://" in value


def _of_object(value: dict[str, Any], schema: Mapping[str, Any], shapes: Mapping[str, Any], at: str) -> list[str]:
    found = [f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value]
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name, inner in value.items():
        if name not in known and others is False:
            found.append(f"{at}: {name} is not described")
        else:
            found += problems(inner, known.get(name, others), shapes, f"{at}.{name}")
    return found
