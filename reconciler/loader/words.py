"""What the models refuse, in plain words, at the path of the very key or value."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError

from reconciler.loader.excerpt import may_be_a_key
from reconciler.loader.shape import example_at, flow, keys_at
from reconciler.loader.tree import KEY, Path
from reconciler.loader.variables import in_encryption

_WANTED = {
    "string_type": ("a text", "write it in quotes"),
    "bool_type": ("true or false", "write true or false, without quotes"),
    "int_type": ("a whole number", "write digits, without quotes"),
    "int_from_float": ("a whole number", "write digits"),
    "float_type": ("a number", "write a number, without quotes"),
    "date_type": ("a date", "write it as 2026-12-01"),
    "dict_type": ("a mapping of key: value", "write its keys below it, indented, or in braces"),
    "model_type": ("a mapping of key: value", "write its keys below it, indented, or in braces"),
    "tuple_type": ("a list", "write it in brackets"),
}
_NAMES = {
    bool: "a boolean",
    int: "a number",
    float: "a decimal number",
    str: "a text",
    dict: "a mapping",
    list: "a list",
}
_FORMS = {
    "at": ("a time of day", 'write it as "06:00"'),
    "moved_from": ("the address of a link", "write segment-link/<old name>"),
    "api_version": ("a version", 'write it as "2.11"'),
    "timezone": ("a time zone", "write an IANA name, e.g. Europe/Paris"),
    "audience_prefix": ("a prefix of audience names", "use letters, digits, _ and -"),
}
_SYNONYMS = {
    **dict.fromkeys(("text", "varchar", "str", "uuid"), "string"),
    **dict.fromkeys(("number", "double", "decimal", "numeric"), "float"),
    **dict.fromkeys(("datetime", "timestamptz", "time"), "timestamp"),
    **dict.fromkeys(("list", "array", "list<str>", "string[]"), "list<string>"),
    **dict.fromkeys(("bigint", "long"), "integer"),
}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One mistake found by a model."""

    path: Path
    rule: str
    what: str
    fix: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Item:
    """One error of pydantic; `given` is None where no value may be repeated."""

    model: type[BaseModel]
    path: Path
    kind: str
    ctx: Mapping[str, object]
    given: object
    silent: bool

    @property
    def name(self) -> str:
        """``audience.name``: the dotted path of the field."""
        steps = [step for step in self.path if step != KEY]
        if self.silent:
            steps = ["…" if isinstance(step, str) and may_be_a_key(step) else step for step in steps]
        return "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")

    @property
    def last(self) -> str:
        """The last key of the path."""
        return next((step for step in reversed(self.path) if isinstance(step, str) and step != KEY), "")


def translate(model: type[BaseModel], error: ValidationError, *, silent: bool) -> Iterator[Wrong]:
    """Every mistake once. `silent`: no value of the document is repeated; nor is one of what encrypts a state."""
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
            hidden = silent or in_encryption(path)
            given = None if hidden else item["input"]
            yield _one(_Item(model, path, str(item["type"]), item.get("ctx") or {}, given, hidden))


def _one(item: _Item) -> Wrong:
    if item.kind == "missing":
        example = example_at(item.model, item.path) or f"{item.last}: …"
        fix = "add apiVersion: batchctl/v1" if item.last == "apiVersion" else f"add {example}"
        return Wrong(item.path[:-1], "missing-key", f"the key {item.last} is missing", fix)
    if item.kind == "extra_forbidden":
        shown = "" if may_be_a_key(item.last) and item.silent else f" {_short(item.last)}"
        return Wrong(
            (*item.path, KEY),
            "unknown-key",
            f"unknown key{shown}",
            near(item.last, keys_at(item.model, item.path[:-1])),
        )
    if item.kind in _WANTED:
        wanted = _WANTED[item.kind][0]
        what = f"{item.name} must be {wanted}" + ("" if item.silent else f", this is {_kind_of(item.given)}")
        return Wrong(item.path, "wrong-type", what, _typed(item))
    if item.kind == "literal_error":
        allowed = [word.strip("'") for word in str(item.ctx.get("expected", "")).replace(" or ", ", ").split(", ")]
        what = (
            f"{item.name} has an unknown value" if item.silent else f"{item.name} cannot be {_short(str(item.given))}"
        )
        return Wrong(item.path, "unknown-value", what, near(str(item.given), allowed))
    if item.kind == "string_pattern_mismatch":
        return _form(item)
    return _size(item)


