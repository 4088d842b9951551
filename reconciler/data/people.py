"""Candidate rows → desired identifiers: rejects set aside, withheld identifiers taken out, repeats merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.address import IdType
from reconciler.data import checks
from reconciler.data.candidates import fold
from reconciler.data.engine import Engine
from reconciler.data.gather import Gathered
from reconciler.data.membership import Members
from reconciler.data.sql import ident, key_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """Tables of one target."""

    table: str
    """``id, k, a:… , r:…, c:…`` of every desired identifier among the candidates, once each; ``k`` as in delta files."""
    checked: str
    """Candidate rows with ``link`` and ``reason``."""
    clash: str | None
    """Identifiers refused because another one differs from them only by case."""
    withheld: str | None
    """Identifiers withheld, among the candidates."""
    shared: int


def desired(
    engine: Engine,
    links: Sequence[Members],
    gathered: Gathered,
    *,
    id_type: IdType,
    profiles: bool,
) -> Desired:
    """Checks, withholds and merges the rows of a target; what was told decides about identifiers that clash by case.

    Of several people with one identifier the smallest key counts, for each mapping by itself: what different mappings
    say of one identifier is joined.
    """
    checked = _checked(engine, gathered.rows, id_type, profiles=profiles)
    withheld = _withheld(engine, links, gathered)
    repeated = ident(engine.table("repeated"))
    engine.run(
        f"CREATE TEMP TABLE {repeated} AS SELECT {fold()} AS h FROM {checked} WHERE reason IS NULL GROUP BY 1 HAVING count(*) > 1"
    )
    clash = _clash(engine, checked, repeated, gathered) if id_type is not IdType.EMAIL else None
    columns = [name for name, _ in engine.columns(f"SELECT * FROM {checked}") if name[:2] in ("a:", "r:", "c:")]
    table, firsts = ident(engine.table("desired")), ident(engine.table("firsts"))
    barred = "".join(f" AND id NOT IN (SELECT id FROM {name})" for name in (withheld, clash) if name)
    alone = f"SELECT id, key{_listed(columns)} FROM {checked} WHERE reason IS NULL AND {fold()} NOT IN (SELECT h FROM {repeated}){barred}"
    engine.run(
        f"CREATE TEMP TABLE {firsts} AS SELECT id, mapping, min(key) AS key, count(DISTINCT key) AS people FROM {checked} "
        f"WHERE reason IS NULL AND {fold()} IN (SELECT h FROM {repeated}){barred} GROUP BY id, mapping"
    )
    largest = "".join(f", max({ident(name)}) AS {ident(name)}" for name in columns)
    merged = (
        f"SELECT id, min(key) AS key{largest} FROM {checked} JOIN {firsts} USING (id, mapping, key) "
        "WHERE reason IS NULL GROUP BY id"
    )
    key = f"CASE WHEN CAST(key AS VARCHAR) <> id THEN {key_hash('key')} END"
    engine.run(f"CREATE TEMP TABLE {table} AS SELECT *, {key} AS k FROM ({alone} UNION ALL BY NAME {merged})")
    shared = engine.count(f"SELECT count(DISTINCT id) FROM {firsts} WHERE people > 1")
    return Desired(table=table, checked=checked, clash=clash, withheld=withheld, shared=shared)


def _listed(columns: Sequence[str]) -> str:
    return "".join(f", {ident(name)}" for name in columns)


def _checked(engine: Engine, rows: str, id_type: IdType, *, profiles: bool) -> str:
    table = ident(engine.table("checked"))
    refused = checks.identifier_reason("id", id_type, profiles=profiles)
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT *, CASE WHEN fault IS NOT NULL THEN fault ELSE {refused} END AS reason FROM {rows}"
    )
    return table


def _withheld(engine: Engine, links: Sequence[Members], gathered: Gathered) -> str | None:
    sources = list(dict.fromkeys(m.withheld for m in links if m.withheld is not None))
    if not sources or not gathered.barred:
        return None
    table = ident(engine.table("withheld"))
    where = f" WHERE {gathered.among('id')}" if gathered.among else ""
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT DISTINCT id FROM ({' UNION ALL '.join(f'SELECT id FROM {s}{where}' for s in sources)})"
    )
    return table


def _clash(engine: Engine, checked: str, repeated: str, gathered: Gathered) -> str | None:
    table = ident(engine.table("clash"))
    groups = (
        f"SELECT lower(id) FROM {checked} WHERE reason IS NULL AND {fold()} IN (SELECT h FROM {repeated}) "
        "GROUP BY 1 HAVING count(DISTINCT id) > 1"
    )
    if gathered.near:
        groups += f" UNION ALL SELECT lower(id) FROM {gathered.near}"
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT id FROM (SELECT DISTINCT id FROM {checked} WHERE reason IS NULL AND lower(id) IN ({groups}))"
    )
    if gathered.told and engine.count(f"SELECT count(*) FROM {table}"):
        engine.run(f"DELETE FROM {table} WHERE id IN (SELECT id FROM {gathered.told})")
    return table if engine.count(f"SELECT count(*) FROM {table}") else None
