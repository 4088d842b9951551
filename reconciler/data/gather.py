"""The rows of a target that are decided exactly: the candidates of the fast path once it is proven, else everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.data import candidates
from reconciler.data.candidates import Search, Sum, fold
from reconciler.data.engine import Engine
from reconciler.data.membership import Members
from reconciler.data.sql import ident


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Relations of one target."""

    rows: str
    """Member rows of all links, with the link's and its mapping's number and, per attribute, that a link covers it."""
    told: str | None
    """What Batch was told of the identifiers to decide."""
    near: str | None = None
    """Identifiers told and unchanged that may differ only by case from one to decide."""
    candidates: str | None = None
    """Hashes of the identifiers to decide; None: all of them."""
    unchanged: int = 0
    """Identifiers that are members and were told, with the same attributes, and are not in the relations above."""


def everybody(engine: Engine, links: Sequence[Members], told: str | None) -> Gathered:
    """All rows of both sides."""
    table = ident(engine.table("rows"))
    mappings = list(dict.fromkeys(members.link.mapping.name for members in links))
    parts = [
        f"SELECT {_picked(members, n, mappings.index(members.link.mapping.name))} FROM {members.rows}"
        for n, members in enumerate(links)
    ]
    engine.run(f"CREATE TEMP TABLE {table} AS {' UNION ALL BY NAME '.join(parts)}")
    return Gathered(rows=table, told=told)


def narrowed(engine: Engine, members: Members, search: Search) -> Gathered:
    """The rows of one link that may differ from what was told, or everybody when it cannot be proven that no other does."""
    found = candidates.find(engine, search)
    for repeats in (False, True):
        if repeats:
            candidates.find_repeats(engine, search, found)
        gathered, ours, theirs = _gathered(engine, members, search, found)
        if ours == theirs:
            return gathered
    return everybody(engine, [members], search.told)


def _gathered(engine: Engine, members: Members, search: Search, found: str) -> tuple[Gathered, Sum, Sum]:
    looked = f"{search.digest('id')} IN (SELECT h FROM {found})"
    rows, ours = candidates.split(
        engine,
        "rows",
        members.rows,
        picked=_picked(members, 0, 0),
        looked=f"{looked} OR id IS NULL",
        near="FALSE",
        check=candidates.check(search, search.attributes),
    )
    both, theirs = candidates.split(
        engine,
        "told",
        search.told,
        picked="*",
        looked=looked,
        near=f"{fold()} IN (SELECT {fold()} FROM {rows} WHERE id IS NOT NULL)",
        check=candidates.check(search, search.told_attributes),
    )
    told, near = (f"(SELECT * EXCLUDE (near) FROM {both} WHERE {test})" for test in ("NOT near", "near"))
    return Gathered(rows=rows, told=told, near=near, candidates=found, unchanged=theirs.rows), ours, theirs


def _picked(members: Members, link: int, mapping: int) -> str:
    covered = "".join(f", TRUE AS {ident(f'c:{a.name}')}" for a in members.link.attributes)
    return f"*, {link} AS link, {mapping} AS mapping{covered}"
