"""Segments' SQL tried on the engine before it is used: unknown columns, wrong types and what a query returns."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.data.engine import Engine, SqlInvalid
from reconciler.data.sql import DUCK_TYPES, ident
from reconciler.data.sqlguard import Rejected, check_expression, check_select
from reconciler.spec import Catalogue, Segment


def empty_tables(engine: Engine, catalogue: Catalogue) -> None:
    """Tables with the catalogue's columns and no rows, for checking SQL where no data is reachable."""
    table = catalogue.name.replace("-", "_")
    _empty(engine, table, {name: str(kind) for name, kind in catalogue.fields.items()})
    if catalogue.identity_graph is not None:
        graph = catalogue.identity_graph
        kinds = {
            graph.key: str(catalogue.fields[catalogue.key]),
            **{name: str(kind) for name, kind in graph.fields.items()},
        }
        _empty(engine, f"{table}_identities", kinds)


def _empty(engine: Engine, table: str, kinds: Mapping[str, str]) -> None:
    columns = ", ".join(f"{ident(name)} {DUCK_TYPES[kind]}" for name, kind in kinds.items())
    engine.run(f"CREATE TEMP TABLE {ident(table)} ({columns})")


def check_segment(engine: Engine, segment: Segment, catalogue: Catalogue) -> Rejected | None:
    """Why a segment's SQL cannot run over the catalogue's tables, None when it can. The tables exist, with or without rows."""
    table = catalogue.name.replace("-", "_")
    tables = [table, *([f"{table}_identities"] if catalogue.identity_graph else [])]
    fields = list(catalogue.fields)
    if segment.where is not None:
        found = check_expression(segment.where, tables=tables, fields=fields)
    else:
        found = check_select(segment.query or "", tables=tables, fields=fields)
    if isinstance(found, Rejected):
        return found
    try:
        return _tried(engine, segment, catalogue, table)
    except SqlInvalid as error:
        return Rejected(error.what, error.why, error.fix)


def _tried(engine: Engine, segment: Segment, catalogue: Catalogue, table: str) -> Rejected | None:
    if segment.where is not None:
        ((_, kind),) = engine.columns(f"SELECT (\n{segment.where}\n) AS chosen FROM {ident(table)}")
        if kind not in ("BOOLEAN", '"NULL"', "NULL"):
            return Rejected(
                "where is not a condition", f"it gives {kind}, not true or false", "compare it with something"
            )
        return None
    columns = [name for name, _ in engine.columns(f"SELECT * FROM (\n{segment.query}\n)")]
    if catalogue.key not in columns and len(columns) != 1:
        return Rejected(
            "the query does not return the catalogue's key",
            f"it returns {', '.join(columns)}",
            f"SELECT {catalogue.key} FROM …",
        )
    return None
