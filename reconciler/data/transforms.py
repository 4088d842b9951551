"""Transforms of a mapping as SQL over text: ``trim lower upper title sha256 md5 digits default map replace substring``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from reconciler.data.sql import lit

_BLANK = r"'^[\s\p{Z}]+|[\s\p{Z}]+$'"


def trimmed(text: str) -> str:
    """White space of any script removed at both ends."""
    return f"regexp_replace({text}, {_BLANK}, '', 'g')"


def transformed(text: str, steps: Sequence[tuple[str, Sequence[object]]]) -> str:
    """All steps applied in order to the SQL text expression `text`."""
    return reduce(lambda value, step: _step(value, step[0], tuple(step[1])), steps, text)


def _step(value: str, name: str, args: tuple[object, ...]) -> str:
    match name, args:
        case "trim", ():
            return trimmed(value)
        case "lower" | "upper" | "sha256" | "md5", ():
            return f"{name}({value})"
        case "title", ():
            words = f"list_transform(string_split(lower({value}), ' '), lambda w: upper(w[1]) || w[2:])"
            return f"array_to_string({words}, ' ')"
        case "digits", ():
            return f"regexp_replace({value}, '[^0-9]', '', 'g')"
        case "default", (fallback,):
            return f"CASE WHEN nullif({trimmed(value)}, '') IS NULL THEN {lit(str(fallback))} ELSE {value} END"
        case "map", (Mapping() as table,):
            cases = " ".join(f"WHEN {lit(str(k))} THEN {lit(str(v))}" for k, v in table.items())
            return f"CASE {value} {cases} ELSE {value} END" if cases else value
        case "replace", (found, by):
            return f"replace({value}, {lit(str(found))}, {lit(str(by))})"
        case "substring", (int(start), int(length)):
            return f"substring({value}, {start}, {length})"
    raise AssertionError(f"unknown transform {name}{args}")
