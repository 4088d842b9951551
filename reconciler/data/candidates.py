"""The first pass over everybody: which identifiers may differ from what Batch has been told. One hash aggregate.

Members, baseline and withheld identifiers are grouped by a hash of the case-folded identifier; a group that is exactly
one member and one baseline row with equal identifier and attributes cannot differ. All others, about as many as
changed, are *candidates* and are decided exactly, on the identifier itself. A difference could hide only where two
identifiers collide in 64 bits and their contents collide in another 64 at once. The hashes live inside this query.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.data.engine import Engine
from reconciler.data.sql import ident


def fold(column: str = "id") -> str:
    """Hash by which rows are grouped: identifiers that differ only by case fall together."""
    return f"hash(lower({column}))"


def find(
    engine: Engine,
    *,
    members: str,
    told: str,
    withheld: str | None,
    uncertain: str | None,
    attributes: Sequence[str],
    told_attributes: Sequence[str],
    reasons: Sequence[str],
) -> str:
    """A table of one column ``h``: folded hashes of every identifier that has to be looked at exactly."""
    names = sorted({*attributes, *told_attributes})
    ours = _content(names, attributes)
    theirs = _content(names, told_attributes)
    fault = " + ".join(f"CAST({term} IS NOT NULL AS UTINYINT)" for term in ["fault", *map(ident, reasons)])
    sides = [
        f"SELECT {fold()} AS h, 1::UTINYINT AS side, xor({ours}, CAST({fault} AS UBIGINT)) AS content FROM {members} AS m",
        f"SELECT {fold()}, 2::UTINYINT, {theirs} FROM {told} AS t",
    ]
    if withheld is not None:
        sides.append(f"SELECT {fold()}, 4::UTINYINT, 0::UBIGINT FROM {withheld} AS w")
    table = ident(engine.table("candidates"))
    same = "(count(*) = 2 AND bit_or(side) = 3 AND bit_xor(content) = 0)"
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT h FROM ({' UNION ALL '.join(sides)}) "
        f"GROUP BY h HAVING NOT ({same} OR bit_or(side) = 4)"
    )
    if uncertain is not None:
        engine.run(
            f"INSERT INTO {table} SELECT {fold()} FROM {uncertain} WHERE {fold()} NOT IN (SELECT h FROM {table})"
        )
    return table


def _content(names: Sequence[str], present: Sequence[str]) -> str:
    """Hash of the identifier and all attribute values, independent of the grouping hash."""
    values = [ident(f"a:{name}") if name in present else "NULL" for name in names]
    return f"hash({', '.join(['id', chr(39) + 'content' + chr(39), *values])})"
