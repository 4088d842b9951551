"""Links of which nobody moved, found many at a time: members and baseline have the same sums of two independent hashes.

Links that map alike cost one pass over their shared people, all baselines one pass over their files. Only links are
answered for that have nothing to report: no fault, no unusable value, nobody withheld. All others are decided exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.address import TargetKey
from reconciler.data.baseline import PRESENT, Placed, newest_of, stacked
from reconciler.data.candidates import contents
from reconciler.data.engine import Engine
from reconciler.data.membership import Members
from reconciler.data.sql import disjunction, ident
from reconciler.errors import SourceError
from reconciler.state.state import DataFile

_TOGETHER = 100
_Sums = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One link that fills a target by itself, and what the target was told: base first, newest last."""

    members: Members
    layers: Sequence[tuple[Path, DataFile]]
    told: Mapping[str, str]
    """Logical type of every attribute that any told row may hold."""

    @property
    def own(self) -> dict[str, str]:
        """Logical type of every attribute of the members."""
        return {one.name: one.type for one in self.members.link.attributes}

    @property
    def kinds(self) -> tuple[tuple[str, str], ...]:
        """Every attribute of either side with its type, in one order for both."""
        return tuple(sorted({**self.own, **self.told}.items()))


def still(engine: Engine, asked: Mapping[TargetKey, Asked]) -> dict[TargetKey, int]:
    """Number of members of every target that is proven to be what it was told to be."""
    usable = {key: one for key, one in asked.items() if one.layers and _silent(one.members)}
    told: dict[TargetKey, _Sums] = {}
    alike: dict[object, list[TargetKey]] = {}
    kinds: dict[object, list[TargetKey]] = {}
    for key, one in usable.items():
        alike.setdefault((one.members.mapped.alike, one.kinds), []).append(key)
        kinds.setdefault((one.kinds, tuple(one.told)), []).append(key)
    for keys in kinds.values():
        told.update(zip(keys, _told(engine, [usable[key] for key in keys]), strict=True))
    found: dict[TargetKey, int] = {}
    for keys in alike.values():
        for start in range(0, len(keys), _TOGETHER):
            some = keys[start : start + _TOGETHER]
            sums = _members(engine, [usable[key] for key in some])
            found.update({key: now[0] for key, now in zip(some, sums, strict=True) if now == told[key]})
    return found


def _silent(members: Members) -> bool:
    """Whether nothing but its rows can make the link say something; rows without a line are reported by each link."""
    opened, mapped = members.opened, members.mapped
    loud = opened.rows.malformed or (mapped.graph_fields and opened.graph_unreadable)
    return mapped.fields is not None and members.condition is not None and not loud


def _members(engine: Engine, some: Sequence[Asked]) -> list[_Sums | None]:
    """Sums over the members of links that map alike; None for a link that has something to report.

    A row becomes one number per link that it belongs to: twice the link's, and one more if it is to be reported.
    """
    first = some[0].members
    values = "".join(f", {ident(f'a:{one.name}')}" for one in first.link.attributes)
    wrong = disjunction(['"#barred"', *(f"{ident(f'r:{one.name}')} IS NOT NULL" for one in first.link.attributes)])
    doubled = first.opened.doubles > 0
    told = [one.members.fault(doubled=doubled) for one in some]
    faults = list(dict.fromkeys(told))  # of a row, asked once for all links
    flags = "".join(f', ({fault}) IS NOT NULL AS "#fault{n}"' for n, fault in enumerate(faults))
    codes = []
    for n, one in enumerate(some):
        bad = f'"#fault{faults.index(told[n])}"'
        inside = f'({one.members.chosen}) AND ("#id" IS NOT NULL OR {bad})'
        codes.append(f'CASE WHEN {inside} THEN {2 * n} + ({bad} OR "#odd")::INT END')
    people = f'SELECT *, {wrong} AS "#odd"{flags} FROM {first.mapped.shared} AS {first.engine_table}'
    rows = f'SELECT "#id" AS id{values}, [{", ".join(codes)}] AS codes FROM ({people}) AS {first.engine_table}'
    total, other = contents(some[0].kinds, some[0].own)
    hashed = f"SELECT {total} AS one, {other} AS two, unnest(codes) AS code FROM ({rows})"
    try:
        found = engine.rows(
            f"SELECT code, count(*), sum(one), sum(two) FROM ({hashed}) WHERE code IS NOT NULL GROUP BY code"
        )
        unread = _unread(engine, some)
    except SourceError:  # one of them cannot be computed; alone it says so
        return [None] * len(some)
    sums = {int(str(code)): (int(str(n)), int(str(a)), int(str(b))) for code, n, a, b in found}
    return [sums.get(2 * n, (0, 0, 0)) if silent and 2 * n + 1 not in sums else None for n, silent in enumerate(unread)]


def _unread(engine: Engine, some: Sequence[Asked]) -> list[bool]:
    """Of each link, whether nobody of its segment has consent that cannot be read."""
    first = some[0].members
    if not first.opened.consent_unread:
        return [True] * len(some)
    picked = ", ".join(f"count(*) FILTER ({one.members.selected})" for one in some)
    where = f"{first.engine_table}.{ident(f'!{first.opened.spec.consent}')}"
    return [
        not n
        for n in engine.row(f"SELECT {picked} FROM {first.opened.rows.view} AS {first.engine_table} WHERE {where}")
    ]


def _told(engine: Engine, listed: Sequence[Asked]) -> list[_Sums]:
    """Sums over what targets with the same attributes were told, newest wins; one pass over all their files."""
    kinds, told = listed[0].kinds, listed[0].told
    placed = [
        Placed(path=path, file=file, target=n, layer=at)
        for n, one in enumerate(listed)
        for at, (path, file) in enumerate(one.layers)
    ]
    base, later = [one for one in placed if not one.layer], [one for one in placed if one.layer]
    rows = f"SELECT * FROM ({stacked(engine, base, told)}) AS base"
    made = ""
    if later:
        made = f"WITH later AS MATERIALIZED ({newest_of(stacked(engine, later, told))}) "
        rows += " ANTI JOIN later ON later.target = base.target AND later.id = base.id UNION ALL SELECT * FROM later"
    one, two = contents(kinds, set(told))
    sums = engine.rows(
        f"{made}SELECT target, count(*), sum({one}), sum({two}) FROM ({rows}) WHERE {PRESENT} GROUP BY target"
    )
    found = {int(str(at)): (int(str(n)), int(str(a)), int(str(b))) for at, n, a, b in sums}
    return [found.get(n, (0, 0, 0)) for n in range(len(listed))]
