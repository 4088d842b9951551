"""The rows of a target that are decided exactly: the candidates of the fast path once it is proven, else everybody; of
a target never told of anybody those that are not plainly new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.data import candidates
from reconciler.data.baseline import PRESENT
from reconciler.data.candidates import Found, Search, Sum, fold
from reconciler.data.engine import Engine
from reconciler.data.membership import DOUBLED, Members
from reconciler.data.sql import (
    ADD,
    CASED,
    DUCK_TYPES,
    conjunction,
    digest,
    disjunction,
    ident,
    key_hash,
    kind_of,
    lit,
    stored_hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Relations of one target."""

    rows: str
    """Member rows of all links, with the link's and its mapping's number and, per attribute, that a link covers it."""
    told: str | None
    """What Batch was told of the identifiers to decide."""
    near: str | None = None
    """Identifiers told and unchanged that may differ only by case from one to decide."""
    among: Callable[[str], str] | None = None
    """Column of identifiers → SQL that is true for those to decide; None: all of them."""
    fresh: str | None = None
    """Members that Batch was never told of and that nothing else is to be said of, as rows of a delta file."""
    others: str | None = None
    """SQL of the keys of the catalogue's other rows that have one of the identifiers to decide, of links that are `keyed`."""
    barred: bool = True
    """Whether somebody withheld may have one of the identifiers to decide."""
    doubled: str | None = None
    """Keys on more than one row, as far as they matter here; None: all of the catalogue."""
    unchanged: int = 0
    """Identifiers that are members and were told, with the same attributes, and are not in the relations above."""


def everybody(engine: Engine, links: Sequence[Members], told: str | None) -> Gathered:
    """All rows of both sides."""
    return Gathered(rows=_rows(engine, links, [members.rows for members in links]), told=told)


def narrowed(engine: Engine, links: Sequence[Members], search: Search, told: str) -> Gathered:
    """The rows that may differ from what was told, or everybody when it cannot be proven that no other does.

    `search` has a part for each link.
    """
    barred = candidates.hashes(engine, search.barred, search.digest) if search.barred else None
    found = candidates.find(engine, search, barred)
    gathered = None if found.most else _gathered(engine, links, search, found)
    if gathered is None:
        return everybody(engine, links, told)
    barred_too = candidates.met(engine, search, barred, found.table)
    gathered = replace(gathered, barred=barred_too or gathered.others is not None)
    return _paired(engine, links[0], gathered) if by_key(links) else gathered


def by_key(links: Sequence[Members]) -> bool:
    """Whether keys on more than one row are met by comparing identifiers: of one link that is `keyed`."""
    return len(links) == 1 and links[0].keyed


def _rows(engine: Engine, links: Sequence[Members], relations: Sequence[str]) -> str:
    """A table of the rows of all links, of which each has its relation."""
    table = ident(engine.table("rows"))
    mappings = list(dict.fromkeys(members.link.mapping.name for members in links))
    parts = [
        f"SELECT {_picked(members, n, mappings.index(members.link.mapping.name))} FROM {relation}"
        for n, (members, relation) in enumerate(zip(links, relations, strict=True))
    ]
    engine.run(f"CREATE TEMP TABLE {table} AS {' UNION ALL BY NAME '.join(parts)}")
    return table


def newcomers(
    engine: Engine,
    members: Members,
    attributes: Mapping[str, str],
    *,
    sent: Collection[str],
    refused: str,
    valued: bool,
) -> Gathered:
    """The rows of one link whose target was never told of anybody: only those are decided that are not `fresh`.

    Fresh are rows without any fault whose identifier is on no other row, in whatever case, and withheld from nobody;
    they have a column for each of `attributes` (name → logical type), with values where it is `sent`.
    `refused` is SQL of the reason to refuse an identifier; with `valued`, who has no attribute is not sent at all.
    """
    rows, barred = members.unpaired if members.keyed else members.rows, members.barred(keyed=members.keyed)
    everyone, outside = (members.everyone, "outside") if members.keyed else (rows, "FALSE")
    reasons = [f"({refused})", *(ident(f"r:{one.name}") for one in members.link.attributes)]
    tests = ["faulty", *(f"{reason} IS NOT NULL" for reason in reasons)]
    if valued:
        tests.append(conjunction(f"{ident('a:' + name)} IS NULL" for name in sorted(sent)))
    odds = f"coalesce(NOT {outside} AND ({disjunction(tests)}), FALSE)"
    looked = f"SELECT {fold()} AS h, {odds} AS odd FROM {everyone} WHERE id IS NOT NULL"
    if barred:
        looked += f" UNION ALL SELECT {fold()}, FALSE FROM {barred} WHERE id IS NOT NULL"
    odd = candidates.not_plain(engine, looked)
    some = engine.count(f"SELECT count(*) FROM {odd}") > 0

    def among(column: str) -> str:
        return f"{fold(column)} IN (SELECT h FROM {odd})" if some else "FALSE"

    clear = f"id IS NOT NULL AND NOT {among('id')}"
    table = ident(engine.table("rows"))
    engine.run(f"CREATE TEMP TABLE {table} AS SELECT {_picked(members, 0, 0)} FROM {rows} WHERE NOT ({clear})")
    values = "".join(
        f", CAST({ident(f'a:{name}') if name in sent else 'NULL'} AS {DUCK_TYPES[kind]}) AS {ident(f'a:{name}')}"
        for name, kind in sorted(attributes.items())
    )
    key = "CAST(NULL AS UUID)" if members.keyed else stored_hash(key_hash("key"))
    row = f"id, {CASED}, {kind_of(ADD)}, {key} AS k, CAST([] AS VARCHAR[]) AS held{values}"
    fresh = f"SELECT {row} FROM {rows} WHERE {clear}"
    others = f"SELECT key FROM {members.outside} WHERE {among('id')}" if members.keyed and some else None
    gathered = Gathered(rows=table, told=None, among=among, fresh=fresh, others=others, barred=some)
    return _paired(engine, members, gathered) if members.keyed else gathered


