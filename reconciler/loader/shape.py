"""What the models have at a path: the keys that may be written there, and an example of a value as YAML."""

from __future__ import annotations

import json
import re
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from reconciler.loader.tree import Path

_PLAIN = re.compile(
    r"[A-Za-z_$./][\w$./*{}:-]*(?: [\w()./-]+)*|[0-9]{4}-[0-9]{2}-[0-9]{2}|[1-9][0-9]*[smhdw]", re.ASCII
)


def keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """Keys that documents may write at a path below the model; empty where any key goes."""
    found = _model_in(_at(model, path))
    return [info.alias or name for name, info in found.model_fields.items()] if found else []


def example_at(model: type[BaseModel], path: Path) -> str:
    """``custom_id: customer_id``: the field at the path with its first example; empty when there is none."""
    name = str(path[-1]) if path else ""
    found = _model_in(_at(model, path[:-1]))
    info = _fields(found).get(name) if found is not None else None
    if info is None or not info.examples:
        return ""
    return f"{name}: {flow(info.examples[0])}"


def flow(value: object) -> str:
    """A value as YAML on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str():
            return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
        case _:
            return json.dumps(value)


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {info.alias or name: info for name, info in model.model_fields.items()}


def _at(model: type[BaseModel], path: Path) -> object:
    here: object = model
    for step in path:
        here = _step(here, step)
    return here


def _step(here: object, step: str | int) -> object:
    found = _model_in(here)
    if found is not None:
        info = _fields(found).get(str(step))
        return info.annotation if info is not None else None
    for part in _parts(here):
        if get_origin(part) is dict:
            return get_args(part)[1]
        if get_origin(part) is tuple:
            return get_args(part)[0]
    return None


def _parts(annotation: object) -> list[object]:
    """The members of a union or annotated type, flat."""
    if get_origin(annotation) in (dict, tuple):
        return [annotation]
    inner = get_args(annotation)
    if not inner:
        return [annotation]
    if hasattr(annotation, "__metadata__"):
        return _parts(inner[0])
    return [part for member in inner for part in _parts(member)]


def _model_in(annotation: object) -> type[BaseModel] | None:
    return next((part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)), None)
