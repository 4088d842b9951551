"""One link counted stage by stage, and a masked sample: neither identifiers nor values leave the engine in clear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.data import people
from reconciler.data.engine import Engine
from reconciler.data.gather import everybody
from reconciler.data.membership import Members
from reconciler.data.rejects import collect
from reconciler.data.sql import DUCK_TYPES, ident, lit
from reconciler.data.staged import RejectCount
from reconciler.data.stamp import unmoved

SAMPLE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Counts of people, then of identifiers."""

    read: int
    with_consent: int
    not_suppressed: int
    in_segment: int
    coverage: tuple[tuple[str, int], ...]
    """(identifier field, people in the segment who have at least one), in the mapping's order."""
    identifiers: int
    """Identifiers found, repeats included, before any check."""
    rejects: tuple[RejectCount, ...]
    withheld: int
    """Identifiers left out because somebody without consent, or suppressed, has them too."""
    shared: int
    sendable: int
    sample: tuple[tuple[str, Mapping[str, str]], ...]
    """(masked identifier, attribute → masked value)."""


def preview(engine: Engine, members: Members) -> Preview:
    """Evaluates one link for itself. Raises SourceError when a source or the segment's SQL cannot be read, or changes."""
    with unmoved([members.opened.read_later]):
        return _previewed(engine, members)


def _previewed(engine: Engine, members: Members) -> Preview:
    opened, profiles = members.opened, members.link.target.is_profiles
    gathered = everybody(engine, [members], None)
    wanted = people.desired(engine, [members], gathered, id_type=members.link.id_type, profiles=profiles)
    nothing = ident(engine.table("nothing"))
    engine.run(f"CREATE TEMP TABLE {nothing} (id VARCHAR, words VARCHAR, refused BOOLEAN)")
    rejects, _ = collect(engine, [members], wanted, nothing)
    alias, view = members.engine_table, opened.rows.view
    consent = f"{alias}.{ident(opened.spec.consent)} IS TRUE" if opened.spec.consent else "TRUE"
    eligible = opened.eligible(alias)
    read, consented, kept, chosen = engine.row(
        f"SELECT count(*), count(*) FILTER ({consent}), count(*) FILTER ({eligible}), "
        f"count(*) FILTER ({eligible} AND {members.selected}) FROM {view} AS {alias}"
    )
    barred = f"id IN (SELECT id FROM {wanted.withheld})" if wanted.withheld else "FALSE"
    found, withheld = engine.row(
        f"SELECT count(*) FILTER (id IS NOT NULL), count(DISTINCT id) FILTER (reason IS NULL AND {barred}) "
        f"FROM {wanted.checked}"
    )
    return Preview(
        read=_int(read) + opened.rows.broken(engine),
        with_consent=_int(consented),
        not_suppressed=_int(kept),
        in_segment=_int(chosen),
        coverage=tuple((name, _coverage(engine, members, name)) for name in members.link.id_fields),
        identifiers=_int(found),
        rejects=rejects,
        withheld=_int(withheld),
        shared=wanted.shared,
        sendable=engine.count(f"SELECT count(*) FROM {wanted.table}"),
        sample=_sample(engine, members, wanted.table),
    )


def _coverage(engine: Engine, members: Members, name: str) -> int:
    """People in the segment whose row, or identity graph, has a value of an identifier field."""
    opened, alias = members.opened, members.engine_table
    terms = [f"nullif({alias}.{ident(name)}, '') IS NOT NULL"] if name in members.mapped.own_fields else []
    if name in members.mapped.graph_fields and opened.graph is not None and opened.spec.identity_graph is not None:
        key = f"graph.{ident(opened.spec.identity_graph.key)} = {alias}.{opened.key}"
        has = f"nullif(graph.{ident(name)}, '') IS NOT NULL"
        terms.append(f"EXISTS (SELECT 1 FROM {opened.graph.view} AS graph WHERE {key} AND {has})")
    return engine.count(
        f"SELECT count(*) FROM {opened.rows.view} AS {alias} "
        f"WHERE {opened.eligible(alias)} AND {members.selected} AND ({' OR '.join(terms) or 'FALSE'})"
    )


def _sample(engine: Engine, members: Members, table: str) -> tuple[tuple[str, Mapping[str, str]], ...]:
    names = [(a.name, a.type) for a in members.link.attributes]
    values = "".join(f", {_masked_value(ident(f'a:{name}'), kind)}" for name, kind in names)
    rows = engine.rows(f"SELECT {_masked('id')}{values} FROM {table} ORDER BY md5(id) LIMIT {SAMPLE}")
    return tuple(
        (str(row[0]), {name: str(value) for (name, _), value in zip(names, row[1:], strict=True)}) for row in rows
    )


def _masked(text: str) -> str:
    """``a…3f``; of a short text only its first character."""
    return f"concat(left({text}, 1), '…', CASE WHEN length({text}) >= 8 THEN right({text}, 2) ELSE '' END)"


def _masked_value(column: str, kind: str) -> str:
    """That there is a value, and of what kind; of a list how long it is."""
    if DUCK_TYPES[kind] == "VARCHAR[]":
        shown = f"concat('[', len({column}), ']')"
    elif DUCK_TYPES[kind] == "VARCHAR":
        shown = f"concat(left({column}, 1), '…')"
    else:
        shown = lit("…")
    return f"CASE WHEN {column} IS NULL THEN '-' ELSE {shown} END"


def _int(value: object) -> int:
    return int(str(value or 0))
