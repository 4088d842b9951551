"""The fast path over everybody: which identifiers may differ from what Batch was told, and proof that no other does.

One full join of 64-bit hashes finds the *candidates*, about as many as changed; they alone are decided exactly, on the
identifier itself. The join says nothing of two identifiers with one hash, of identifiers that repeat, or of its own
faults, so what was left out is proven: of the rows that are not candidates, members and baseline must have the same
number and the same sum of another, independent hash. Where they don't, everything is compared exactly. Both hashes live
inside one run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from reconciler.data.engine import Engine
from reconciler.data.sql import disjunction, ident

Digest = Callable[[str], str]
"""SQL of an identifier column → SQL of its 64-bit hash."""


def digest(column: str) -> str:
    """The hash by which both sides are joined."""
    return f"hash({column})"


def fold(column: str = "id") -> str:
    """Hash under which identifiers that differ only by case fall together."""
    return f"hash(lower({column}))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """Of the rows that are no candidates: their number, and the sum of the independent hash."""

    rows: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What two sides are compared by."""

    members: str
    outside: str
    """SQL that is true for rows of `members` that are none; whoever has their identifier is looked at exactly."""
    told: str
    later: str | None
    """Identifiers whose row in `told` does not count, or that are missing there: they are looked at exactly."""
    barred: str | None
    """Whoever has one of these identifiers is looked at exactly."""
    uncertain: str | None
    attributes: Mapping[str, str]
    """Logical type of every attribute of the members."""
    told_attributes: Mapping[str, str]
    reasons: Sequence[str]
    """Member columns that are NULL when all is well."""
    digest: Digest = digest

    @property
    def names(self) -> list[str]:
        """All attributes, in one order for both sides."""
        return sorted({*self.attributes, *self.told_attributes})


def find(engine: Engine, search: Search, barred: str | None) -> str:
    """A table of one column ``h``: hashes of every identifier that has to be looked at exactly; `barred` is a table of hashes."""
    h = search.digest("id")
    odd = disjunction(f"{ident(name)} IS NOT NULL" for name in ("fault", *search.reasons))
    member = (
        f"SELECT {h} AS h, {odd} AS odd, {search.outside} AS barred{_content(search, search.attributes)} "
        f"FROM {search.members} WHERE id IS NOT NULL"
    )
    told = f"SELECT {h} AS h{_content(search, search.told_attributes)} FROM {search.told}"
    if barred is not None:
        nothing = ", 0::UBIGINT" if search.names else ""
        member += f" UNION ALL SELECT h, FALSE, TRUE{nothing} FROM {barred}"
    differs = " OR m.v <> t.v" if search.names else ""
    table = ident(engine.table("candidates"))
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT coalesce(m.h, t.h) AS h FROM ({member}) AS m FULL JOIN ({told}) AS t ON m.h = t.h "
        f"WHERE m.h IS NULL OR (t.h IS NULL AND NOT m.barred) OR (t.h IS NOT NULL AND (m.barred OR m.odd{differs}))"
    )
    for exact in (search.uncertain, search.later):
        if exact is not None:
            engine.run(f"INSERT INTO {table} SELECT {h} FROM {exact}")
    return table


def hashes(engine: Engine, relation: str, digest: Digest) -> str:
    """A table of the hashes ``h`` of a relation's identifiers."""
    table = ident(engine.table("hashes"))
    engine.run(f"CREATE TEMP TABLE {table} AS SELECT {digest('id')} AS h FROM {relation} WHERE id IS NOT NULL")
    return table


def met(engine: Engine, hashed: str | None, found: str) -> bool:
    """Whether a table of hashes has one of those found."""
    return hashed is not None and bool(
        engine.count(f"SELECT count(*) FROM {hashed} WHERE h IN (SELECT h FROM {found})")
    )


def find_repeats(engine: Engine, search: Search, table: str) -> None:
    """Adds the identifiers that more than one member row has: the join cannot tell them from single ones."""
    h = search.digest("id")
    engine.run(
        f"INSERT INTO {table} SELECT {h} FROM {search.members} WHERE id IS NOT NULL AND NOT {search.outside} "
        "GROUP BY 1 HAVING count(*) > 1"
    )


def split(
    engine: Engine, stem: str, relation: str, *, picked: str, looked: str, near: str, check: str, apart: str = "FALSE"
) -> tuple[str, Sum]:
    """A table of the rows of `relation` which are `looked` at or `near`, with both as columns; the sum of all rows not looked
    at but those set `apart`.

    One pass: rows that are neither fall into one group of NULLs.
    """
    inner = f'SELECT {picked}, {check} AS "#check", coalesce({looked}, FALSE) AS looked, {apart} AS "#apart" FROM {relation}'
    columns = [name for name, _ in engine.columns(inner) if name not in ("#check", "looked", "#apart")]
    kept = ", ".join(f"CASE WHEN looked OR near THEN {ident(name)} END AS {ident(name)}" for name in columns)
    table, sums = ident(engine.table(stem)), ident(engine.table("sums"))
    engine.run(
        f'CREATE TEMP TABLE {sums} AS SELECT {kept}, looked, near, "#apart", count(*) AS "#rows", sum("#check") AS "#sum" '
        f"FROM (SELECT *, NOT looked AND coalesce({near}, FALSE) AS near FROM ({inner})) GROUP BY ALL"
    )
    rows, total = engine.row(
        f'SELECT coalesce(sum("#rows"), 0), coalesce(sum("#sum"), 0) FROM {sums} WHERE NOT (looked OR "#apart")'
    )
    engine.run(
        f"CREATE TEMP TABLE {table} AS SELECT {', '.join(map(ident, columns))}, near FROM "
        f'(SELECT *, unnest(range("#rows")) FROM {sums} WHERE looked OR near)'
    )
    engine.run(f"DROP TABLE {sums}")
    return table, Sum(rows=int(str(rows)), total=int(str(total)))


def check(search: Search, present: Mapping[str, str]) -> str:
    """The independent hash of a row: identifier and attributes, every text shifted by one byte."""
    kinds = {**search.told_attributes, **search.attributes}
    return contents([(name, kinds[name]) for name in search.names], present)[0]


def contents(kinds: Sequence[tuple[str, str]], present: Collection[str]) -> tuple[str, str]:
    """Two independent hashes of a row, identifier and attributes of these types; what is not `present` is no value."""
    shifted = [_shifted(f"a:{name}", kind) if name in present else "NULL" for name, kind in kinds]
    plain = [ident(f"a:{name}") if name in present else "NULL" for name, _ in kinds]
    return f"hash({', '.join([_text('id'), *shifted])})", f"hash({', '.join(['id', *plain, '1'])})"


def _content(search: Search, present: Mapping[str, str]) -> str:
    if not search.names:
        return ""
    values = [ident(f"a:{name}") if name in present else "NULL" for name in search.names]
    return f", hash({', '.join([*values, '0'])}) AS v"


def _shifted(name: str, kind: str) -> str:
    if kind in ("string", "url"):
        return _text(ident(name))
    return _text(f"CAST({ident(name)} AS VARCHAR)") if kind == "list<string>" else ident(name)


def _text(column: str) -> str:
    return f"' ' || {column}"
