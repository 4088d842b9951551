"""What an unquoted word of YAML means here, and which words are refused because YAML reads them as something else.

YAML 1.1 and 1.2 disagree about ``on``, ``012``, ``06:00`` or ``1_000``; a spec must not depend on who reads it.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

Scalar = str | int | float | bool | date | None


class Surprise(NamedTuple):
    """A word that is refused: the rule, what it is, and what to write instead."""

    rule: str
    what: str
    fix: str


_BOOLEANS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false"})
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,18})\.[0-9]{1,18}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|\s+)[0-9]{1,2}:[0-9]{2}.*")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_NUMBERISH = re.compile(
    r"[-+]?(?:0[0-9_]+|[0-9][0-9_]*_[0-9_]*|0o[0-7]+|0x[0-9a-fA-F_]+|0b[01_]+|[0-9][0-9_]*)"
    r"|[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?"
)
_SPECIAL = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


@lru_cache(maxsize=1 << 16)
def plain(word: str) -> Scalar | Surprise:
    """The value of an unquoted word; None for one that means *nothing*."""
    if word in ("true", "false"):
        return word == "true"
    if word in ("", "~", "null", "Null", "NULL"):
        return None
    if word.lower() in _BOOLEANS:
        return _boolean(word)
    first = word[0]
    if not (first.isascii() and (first.isdigit() or first in "+-.")):
        return Surprise("reserved-word", f"`{word}` is reserved", f'write "{word}"') if word in ("<<", "=") else word
    return _number(word)


def _boolean(word: str) -> Surprise:
    truth = "true" if word.lower() in ("y", "yes", "on", "true") else "false"
    fix = f'write {truth} if a boolean is meant, "{word}" in quotes if a text is meant'
    return Surprise(
        "yaml-boolean", f"unquoted `{word}` is a boolean for some readers of YAML and a text for others", fix
    )


def _number(word: str) -> Scalar | Surprise:
    if _INTEGER.fullmatch(word):
        return int(word)
    if _DECIMAL.fullmatch(word):
        return float(word)
    quoted = f'write "{word}" in quotes if a text is meant'
    if _DATE.fullmatch(word):
        try:
            return date.fromisoformat(word)
        except ValueError:
            return Surprise("date", f"`{word}` is not a date", "write a date as 2026-12-01; a text in quotes")
    if _DATETIME.fullmatch(word):
        return Surprise(
            "yaml-timestamp",
            f"unquoted `{word[:40]}` is a time for YAML, not a text and not a date",
            f'write {word[:10]} if a date is meant; write "{word[:40]}" in quotes if a text is meant',
        )
    if _SEXAGESIMAL.fullmatch(word):
        return Surprise(
            "yaml-sexagesimal",
            f"unquoted `{word}` is a base-60 number for some readers of YAML",
            f'write "{word}" in quotes',
        )
    if _SPECIAL.fullmatch(word):
        return Surprise("yaml-number", f"`{word}` is not a number that can be used", quoted)
    if _NUMBERISH.fullmatch(word):
        digits = word.replace("_", "").lstrip("+")
        plainly = digits.lstrip("0") or "0"
        meant = f"write {plainly} if a number is meant; " if plainly.isdigit() else "write its digits plainly; "
        what = f"unquoted `{word}` is read differently by different readers of YAML"
        return Surprise("yaml-octal" if re.fullmatch(r"0[0-9]+", word) else "yaml-number", what, meant + quoted)
    return word
