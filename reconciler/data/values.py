"""Logical types: how a stored value becomes a value of its declared type, and when it is not one. SQL text only.

Casting in SQL is lenient (``CAST('1.5' AS BIGINT)`` is 2): every rule here is stricter, so that a value that is not
of its type becomes a reject with a reason, never a wrong value and never a silent NULL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.data.sql import DUCK_TYPES

_TEXTS = ("VARCHAR", "JSON", "UUID")
_WHOLES = frozenset(
    "TINYINT SMALLINT INTEGER BIGINT UTINYINT USMALLINT UINTEGER UBIGINT HUGEINT UHUGEINT BIGNUM".split()
)
_SAFE_WHOLES = _WHOLES - {"UBIGINT", "HUGEINT", "UHUGEINT", "BIGNUM"}
_INTEGER = r"'\s*[+-]?[0-9]{1,19}\s*'"
_FLOAT = r"'\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*'"
_DATE = r"'\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*'"
_TIMESTAMP = (
    r"'\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"( ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?)?\s*'"
)
_FIRST, _LAST = "0001-01-01", "9999-12-31"
"""Dates outside have no form that Batch reads; infinity is outside."""


@dataclass(frozen=True, slots=True)
class Typed:
    """SQL of a typed value and of whether the stored value is not of its type (``FALSE`` when it always is)."""

    value: str
    bad: str

    @property
    def checked(self) -> bool:
        """Whether `bad` can be true at all."""
        return self.bad != "FALSE"


def typed(column: str, stored: str, logical: str) -> Typed:
    """`column` of DuckDB type `stored` as the logical type; empty texts are no value unless a string is declared."""
    kind = _kind(stored.upper())
    if logical in ("string", "url"):
        return _string(column, kind)
    if logical == "list<string>" and kind == "list":
        return _list(column, stored.upper())
    if kind in _TEXTS:
        text = {"VARCHAR": column, "JSON": f"({column} ->> '$')"}.get(kind, f"CAST({column} AS VARCHAR)")
        return _from_text(text, logical)
    return _from_stored(column, kind, logical)


def _kind(stored: str) -> str:
    """A DuckDB type without its arguments; ``DECIMAL0`` without decimals, ``list`` and ``nested`` for what holds others."""
    if stored.endswith("]"):
        return "list"
    name, _, arguments = stored.partition("(")
    if name in ("STRUCT", "MAP", "UNION", "VARIANT"):
        return "nested"
    if name == "ENUM":
        return "VARCHAR"
    return "DECIMAL0" if name == "DECIMAL" and arguments.endswith(",0)") else name


def _never(column: str, logical: str) -> Typed:
    return Typed(f"CAST(NULL AS {DUCK_TYPES[logical]})", f"({column} IS NOT NULL)")


def _tried(value: str, column: str) -> Typed:
    """A conversion that gives NULL for what it cannot convert."""
    return Typed(value, f"({column} IS NOT NULL AND {value} IS NULL)")


def _string(column: str, kind: str) -> Typed:
    """Texts as they are; whole numbers, dates and truth values have one text each, fractions and bytes have not."""
    if kind == "JSON":
        nested = f"coalesce(json_type({column}) IN ('OBJECT', 'ARRAY'), FALSE)"
        return Typed(f"CASE WHEN NOT {nested} THEN {column} ->> '$' END", nested)
    if kind in _TEXTS or kind in _WHOLES or kind.startswith(("DATE", "TIME", "BOOLEAN", "DECIMAL0")):
        return Typed(column if kind == "VARCHAR" else f"CAST({column} AS VARCHAR)", "FALSE")
    return _never(column, "string")


def _list(column: str, stored: str) -> Typed:
    item = _kind(re.sub(r"\[[0-9]*\]$", "", stored))
    if item in ("list", "nested") or _string(column, item).checked or item == "JSON":
        return _never(column, "list<string>")
    return Typed(column if stored == "VARCHAR[]" else f"CAST({column} AS VARCHAR[])", "FALSE")


def _from_text(column: str, logical: str) -> Typed:
    match logical:
        case "integer":
            value = f"CASE WHEN regexp_full_match({column}, {_INTEGER}) THEN TRY_CAST(trim({column}) AS BIGINT) END"
        case "float":
            number = f"TRY_CAST(trim({column}) AS DOUBLE)"
            value = f"CASE WHEN regexp_full_match({column}, {_FLOAT}) AND isfinite({number}) THEN {number} END"
        case "boolean":
            value = (
                f"CASE WHEN lower(trim({column})) IN ('true', 't', 'yes', 'y', '1') THEN TRUE "
                f"WHEN lower(trim({column})) IN ('false', 'f', 'no', 'n', '0') THEN FALSE END"
            )
        case "date":
            value = (
                f"CASE WHEN regexp_full_match({column}, {_DATE}) THEN {_dated(f'TRY_CAST(trim({column}) AS DATE)')} END"
            )
        case "timestamp":
            moment = f"(TRY_CAST(trim({column}) AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
            value = f"CASE WHEN regexp_full_match({column}, {_TIMESTAMP}) THEN {_dated(moment)} END"
        case _:
            parsed = f"TRY_CAST({column} AS JSON)"
            items = f"list_transform(TRY_CAST({parsed} AS JSON[]), lambda x: json_type(x) IN ('OBJECT', 'ARRAY'))"
            flat = f"json_type({parsed}) = 'ARRAY' AND NOT coalesce(list_bool_or({items}), FALSE)"
            value = f"CASE WHEN {flat} THEN TRY_CAST({parsed} AS VARCHAR[]) END"
    return Typed(value, f"({column} IS NOT NULL AND trim({column}) <> '' AND {value} IS NULL)")


def _dated(moment: str) -> str:
    return f"CASE WHEN CAST({moment} AS DATE) BETWEEN DATE '{_FIRST}' AND DATE '{_LAST}' THEN {moment} END"


def _from_stored(column: str, kind: str, logical: str) -> Typed:
    wanted = DUCK_TYPES[logical]
    fraction = kind.startswith(("DOUBLE", "FLOAT", "DECIMAL"))
    match logical:
        case "integer" if kind in _SAFE_WHOLES:
            return Typed(column if kind == wanted else f"CAST({column} AS {wanted})", "FALSE")
        case "integer" if kind in _WHOLES:
            return _tried(f"TRY_CAST({column} AS {wanted})", column)
        case "integer" if fraction:
            return _tried(f"CASE WHEN {column} = trunc({column}) THEN TRY_CAST({column} AS {wanted}) END", column)
        case "float" if kind in ("DOUBLE", "FLOAT"):  # the decimal a FLOAT was written as, not its binary tail
            text = column if kind == "DOUBLE" else f"CAST(CAST({column} AS VARCHAR) AS DOUBLE)"
            return _tried(f"CASE WHEN isfinite({column}) THEN {text} END", column)
        case "float" if kind in _WHOLES or fraction:
            return _tried(f"TRY_CAST({column} AS {wanted})", column)
        case "boolean" if kind == "BOOLEAN":
            return Typed(column, "FALSE")
        case "boolean" if kind in _WHOLES:
            return _tried(f"CASE {column} WHEN 1 THEN TRUE WHEN 0 THEN FALSE END", column)
        case "date" | "timestamp" if kind.startswith(("DATE", "TIMESTAMP")):
            at = f"({column} AT TIME ZONE 'UTC')" if "ZONE" in kind else column
            return _tried(_dated(f"TRY_CAST({at} AS {wanted})"), column)
    return _never(column, logical)
