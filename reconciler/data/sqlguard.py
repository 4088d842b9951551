"""Users' SQL: one expression or one SELECT over the catalogue's own tables, checked by a parser before it runs.

The engine's own lock (no file access, no extensions, no settings) stands behind this check; the parser refuses early
and in words, and finds which fields decide and whether the clock is asked. Pure but for the parser.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

_TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series"})
_FORBIDDEN = frozenset(
    "random setseed uuid gen_random_uuid uuidv4 uuidv7 nextval currval getenv getvariable current_setting query "
    "query_table current_user session_user user current_database current_schema version txid_current pg_sleep "
    "write_log parse_path file_exists is_histogram_other_bin in_search_path".split()
)
_FORBIDDEN_PREFIXES = (
    "read_",
    "duckdb_",
    "pragma_",
    "parquet_",
    "sniff_",
    "pg_",
    "from_substrait",
    "scan_",
    "iceberg_",
    "delta_",
)
CLOCK = frozenset(
    "now today current_date current_timestamp current_time localtime localtimestamp get_current_timestamp "
    "get_current_time transaction_timestamp current_localtimestamp current_localtime".split()
)


@dataclass(frozen=True, slots=True)
class Checked:
    """SQL that may run: the fields it names and whether its answer depends on the time."""

    fields: frozenset[str]
    everything: bool
    """``SELECT *`` or the like: any field may decide."""
    clock: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """SQL that may not run, for a reader."""

    what: str
    why: str
    fix: str
    word: str = ""
    """The word of the SQL that it is about, as far as known."""


def check_expression(sql: str, *, tables: Collection[str], fields: Collection[str]) -> Checked | Rejected:
    """One boolean expression over `fields`; subqueries may read `tables` only."""
    if not sql.strip():
        return Rejected(
            "where is empty", "nobody would be selected by nothing", "write a condition; TRUE selects everybody"
        )
    tree = _parsed(f"SELECT 1 WHERE\n{sql}\n")
    if isinstance(tree, Rejected):
        return tree
    extra = {name for name, value in tree.args.items() if value and name not in ("expressions", "where", "kind")}
    if extra or type(tree).__name__ != "Select":
        return Rejected(
            "where is not one expression",
            "it holds more than a condition",
            "write one SQL condition, or use query for a SELECT",
        )
    return _inspected(tree, tables, fields, bare=True)


def check_select(sql: str, *, tables: Collection[str], fields: Collection[str]) -> Checked | Rejected:
    """One SELECT (WITH and UNION included) that reads `tables` only."""
    tree = _parsed(sql)
    return tree if isinstance(tree, Rejected) else _inspected(tree, tables, fields, bare=False)


def check_source(sql: str) -> Checked | Rejected:
    """One SELECT over the tables of an attached database: any table, but no file and no table function."""
    tree = _parsed(sql)
    return tree if isinstance(tree, Rejected) else _inspected(tree, None, None, bare=False)


def _parsed(sql: str) -> exp.Expr | Rejected:
    import logging

    import sqlglot  # heavy: only when SQL is checked
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        found = [
            tree for tree in sqlglot.parse(sql, read="duckdb", error_level=sqlglot.ErrorLevel.RAISE) if tree is not None
        ]
    except (SqlglotError, RecursionError) as error:
        detail = getattr(error, "errors", None) or [{}]
        near = str(detail[0].get("highlight") or "")[:60]
        said = str(detail[0].get("description") or "")
        reason = "something is missing" if "<class" in said else said or "it cannot be parsed"
        return Rejected(
            "SQL that cannot be parsed",
            f"{reason}{f' near {near!r}' if near else ''}",
            "correct the SQL (DuckDB's dialect)",
            near,
        )
    if len(found) != 1:
        return Rejected("not one SQL statement", f"{len(found)} were found", "write exactly one")
    tree = found[0]
    if not isinstance(tree, (exp.Select, exp.SetOperation, exp.Subquery)):
        return Rejected(
            f"{tree.key.upper()} is not allowed here", "only SELECT reads people", "write one SELECT or one expression"
        )
    return tree


def _inspected(
    tree: exp.Expr, tables: Collection[str] | None, fields: Collection[str] | None, *, bare: bool
) -> Checked | Rejected:
    from sqlglot import exp

    made = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for node in tree.walk():
        if isinstance(node, exp.Table):
            refused = _table(node, tables, made)
        elif isinstance(node, exp.Func):
            refused = _function(node)
        elif isinstance(
            node,
            (
                exp.Command,
                exp.DDL,
                exp.DML,
                exp.Into,
                exp.Pragma,
                exp.Set,
                exp.Copy,
                exp.Attach,
                exp.Parameter,
                exp.Placeholder,
                exp.TableSample,
            ),
        ):
            refused = Rejected(
                f"{node.key.upper()} is not allowed in this SQL",
                "it may only read the catalogue",
                "write one SELECT or one expression",
            )
        else:
            refused = None
        if refused:
            return refused
    columns = {column.name for column in tree.find_all(exp.Column) if not isinstance(column.this, exp.Star)}
    unknown = _unknown(tree, columns, fields) if bare and fields is not None else None
    if unknown:
        return unknown
    lowered = {name.lower() for name in columns}
    named = frozenset(field for field in fields or () if field.lower() in lowered)
    stars = [star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
    return Checked(named, bool(stars), any(_is_clock(node) for node in tree.find_all(exp.Func, exp.Column)))


def _table(node: exp.Table, tables: Collection[str] | None, made: set[str]) -> Rejected | None:
    from sqlglot import exp

    if isinstance(node.this, exp.Func):
        name = _name(node.this)
        if name in _TABLE_FUNCTIONS:
            return None
        return Rejected(
            f"{name}() cannot be read from",
            "segments read their catalogue and nothing else",
            "declare the data as a Catalogue source",
            name,
        )
    if tables is None:
        if "/" in node.name or "." in node.name or "*" in node.name:
            return Rejected(
                "a file is not a table here",
                "only tables of the named database are read",
                "use source: {path: …} for files",
            )
        return None
    known = {table.lower() for table in tables}
    if node.name.lower() in made | known and not node.db and not node.catalog:
        return None
    close = get_close_matches(node.name.lower(), sorted(known), n=1)
    fix = f"did you mean {close[0]}?" if close else f"read from {', '.join(sorted(known))}"
    what, why = f"unknown table {node.sql(dialect='duckdb')}", "segments read their catalogue and its identities only"
    return Rejected(what, why, fix, node.name)


def _function(node: exp.Func) -> Rejected | None:
    name = _name(node)
    if name == "age" and len(node.expressions) == 1:
        why = "with one date it counts from the machine's own day"
        return Rejected("age() needs two dates here", why, "write age(current_date, …): now is fixed for the whole run")
    if name in _FORBIDDEN or name.startswith(_FORBIDDEN_PREFIXES) or name in ("glob", "rand"):
        why = (
            "its answer changes from run to run"
            if name in ("random", "rand", "uuid", "gen_random_uuid")
            else "it reaches outside the catalogue"
        )
        return Rejected(f"{name}() is not allowed in this SQL", why, "use the catalogue's fields only", name)
    return None


def _unknown(tree: exp.Expr, columns: Collection[str], fields: Collection[str]) -> Rejected | None:
    from sqlglot import exp

    if tree.find(exp.Subquery, exp.Lambda, exp.Exists) is not None or len(list(tree.find_all(exp.Select))) > 1:
        return None  # names of a subquery are the engine's business
    lowered = {field.lower(): field for field in fields}
    for name in sorted(columns):
        if name.lower() not in lowered and name.lower() not in CLOCK:
            close = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
            fix = f"did you mean {lowered[close[0]]}?" if close else f"declare {name} in the catalogue's fields"
            return Rejected(f"unknown field {name}", "it is not among the catalogue's fields", fix, name)
    return None


def _name(node: exp.Expr) -> str:
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else str(node.name).lower()


def _is_clock(node: exp.Expr) -> bool:
    from sqlglot import exp

    return _name(node) in CLOCK or (isinstance(node, exp.Column) and not node.table and node.name.lower() in CLOCK)
