"""What the models refuse, in plain words, at the path of the very key or value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError

from reconciler.loader.tree import KEY, Path

TYPES = {
    "string_type": ("a text", 'write it in quotes: "…"'),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "int_type": ("a whole number", "write a whole number, without quotes"),
    "int_from_float": ("a whole number", "write a whole number"),
    "float_type": ("a number", "write a number, without quotes"),
    "date_type": ("a date", "write it as 2026-12-01"),
    "dict_type": ("a mapping of key: value", "write its keys below it, indented, or in braces: {key: value}"),
    "model_type": ("a mapping of key: value", "write its keys below it, indented, or in braces: {key: value}"),
    "tuple_type": ("a list", "write it in brackets: [a, b]"),
}
_NAMES = {bool: "a boolean", int: "a number", float: "a number", str: "a text", dict: "a mapping", list: "a list"}
_PATTERNS = {
    "name": ("not a name", "write lower-case letters, digits and dashes, at most 63, e.g. lapsed-buyers"),
    "at": ("not a time of day", 'write it as "06:00"'),
    "moved_from": ("not the address of a link", "write segment-link/<old name>"),
    "api_version": ("not a version", 'write it as "2.11"'),
    "timezone": ("not a time zone", "write an IANA name, e.g. Europe/Paris"),
    "audience_prefix": ("not a prefix of audience names", "use letters, digits, _ and -"),
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One mistake found by a model."""

    path: Path
    rule: str
    what: str
    fix: str = ""
    why: str = ""


def translate(model: type[BaseModel], error: ValidationError, *, silent: bool) -> Iterator[Wrong]:
    """Every mistake once. `silent`: no value of the document is repeated."""
    found = error.errors(include_url=False)
    places = {tuple(item["loc"]) for item in found if item["type"] not in ("too_short", "faults")}
    for item in found:
        path: Path = tuple(item["loc"])
        if item["type"] == "too_short" and any(place[: len(path)] == path and place != path for place in places):
            continue  # the list is only short because its items were refused
        if item["type"] == "faults":
            for at, rule, what, fix, why in item["ctx"]["faults"]:
                yield Wrong((*path, *at), rule, what, fix, why)
        else:
            yield _one(
                model, path, str(item["type"]), item.get("ctx") or {}, None if silent else item["input"], silent=silent
            )


def _one(
    model: type[BaseModel], path: Path, kind: str, ctx: Mapping[str, object], given: object, *, silent: bool
) -> Wrong:
    name = str(next((step for step in reversed(path) if isinstance(step, str) and step != KEY), ""))
    if kind == "missing":
        return Wrong(path[:-1], "missing-key", f"the key {name} is missing", _example(model, path))
    if kind == "extra_forbidden":
        known = keys_at(model, path[:-1])
        return Wrong((*path, KEY), "unknown-key", f"unknown key {_short(name)}", near(name, known))
    if kind in TYPES:
        wanted, fix = TYPES[kind]
        what = f"{name} must be {wanted}" + ("" if silent else f", this is {_kind_of(given)}")
        return Wrong(path, "wrong-type", what, _quoted(kind, given) or fix)
    if kind == "literal_error":
        allowed = [word.strip("'") for word in str(ctx.get("expected", "")).replace(" or ", ", ").split(", ")]
        return Wrong(path, "unknown-value", _not_a(name, given, silent=silent), near(str(given), allowed))
    if kind == "string_pattern_mismatch":
        what, fix = _pattern(path, name)
        return Wrong(path, "wrong-form", f"{name if path[-1] != KEY else _short(name)} is {what}", fix)
    return Wrong(path, "wrong-size", f"{name} is {_size(kind)}", _size_fix(kind, ctx))


def near(word: str, known: Sequence[str]) -> str:
    """``did you mean where?`` or the whole choice."""
    close = get_close_matches(word, known, n=1, cutoff=0.6) or get_close_matches(
        word.lower().replace("_", "").replace("-", ""), known, n=1, cutoff=0.6
    )
    choice = ", ".join(known)
    return f"did you mean {close[0]}?" if close else (f"use one of {choice}" if choice else "remove it")


def keys_at(model: type[BaseModel], path: Path) -> list[str]:
    """Keys that documents may write at a path below the model; empty where any key goes."""
    here: object = model
    for step in path:
        here = _step(here, step)
    found = _model_in(here)
    return [info.alias or name for name, info in found.model_fields.items()] if found else []


def _step(here: object, step: str | int) -> object:
    found = _model_in(here)
    if found is not None:
        fields = {info.alias or name: info.annotation for name, info in found.model_fields.items()}
        return fields.get(str(step))
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


def _example(model: type[BaseModel], path: Path) -> str:
    here: object = model
    for step in path[:-1]:
        here = _step(here, step)
    found, name = _model_in(here), str(path[-1])
    if found is None:
        return f"add {name}: …"
    info = next((info for key, info in found.model_fields.items() if (info.alias or key) == name), None)
    example = info.examples[0] if info is not None and info.examples else None
    if name == "apiVersion":
        return "add apiVersion: batchctl/v1"
    return f"add {name}: {example}" if isinstance(example, str | int) else f"add {name}: …"


def _quoted(kind: str, given: object) -> str:
    """The very text to write, where only quotes are missing or too many."""
    if kind == "string_type" and isinstance(given, bool):
        return f'write "{str(given).lower()}" in quotes'
    if kind == "string_type" and given is not None and not isinstance(given, dict | list):
        return f'write "{given}" in quotes'
    unquote: dict[str, Callable[[str], object]] = {"int_type": int, "float_type": float}
    if isinstance(given, str) and kind in unquote:
        try:
            unquote[kind](given)
        except ValueError:
            return ""
        return f"write {_short(given)} without quotes"
    if isinstance(given, str) and kind == "bool_type" and given in ("true", "false"):
        return f"write {given} without quotes"
    return ""


def _kind_of(given: object) -> str:
    return _NAMES.get(type(given), "a date" if hasattr(given, "isoformat") else "something else")


def _not_a(name: str, given: object, *, silent: bool) -> str:
    return f"{name} has an unknown value" if silent else f"{name} cannot be {_short(str(given))}"


def _pattern(path: Path, name: str) -> tuple[str, str]:
    if path[0] == "attributes":
        return (
            "not an attribute name",
            "use lower-case letters, digits and _, at most 30, or a native name such as $language",
        )
    if path[:2] == ("audience", "name"):
        return "not an audience name", "use letters, digits, _ and -, at most 255"
    if path[-1] == KEY:
        return "not a name that can be used here", "use letters, digits, _ and -"
    reference = ("not the name of an object", "write lower-case letters, digits and dashes, e.g. lapsed-buyers")
    return _PATTERNS.get(name, reference)


_SIZES = {
    "greater_than_equal": ("too small", "write {ge} or more"),
    "greater_than": ("too small", "write more than {gt}"),
    "less_than_equal": ("too large", "write {le} or less"),
    "string_too_short": ("empty", "write a text"),
    "string_too_long": ("too long", "write at most {max_length} characters"),
    "too_short": ("empty", "write at least {min_length}"),
    "too_long": ("too long", "write at most {max_length}"),
    "finite_number": ("not a number that can be used", "write a plain number"),
}


def _size(kind: str) -> str:
    return _SIZES.get(kind, ("not accepted", ""))[0]


def _size_fix(kind: str, ctx: Mapping[str, object]) -> str:
    return _SIZES.get(kind, ("", "see the description of the field in its schema"))[1].format(**ctx)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
