"""The fast path over everybody: which identifiers may differ from what Batch was told, and proof that no other does.

One full join of 64-bit hashes finds the *candidates*, about as many as changed; they alone are decided exactly, on the
identifier itself. All other pairs it finds are proven to be one person on both sides: they agree in a second,
independent hash of identifier and attributes, and there are as many of them as rows of the baseline that are no
candidates, so that none of those has two members. Where there are not as many, identifiers that repeat become candidates;
if that does not explain it, everything is compared exactly. Both hashes live inside one run.
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
class Search:
    """What two sides are compared by."""

    members: str
    outside: str
    """SQL that is true for rows of `members` that are none; whoever has their identifier is looked at exactly."""
    told: str
    """Every identifier once."""
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


_DIFFER = "m.h IS NULL OR t.h IS NULL OR m.barred OR m.odd OR m.c <> t.c"


def find(engine: Engine, search: Search, barred: str | None) -> tuple[str, int]:
    """A table of one column ``h``, the hashes of every identifier that has to be looked at exactly, and the number of
    equal pairs found. `barred` is a table of hashes."""
    table, pairs = ident(engine.table("candidates")), ident(engine.table("pairs"))
    members = _side(search, search.members, search.attributes, member=True)
    if barred is not None:
        members += f" UNION ALL SELECT h, 0::UBIGINT, FALSE, TRUE FROM {barred}"
    told = _side(search, search.told, search.told_attributes)
    engine.run(
        f"CREATE TEMP TABLE {pairs} AS SELECT CASE WHEN {_DIFFER} THEN coalesce(m.h, t.h) END AS h, count(*) AS n "
        f"FROM ({members}) AS m FULL JOIN ({told}) AS t ON m.h = t.h WHERE NOT (t.h IS NULL AND m.barred) GROUP BY 1"
    )
    engine.run(f"CREATE TEMP TABLE {table} AS SELECT h FROM {pairs} WHERE h IS NOT NULL")
    nobody = "(SELECT CAST(NULL AS VARCHAR) AS id)"  # rows without identifier are looked at: their hash is one too
    for exact in (search.uncertain, search.later, nobody):
        if exact is not None:
            engine.run(f"INSERT INTO {table} SELECT {search.digest('id')} FROM {exact}")
    return table, engine.count(f"SELECT coalesce(sum(n), 0)::BIGINT FROM {pairs} WHERE h IS NULL")


def equal_pairs(engine: Engine, search: Search, members: str, told: str) -> int:
    """How many of the equal pairs that `find` counted are among these rows of both sides."""
    ours, theirs = _side(search, members, search.attributes, member=True), _side(search, told, search.told_attributes)
    return engine.count(f"SELECT count(*) FROM ({ours}) AS m JOIN ({theirs}) AS t ON m.h = t.h WHERE NOT ({_DIFFER})")


def _side(search: Search, relation: str, attributes: Mapping[str, str], *, member: bool = False) -> str:
    """SQL of ``h``, by which both sides are joined, and ``c``, the independent hash; of members also whether they are
    ``odd``, so that they always have to be looked at, and whether ``barred``, so that whoever has the identifier has."""
    kinds = {**search.told_attributes, **search.attributes}
    check = contents([(name, kinds[name]) for name in sorted(kinds)], attributes)[0]
    picked = f"{search.digest('id')} AS h, {check} AS c"
    if member:
        odd = disjunction(f"{ident(name)} IS NOT NULL" for name in ("fault", *search.reasons))
        picked += f", {odd} AS odd, {search.outside} AS barred"
    return f"SELECT {picked} FROM {relation} WHERE id IS NOT NULL"


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


def pick(engine: Engine, stem: str, relation: str, *, looked: str, near: str | None = None) -> str:
    """A table of the rows of `relation` that are to be `looked` at, or are else ``near``, which is a column."""
    table = ident(engine.table(stem))
    found = f"SELECT *, FALSE AS near FROM {relation} WHERE {looked}"
    if near is not None:
        marked = f"SELECT *, coalesce({looked}, FALSE) AS looked, coalesce({near}, FALSE) AS near FROM {relation}"
        found = f"SELECT * EXCLUDE (looked, near), NOT looked AS near FROM ({marked}) WHERE looked OR near"
    engine.run(f"CREATE TEMP TABLE {table} AS {found}")
    return table


def contents(kinds: Sequence[tuple[str, str]], present: Collection[str]) -> tuple[str, str]:
    """Two independent hashes of a row, identifier and attributes of these types; what is not `present` is no value."""
    shifted = [_shifted(f"a:{name}", kind) if name in present else "NULL" for name, kind in kinds]
    plain = [ident(f"a:{name}") if name in present else "NULL" for name, _ in kinds]
    return f"hash({', '.join([_text('id'), *shifted])})", f"hash({', '.join(['id', *plain, '1'])})"


def _shifted(name: str, kind: str) -> str:
    if kind in ("string", "url"):
        return _text(ident(name))
    return _text(f"CAST({ident(name)} AS VARCHAR)") if kind == "list<string>" else ident(name)


def _text(column: str) -> str:
    return f"' ' || {column}"
