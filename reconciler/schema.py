"""Models → one JSON Schema per kind and one for any document, chosen by ``kind``; what ``schemas/`` is made of."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from reconciler.spec import MODELS, kebab
from reconciler.spec.common import VAR_PATTERN

DRAFT = "http://json-schema.org/draft-07/schema#"
ABOUT = ("description", "default", "examples")
Schema = dict[str, Any]


def generate() -> dict[str, str]:
    """File name → deterministic text."""
    kinds = {kind: _document(kind) for kind in MODELS}
    files = {f"{kebab(kind)}.schema.json": _text({"$schema": DRAFT, **schema}) for kind, schema in kinds.items()}
    files["batchctl.schema.json"] = _text(_any(kinds))
    return files


def _text(schema: Schema) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _any(kinds: dict[str, Schema]) -> Schema:
    """One schema for all kinds: ``kind`` decides which one holds, so that a mistake is marked on its own line."""
    return {
        "$schema": DRAFT,
        "title": "batchctl document",
        "type": "object",
        "required": ["apiVersion", "kind", "name"],
        "properties": {
            "kind": {"enum": list(kinds), "description": "What this document declares."},
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": schema,
            }
            for kind, schema in kinds.items()
        ],
    }


def _document(kind: str) -> Schema:
    schema = MODELS[kind].model_json_schema(by_alias=True, mode="validation")
    definitions = schema.pop("$defs", {})
    found = _inlined(schema, definitions)
    found["title"] = kind
    return _ordered(_opened(found))


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """References replaced by what they mean: editors follow no reference out of a branch chosen by ``kind``."""
    if isinstance(node, list):
        return [_inlined(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = deepcopy(definitions[node["$ref"].rsplit("/", 1)[1]])
        target.update({name: value for name, value in node.items() if name != "$ref"})
        return _inlined(target, definitions)
    found = {name: _inlined(value, definitions) for name, value in node.items() if name not in _OTHERWISE}
    if "properties" in node:
        found["properties"] = {name: _inlined(value, definitions) for name, value in node["properties"].items()}
    if _plain(node.get("default")):
        found["default"] = node["default"]
    return _named(_never_null(found))


_OTHERWISE = ("title", "default", "properties")


def _never_null(schema: Schema) -> Schema:
    """Without the alternative null, which no document may write; of one that is left, the field's own words count."""
    if {"type": "null"} not in schema.get("anyOf", ()):
        return schema
    rest = [one for one in schema["anyOf"] if one != {"type": "null"}]
    outer = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**rest[0], **outer} if len(rest) == 1 else {"anyOf": rest, **outer}


def _named(schema: Schema) -> Schema:
    """A mapping whose keys have a pattern: editors complete values, and mark keys, of this form only."""
    patterns = schema.get("patternProperties", {})
    if len(patterns) != 1 or "properties" in schema:
        return schema
    ((pattern, value),) = patterns.items()
    rest = {key: one for key, one in schema.items() if key != "patternProperties"}
    return {**rest, "additionalProperties": value, "propertyNames": {"pattern": pattern}}


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _opened(node: Any, name: str = "") -> Any:
    """What the loader accepts besides the model's own form: short forms and ``${var:…}``."""
    if isinstance(node, list):
        return [_opened(one, name) for one in node]
    if not isinstance(node, dict):
        return node
    node.pop("supported_enum", None)
    listed, short, sql = node.pop("one_or_more", False), node.pop("short_form", None), node.pop("sql", False)
    out = {key: _opened(value, key) for key, value in node.items() if key != "properties"}
    if "properties" in node:
        out["properties"] = {key: _opened(value, key) for key, value in node["properties"].items()}
    if listed:
        return _either(out.get("items", {}), out)
    if short is not None:
        return _shortened(out, short)
    return out if sql else _with_variable(out, name)


def _shortened(schema: Schema, short: str) -> Schema:
    """An object that may be written as the value of one of its fields: here, among alternatives, or in every entry."""
    if "properties" in schema:
        return _either(schema["properties"][short], schema)
    if "anyOf" in schema:
        found = next(one for one in schema["anyOf"] if "properties" in one)
        return {**schema, "anyOf": [found["properties"][short], *schema["anyOf"]]}
    return {**schema, "additionalProperties": _shortened(schema["additionalProperties"], short)}


def _either(single: Schema, whole: Schema) -> Schema:
    """The short form or the whole; the description stands outside so that editors show it for both."""
    bare = [{key: value for key, value in one.items() if key not in ABOUT} for one in (single, whole)]
    return {"anyOf": bare, **{key: whole[key] for key in ABOUT if key in whole}}


def _with_variable(schema: Schema, name: str) -> Schema:
    """Texts with a form of their own may also be a variable."""
    shaped = schema.get("type") == "string" and ("pattern" in schema or "enum" in schema)
    if not shaped or name == "propertyNames" or "const" in schema:
        return schema
    inner = {key: value for key, value in schema.items() if key not in ABOUT}
    outer = {key: value for key, value in schema.items() if key in ABOUT}
    return {"anyOf": [inner, {"type": "string", "pattern": VAR_PATTERN}], **outer}


def _ordered(schema: Schema) -> Schema:
    """Head of the document first, then the rest as the model has it."""
    properties = schema["properties"]
    head = {name: properties[name] for name in ("apiVersion", "kind", "name") if name in properties}
    schema["properties"] = {**head, **properties}
    schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind", "name"})
    return schema