def _paired(engine: Engine, members: Members, gathered: Gathered) -> Gathered:
    """Marks keys on more than one row. Each of them is an identifier among the candidates, or differs in no row from
    what was told; only if somebody was told under another identifier than their key, all keys have to be looked at."""
    assert gathered.among is not None
    if gathered.told and engine.count(
        f"SELECT count(*) FROM {gathered.told} WHERE k IS NOT NULL AND k <> {key_hash('id')}"
    ):
        doubled = members.opened.doubled
    else:
        doubled = ident(engine.table("doubled"))
        keys = f"SELECT key FROM {gathered.rows} WHERE key IS NOT NULL"
        if gathered.others:
            keys += f" UNION ALL {gathered.others}"
        engine.run(f"CREATE TEMP TABLE {doubled} AS SELECT key FROM ({keys}) GROUP BY key HAVING count(*) > 1")
    if engine.count(f"SELECT count(*) FROM {doubled}"):
        engine.run(
            f"UPDATE {gathered.rows} SET fault = {lit(DOUBLED)} WHERE fault IS NULL AND key IN (SELECT key FROM {doubled})"
        )
    return replace(gathered, doubled=doubled)


def _gathered(engine: Engine, links: Sequence[Members], search: Search, found: Found) -> Gathered | None:
    """The rows whose identifiers were found; None when the others are not proven to be the same on both sides."""

    def among(column: str) -> str:
        return f"{search.prefix(column)} IN (SELECT h FROM {found.table})"

    keyed, others, summed = by_key(links), None, Sum()
    everyone = [ident(engine.table("everyone")) for _ in links]
    for members, part, table in zip(links, search.parts, everyone, strict=True):
        engine.run(f"CREATE TEMP TABLE {table} AS SELECT * FROM {members.compared(keyed=keyed, test=among)}")
        summed += candidates.total(engine, search, table, part)
    if keyed and engine.count(f"SELECT count(*) FROM {everyone[0]} WHERE outside"):
        others = f"SELECT key FROM {everyone[0]} WHERE outside"
    ours = [f"{table} WHERE NOT {part.outside}" for table, part in zip(everyone, search.parts, strict=True)]
    rows = _rows(engine, links, ours)
    (cased,) = engine.row(f"SELECT coalesce(bool_or(cased), FALSE) FROM {search.told}")
    near = _near(engine, rows, cased=bool(cased))
    both = candidates.pick(engine, "told", search.told, looked=among("id"), near=near)
    told, near = (f"(SELECT * EXCLUDE (near) FROM {both} WHERE {test})" for test in ("NOT near", "near"))
    others_told = found.told - candidates.total(engine, search, told)
    if found.members - summed != others_told:
        return None
    if search.later is not None:
        told = (
            f"(SELECT * FROM {told} AS base ANTI JOIN {search.later} AS later ON later.id = base.id UNION ALL BY NAME "
        )
        told += f"SELECT * EXCLUDE (target, layer, kind, file_row_number) FROM {search.later} WHERE {PRESENT})"
    return Gathered(rows=rows, told=told, near=near, among=among, others=others, unchanged=others_told.rows)


def _near(engine: Engine, rows: str, *, cased: bool) -> str | None:
    """SQL that is true for identifiers of *told* that may differ only by case from one of `rows`, and for few others; None
    when there are none. `cased` says whether lower case would change any that was told."""
    ours = engine.count(f"SELECT count(*) FROM {rows} WHERE id <> lower(id)") > 0
    if not cased and not ours:
        return None
    others = f" ELSE {digest('id')}" if ours else ""
    lower = f"CASE WHEN cased THEN {fold()}{others} END"
    return f"{lower} IN (SELECT {fold()} FROM {rows} WHERE id IS NOT NULL)"


def _picked(members: Members, link: int, mapping: int) -> str:
    covered = "".join(f", TRUE AS {ident(f'c:{a.name}')}" for a in members.link.attributes)
    return f"*, {link} AS link, {mapping} AS mapping{covered}"
