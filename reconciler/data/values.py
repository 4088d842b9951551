"""Logical types: how a stored value becomes a value of its declared type, and when it is not one. SQL text only.

Casting in SQL is lenient (``CAST('1.5' AS BIGINT)`` is 2): every rule here is stricter, so that a value that is not
of its type becomes a reject with a reason, never a wrong value and never a silent NULL.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.data.sql import DUCK_TYPES

_TEXT = ("VARCHAR", "JSON", "ENUM", "UUID")
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT")
_INTEGER = r"'\s*[+-]?[0-9]{1,19}\s*'"
_FLOAT = r"'\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*'"
_DATE = r"'\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*'"
_TIMESTAMP = (
    r"'\s*[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"( ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?)?\s*'"
)


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
    stored = stored.upper()
    kind = "text" if stored.startswith(_TEXT) and not stored.endswith("[]") else stored
    if logical in ("string", "url"):
        return Typed(column if stored == "VARCHAR" else f"CAST({column} AS VARCHAR)", "FALSE")
    if kind == "text":
        return _from_text(column if stored == "VARCHAR" else f"CAST({column} AS VARCHAR)", logical)
    return _from_stored(column, stored, logical)


def _checked(value: str, column: str, *, empty_is_null: bool = True) -> Typed:
    present = f"{column} IS NOT NULL AND trim({column}) <> ''" if empty_is_null else f"{column} IS NOT NULL"
    return Typed(value, f"({present} AND {value} IS NULL)")


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
            value = f"CASE WHEN regexp_full_match({column}, {_DATE}) THEN TRY_CAST(trim({column}) AS DATE) END"
        case "timestamp":
            moment = f"TRY_CAST(trim({column}) AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
            value = f"CASE WHEN regexp_full_match({column}, {_TIMESTAMP}) THEN {moment} END"
        case _:
            value = f"TRY_CAST(TRY_CAST({column} AS JSON) AS VARCHAR[])"
    return _checked(value, column)


def _from_stored(column: str, stored: str, logical: str) -> Typed:
    wanted = DUCK_TYPES[logical]
    if logical == "float" and stored in ("DOUBLE", "FLOAT"):
        text = column if stored == "DOUBLE" else f"CAST(CAST({column} AS VARCHAR) AS DOUBLE)"
        return Typed(f"CASE WHEN isfinite({column}) THEN {text} END", f"NOT isfinite({column})")
    if (
        stored == wanted
        or (logical == "integer" and stored in _WHOLE[:7])
        or (logical == "list<string>" and stored.endswith("[]"))
    ):
        return Typed(column if stored == wanted else f"CAST({column} AS {wanted})", "FALSE")
    if logical == "integer" and stored.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        value = f"CASE WHEN {column} = trunc({column}) THEN TRY_CAST({column} AS BIGINT) END"
        return _checked(value, column, empty_is_null=False)
    if logical == "boolean" and stored in _WHOLE:
        return _checked(f"CASE {column} WHEN 1 THEN TRUE WHEN 0 THEN FALSE END", column, empty_is_null=False)
    if logical == "timestamp" and stored.startswith("TIMESTAMP WITH TIME ZONE"):
        return Typed(f"({column} AT TIME ZONE 'UTC')", "FALSE")
    if logical in ("date", "timestamp") and stored.startswith(("DATE", "TIMESTAMP")):
        at = f"({column} AT TIME ZONE 'UTC')" if "ZONE" in stored else column
        return Typed(f"CAST({at} AS {wanted})", "FALSE")
    if logical in ("integer", "float") and stored.startswith((*_WHOLE, "UHUGEINT", "DECIMAL")):
        return _checked(f"TRY_CAST({column} AS {wanted})", column, empty_is_null=False)
    return Typed(f"CAST(NULL AS {wanted})", f"{column} IS NOT NULL")
