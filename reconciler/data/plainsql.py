"""Conditions so plain that they can reach nothing but the fields they name: recognised by their words, in microseconds.

This accepts only. Whatever is not recognised is left to the parser (`sqlguard`), and so is every refusal.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from functools import lru_cache

_TRAP = re.compile(r"--|/\*|\\")
"""Comments and escapes: where DuckDB could see the end of a text at another place. ``e'…'`` is another, see `_BARE`."""
_TEXT = re.compile(r"'(?:[^']|'')*'")
_BARE = re.compile(r"(?:[A-Za-z0-9_\s+\-*/%=<>!|:(),.]|(?<![A-Za-z0-9_])')*", re.ASCII)
_WORD = re.compile(r"(?<![0-9.])[a-z_][a-z0-9_]*")
_CALL = re.compile(r"([a-z_][a-z0-9_]*)\s*\(")
_WHOLE = re.compile(r"(?<![A-Za-z0-9_.])[0-9]{1,9}(?![A-Za-z0-9_.])")
_WORDS = frozenset(
    "and or not in is null true false between like ilike case when then else end distinct from "
    "date timestamp interval day days week weeks month months year years hour hours minute minutes "
    "integer bigint double varchar boolean lower upper trim length coalesce nullif abs round floor ceil least greatest "
    "now today date_trunc date_diff date_part starts_with ends_with contains list_contains len".split()
)
_ENDS = frozenset("limit offset order group having union except intersect window qualify using sample".split())
"""Words that end the condition of a query, unless they are fields."""
_SELECT = re.compile(r"\s*SELECT\s+(?:DISTINCT\s+)?(\w+)\s+FROM\s+(\w+)\s+WHERE\s", re.IGNORECASE)


def plain_shape(sql: str, fields: AbstractSet[str]) -> str | None:
    """The condition with its whole numbers made equal, which changes no type; None when it is not plain.

    `fields` are in lower case.
    """
    if _TRAP.search(sql) or not sql.strip():
        return None
    texts = _TEXT.findall(sql)
    whole = [_WHOLE.sub("1", part) for part in _TEXT.split(sql)]
    shape = "".join(piece for pair in zip(whole, [*texts, ""], strict=True) for piece in pair)
    return shape if _is_plain(shape, frozenset(fields)) else None


@lru_cache(maxsize=1 << 12)
def _is_plain(shape: str, fields: frozenset[str]) -> bool:
    """Whether a condition without traps is plain; thousands of segments differ by their numbers only."""
    bare = _TEXT.sub("'", shape)
    if bare.count("'") != len(_TEXT.findall(shape)):
        return False  # a text that does not end
    if not _BARE.fullmatch(bare) or not _balanced(bare):
        return False
    low = bare.lower()
    if not all(word in _WORDS or word in fields for word in _WORD.findall(low)):
        return False
    return _WORDS.issuperset(_CALL.findall(low))  # no field in the place of a function


def plain_fields(sql: str, fields: Collection[str]) -> frozenset[str] | None:
    """The fields that a plain condition names; None when it is not plain, or a word of it could be either."""
    own = {name.lower(): name for name in fields}
    if plain_shape(sql, own.keys()) is None:
        return None
    words = set(_WORD.findall(_TEXT.sub("'", sql).lower()))
    if words & own.keys() & (_WORDS | _ENDS):
        return None
    return frozenset(own[word] for word in words & own.keys())


def plain_query(sql: str, table: str, key: str) -> str | None:
    """The condition of ``SELECT key FROM table WHERE condition``; None for any other query."""
    head = _SELECT.match(sql)
    if head is None or head[1].lower() != key.lower() or head[2].lower() != table.lower():
        return None
    return sql[head.end() :]


def _balanced(bare: str) -> bool:
    depth = 0
    for mark in bare:
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0
