"""Segments' SQL tried on the engine: before it is used for unknown columns, wrong types and what a query returns, and
after the data made a run fail for the segment that did it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache

from reconciler.data.engine import Engine
from reconciler.data.explain import SqlFailed, SqlInvalid
from reconciler.data.membership import Members
from reconciler.data.plainsql import plain_query, plain_shape
from reconciler.data.sql import DUCK_TYPES, ident
from reconciler.data.sqlguard import Rejected, check_expression, check_select
from reconciler.data.told import Excerpt, Where, sql_problem
from reconciler.errors import SourceError, SpecInvalid
from reconciler.spec import Catalogue, Segment

_TOGETHER = 200
_CONDITION = ("BOOLEAN", '"NULL"', "NULL")


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


def check_segments(engine: Engine, pairs: Iterable[tuple[Segment, Catalogue]]) -> dict[str, Rejected]:
    """Segment name → why its SQL cannot run over the catalogue's tables. The tables exist, with or without rows.

    Plain conditions are tried together; whatever does not pass there is judged alone, for its exact reason.
    """
    plain: dict[str, dict[str, list[tuple[Segment, Catalogue]]]] = defaultdict(lambda: defaultdict(list))
    alone: list[tuple[Segment, Catalogue]] = []
    for segment, catalogue in pairs:
        shape = _shape(segment, catalogue)
        if shape is None:
            alone.append((segment, catalogue))
        else:
            plain[catalogue.name][shape].append((segment, catalogue))
    for name, shapes in plain.items():
        listed = list(shapes)
        for start in range(0, len(listed), _TOGETHER):
            some = listed[start : start + _TOGETHER]
            if not _all_conditions(engine, some, name.replace("-", "_")):
                alone += [pair for shape in some for pair in shapes[shape]]
    found = {segment.name: check_segment(engine, segment, catalogue) for segment, catalogue in alone}
    return {name: rejected for name, rejected in sorted(found.items()) if rejected is not None}


def _shape(segment: Segment, catalogue: Catalogue) -> str | None:
    """The condition of a segment that is plain, None for any other."""
    condition = segment.where
    if condition is None:
        condition = plain_query(segment.query or "", catalogue.name.replace("-", "_"), catalogue.key)
    return plain_shape(condition, _fields(catalogue.name, tuple(catalogue.fields))) if condition else None


@cache
def _fields(_: str, names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _all_conditions(engine: Engine, shapes: list[str], table: str) -> bool:
    """Whether every one of some plain conditions compiles and gives true or false."""
    listed = ", ".join(f'(\n{shape}\n) AS "#{at}"' for at, shape in enumerate(shapes))
    try:
        return all(kind in _CONDITION for _, kind in engine.columns(f"SELECT {listed} FROM {ident(table)}"))
    except SourceError:
        return False


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
        return Rejected(error.what, error.why, error.fix, error.word)


def _tried(engine: Engine, segment: Segment, catalogue: Catalogue, table: str) -> Rejected | None:
    if segment.where is not None:
        ((_, kind),) = engine.columns(f"SELECT (\n{segment.where}\n) AS chosen FROM {ident(table)}")
        if kind not in _CONDITION:
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


@contextmanager
def named(links: Iterable[Members], where: Where, excerpt: Excerpt) -> Iterator[None]:
    """Raises SpecInvalid, at their SQL, for segments that a value in the data made fail in the block.

    Each is asked alone, and only then. Where none of them fails by itself, the error is of something else and stays.
    """
    try:
        yield
    except SqlFailed:
        segments = {one.link.segment.name: one for one in links}
        wrong = {name: _why(error, one) for name, one in sorted(segments.items()) if (error := _failing(one))}
        if not wrong:
            raise
        problems = [sql_problem(segments[name].link.segment, why, where, excerpt) for name, why in wrong.items()]
        raise SpecInvalid(tuple(problems)) from None


def _failing(members: Members) -> SqlFailed | None:
    """What a segment's SQL comes to over the rows that it is asked of."""
    opened, alias = members.opened, members.engine_table
    try:
        chosen = f"{opened.eligible(alias)} AND {members.selected}"
        opened.engine.count(f"SELECT count(*) FROM {opened.rows.view} AS {alias} WHERE {chosen}")
    except SqlFailed as error:
        return error
    except SourceError:
        return None
    return None


def _why(failed: SqlFailed, members: Members) -> Rejected:
    """In the words of the specs: nothing of what it says is a value of the data."""
    what, field = "SQL that fails on the data", failed.column if failed.column in members.opened.spec.fields else ""
    if not failed.kind:
        why = f"it cannot be computed for a value ({failed.why})"
        return Rejected(what, why, "write TRY(…) around what can fail: it is NULL then", failed.word)
    whose = f"a value of {field}" if field else "a value, or a text in the SQL itself,"
    fix = f"write TRY_CAST({field or '…'} AS {failed.kind}), which is NULL then"
    if failed.kind in ("DATE", "TIMESTAMP"):
        fix = f"write a date as 'YYYY-MM-DD'; where there may be none, {fix.removeprefix('write ')}"
    return Rejected(what, f"{whose} cannot be converted to {failed.kind}", fix, failed.word)