def near(word: str, known: Sequence[str]) -> str:
    """``did you mean where?`` or the whole choice."""
    meant = _SYNONYMS.get(word.lower(), "")
    close = (
        ([meant] if meant in known else [])
        or get_close_matches(word, known, n=1, cutoff=0.6)
        or get_close_matches(word.lower().replace("_", "").replace("-", ""), known, n=1, cutoff=0.6)
    )
    choice = ", ".join(known)
    return f"did you mean {close[0]}?" if close else (f"use one of {choice}" if choice else "remove it")


def _typed(item: _Item) -> str:
    """The very text to write where only quotes or brackets are missing or too many, else an example."""
    given, kind = item.given, item.kind
    if kind == "string_type" and given is not None and not isinstance(given, dict | list):
        return f'write "{str(given).lower() if isinstance(given, bool) else given}" in quotes'
    unquote: dict[str, Callable[[str], object]] = {"int_type": int, "float_type": float}
    if isinstance(given, str) and (
        _reads(unquote.get(kind), given) or (kind == "bool_type" and given in ("true", "false"))
    ):
        return f"write {_short(given)} without quotes"
    if kind == "tuple_type" and isinstance(given, str | int):
        return f"write [{_short(str(given))}]"
    example = example_at(item.model, item.path)
    fix = _WANTED[kind][1]
    return f"{fix}, e.g. {example}" if example and kind not in ("bool_type", "date_type") else fix


def _reads(read: Callable[[str], object] | None, text: str) -> bool:
    try:
        return read is not None and read(text) is not None
    except ValueError:
        return False


def _kind_of(given: object) -> str:
    return _NAMES.get(type(given), "a date" if hasattr(given, "isoformat") else "something else")


def _form(item: _Item) -> Wrong:
    wanted, fix = _wanted_form(item)
    if item.path[-1] == KEY:
        subject = "this" if item.silent and may_be_a_key(item.last) else _short(item.last)
    else:
        subject = item.name if item.silent else f"{item.name}: {_short(str(item.given))}"
    return Wrong(item.path, "wrong-form", f"{subject} is not {wanted}", fix)


def _wanted_form(item: _Item) -> tuple[str, str]:
    if item.path[0] == "attributes":
        if item.silent and item.last.startswith("$"):
            return "an attribute that is declared", "remove it; native attributes need no declaration"
        native = "" if item.silent else ", or a native name such as $language"
        return "an attribute name", f"use lower-case letters, digits and _, at most 30{native}"
    if item.path[:2] == ("audience", "name"):
        return "an audience name", "use letters, digits, _ and -, at most 255"
    if item.path[-1] == KEY:
        return "a name that can be used here", "use letters, digits, _ and -, and start with a letter"
    if item.last in _FORMS:
        return _FORMS[item.last]
    meant = slug(str(item.given)) if isinstance(item.given, str) else ""
    rule = "use lower-case letters, digits and dashes, at most 63"
    wanted = "a name" if item.path == ("name",) else f"the name of a {item.last}"
    return wanted, f"{rule}, e.g. {meant or 'lapsed-buyers'}"


def slug(text: str) -> str:
    """The name that a text was probably meant to be: ``Lapsed Buyers`` → ``lapsed-buyers``."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63]


_BOUNDS = {
    "greater_than_equal": ("must be {ge} or more", "write {ge} or more"),
    "greater_than": ("must be more than {gt}", "write more than {gt}"),
    "less_than_equal": ("must be {le} or less", "write {le} or less"),
    "string_too_long": ("is longer than {max_length} characters", "write at most {max_length}"),
    "too_long": ("has more than {max_length} entries", "write at most {max_length}"),
    "string_too_short": ("is empty", ""),
    "too_short": ("is empty", ""),
    "finite_number": ("is not a number that can be used", "write digits"),
}


def _size(item: _Item) -> Wrong:
    what, fix = _BOUNDS.get(item.kind, ("is not accepted", "see the description of the field in its schema"))
    numbers = {name: f"{value:g}" if isinstance(value, float) else value for name, value in item.ctx.items()}
    given = "" if item.given is None or isinstance(item.given, dict | list | str) else f", this is {flow(item.given)}"
    example = example_at(item.model, item.path)
    proposed = fix.format(**numbers) or (f"write e.g. {example}" if example else "write a text")
    return Wrong(item.path, "wrong-size", f"{item.name} {what.format(**numbers)}{given}", proposed)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
