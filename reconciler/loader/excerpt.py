"""The source line of a problem with a caret below it. Where a key could stand, only the names of fields are shown."""

from __future__ import annotations

import re

from reconciler.errors import Location

WIDTH = 160
_KEY = re.compile(r"^\s*(?:- )*(?P<key>[A-Za-z_$][A-Za-z0-9_$-]{0,62})\s*:(?=\s|$)")
_SECRETIVE = re.compile(r"estination|_key\b", re.IGNORECASE)


def excerpt(text: str, place: Location, *, keys_only: bool) -> str:
    """``  4 | plattform: mep`` and a caret; of a line that may hold a key only its field name, or nothing."""
    lines = text.split("\n")
    if not 0 < place.line <= len(lines):
        return ""
    line, column = lines[place.line - 1].rstrip("\r"), place.column
    if keys_only:
        key = _KEY.match(line)
        if key is None or may_be_a_key(key["key"]):
            return ""
        line, column = f"{key[0]} …", min(column, key.end("key") + 2)
    start = max(0, column - WIDTH // 2) if len(line) > WIDTH else 0
    shown = line[start : start + WIDTH]
    head = f"{place.line} | "
    return f"{head}{shown}\n{' ' * (len(head) - 2)}| {' ' * max(0, column - 1 - start)}^"


def may_be_a_key(word: str) -> bool:
    """Whether a word, a field name perhaps, could itself be a key to Batch that was written in the wrong place."""
    return len(word) > 32 or (len(word) >= 12 and any(char.isdigit() for char in word))


def may_hold_keys(text: str) -> bool:
    """Whether a file that cannot be read as YAML looks like it describes a destination."""
    return _SECRETIVE.search(text) is not None
