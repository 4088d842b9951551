"""The fast path over everybody: which identifiers may differ from what Batch was told, and proof that no other does.

One value per row of either side, made of hashes, is sorted; what does not stand beside its equal is a *candidate*, about
as many as changed, and they alone are decided exactly, on the identifier itself. That all others are the same people on
both sides is proven by the sum of a second, independent hash of identifier and attributes: over members and over told it
must be the same once candidates are taken out, as must be their number. Where it is not, everything is compared exactly.
No hash outlives the run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from reconciler.data.engine import Engine
from reconciler.data.pairs import FEW, UNEVEN, Layout, Matcher, Side, chosen, summed
from reconciler.data.sql import Digest, digest, disjunction, ident


def fold(column: str = "id") -> str:
    """Hash under which identifiers that differ only by case fall together."""
    return f"hash(lower({column}))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The members of one link."""

    rows: str
    outside: str
    """SQL that is true for `rows` that are no members; whoever has their identifier is looked at exactly."""
    attributes: Mapping[str, str]
    """Logical type of every attribute of the rows."""
    reasons: Sequence[str]
    """Columns that are NULL when all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What two sides are compared by."""

    parts: Sequence[Part]
    told: str
    """Every identifier once."""
    later: str | None
    """Identifiers whose row in `told` does not count, or that are missing there: they are looked at exactly."""
    barred: str | None
    """Whoever has one of these identifiers is looked at exactly."""
    uncertain: str | None
    told_attributes: Mapping[str, str]
    digest: Digest = digest

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Name and logical type of every attribute of either side, in order."""
        kinds = dict(self.told_attributes)
        for part in self.parts:
            kinds.update(part.attributes)
        return sorted(kinds.items())

    @property
    def layout(self) -> Layout:
        """How the values of both sides are made."""
        return Layout.of(attributes=bool(self.kinds))

    def prefix(self, column: str) -> str:
        """SQL of what identifiers are found by."""
        return self.layout.prefix(self.digest(column))


@dataclass(frozen=True, slots=True)
class Sum:
    """Rows, and what the independent hashes of all of them add up to, modulo 2^64."""

    rows: int = 0
    hashes: int = 0

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.rows + other.rows, (self.hashes + other.hashes) % (1 << 64))

    def __sub__(self, other: Sum) -> Sum:
        return Sum(self.rows - other.rows, (self.hashes - other.hashes) % (1 << 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What may differ, and the sums of both sides that prove that nothing else does."""

    table: str
    """Prefixes ``h`` of the identifiers that have to be looked at exactly."""
    most: bool
    """They are so many that to look at everybody takes less."""
    members: Sum
    """Of members that nothing is odd about."""
    told: Sum


def find(engine: Engine, search: Search, barred: str | None) -> Found:
    """Every identifier that has to be looked at exactly. `barred` is a table of hashes ``h`` of identifiers."""
    layout = search.layout
    matcher = Matcher(lambda: engine.path("values", ""))
    told, members = _taken(engine, _valued(search, search.told), matcher), Sum()
    for part in search.parts:
        members += _taken(engine, _valued(search, part.rows, part), matcher)
    if barred is not None:
        _taken(engine, f"SELECT {layout.value('h', '0', str(int(Side.OUTSIDE)))} AS v, h AS c FROM {barred}", matcher)
    table = ident(engine.table("candidates"))
    engine.run(f"CREATE TEMP TABLE {table} (h UBIGINT)")
    unequal = 0
    for alone in matcher.unpaired(layout):
        engine.insert(table, alone)
        unequal += len(alone)
    nobody = "(SELECT CAST(NULL AS VARCHAR) AS id)"  # rows without identifier are looked at: their hash is one too
    for exact in (search.uncertain, search.later, nobody):
        if exact is not None:
            engine.run(f"INSERT INTO {table} SELECT {search.prefix('id')} FROM {exact}")
    return Found(table=table, most=unequal > max(FEW, (members.rows + told.rows) // 4), members=members, told=told)


def _taken(engine: Engine, sql: str, matcher: Matcher) -> Sum:
    """Gives the values of a query to the matcher; the sum over rows that nothing is odd about."""
    total = Sum()
    for values, checks in engine.arrays(sql):
        matcher.add(values)
        total += Sum(*summed(values, checks))
    return total


def total(engine: Engine, search: Search, rows: str, part: Part | None = None) -> Sum:
    """The same sum over few rows of one part, or of those told."""
    plain = f"FROM ({_valued(search, rows, part)}) WHERE v & {UNEVEN} = 0"
    rows_found, hashes = engine.row(f"SELECT count(*), coalesce(sum(c), 0) {plain}")
    return Sum(int(str(rows_found)), int(str(hashes)) % (1 << 64))


def _valued(search: Search, relation: str, part: Part | None = None) -> str:
    """SQL of the value ``v`` of every row, of a part or told, by which both sides are matched, and of its independent
    hash ``c``."""
    kinds, present, side = search.kinds, search.told_attributes, str(int(Side.TOLD))
    if part is not None:
        present = part.attributes
        odd = disjunction(["faulty", *(f"{ident(name)} IS NOT NULL" for name in part.reasons)])
        whens = f"WHEN {part.outside} THEN {int(Side.OUTSIDE)} WHEN {odd} THEN {int(Side.ODD)}"
        side = f"CASE {whens} ELSE {int(Side.MEMBER)} END"
    carried = f"hash({', '.join(_plain(kinds, present))})" if kinds else "0"
    value = search.layout.value(search.digest("id"), carried, side)
    return f"SELECT {value} AS v, {contents(kinds, present)[0]} AS c FROM {relation} WHERE id IS NOT NULL"


def hashes(engine: Engine, relation: str, digest: Digest) -> str:
    """A table of the hashes ``h`` of a relation's identifiers."""
    table = ident(engine.table("hashes"))
    engine.run(f"CREATE TEMP TABLE {table} AS SELECT {digest('id')} AS h FROM {relation} WHERE id IS NOT NULL")
    return table


def not_plain(engine: Engine, looked: str) -> str:
    """A table of the hashes ``h`` that more than one row of `looked` has, a query, or a row that is ``odd``, 0 or 1."""
    matcher = Matcher(lambda: engine.path("values", ""))
    for values, odd in engine.arrays(f"SELECT h, odd::UBIGINT FROM ({looked})"):
        matcher.add(values)
        matcher.add(chosen(values, odd))  # to be found once more is to be found
    table = ident(engine.table("odd"))
    engine.run(f"CREATE TEMP TABLE {table} (h UBIGINT)")
    for found in matcher.repeated():
        engine.insert(table, found)
    return table


def repeated(engine: Engine, key: str, relation: str) -> str:
    """A table of the keys, ``key``, that more than one row of a relation has."""
    matcher = Matcher(lambda: engine.path("values", ""))
    for (values,) in engine.arrays(f"SELECT {digest(key)} FROM {relation} WHERE {key} IS NOT NULL"):
        matcher.add(values)
    hashed, table = ident(engine.table("repeated")), ident(engine.table("doubled", lasting=True))
    engine.run(f"CREATE TEMP TABLE {hashed} (h UBIGINT)")
    found = 0
    for hashes in matcher.repeated():
        engine.insert(hashed, hashes)
        found += len(hashes)
    where = f"{digest(key)} IN (SELECT h FROM {hashed}) AND {key} IS NOT NULL" if found else "FALSE"
    rows = f"SELECT {key} AS key FROM {relation} WHERE {where} GROUP BY 1 HAVING count(*) > 1"
    engine.run(f"CREATE TEMP TABLE {table} AS {rows}")
    return table


def met(engine: Engine, search: Search, hashed: str | None, found: str) -> bool:
    """Whether a table of hashes has one of those found."""
    return hashed is not None and bool(
        engine.count(f"SELECT count(*) FROM {hashed} WHERE {search.layout.prefix('h')} IN (SELECT h FROM {found})")
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
    plain = _plain(kinds, present)
    return f"hash({', '.join([_SHIFTED_ID, *shifted])})", f"hash({', '.join(['id', *plain, '1'])})"


def _plain(kinds: Sequence[tuple[str, str]], present: Collection[str]) -> list[str]:
    return [ident(f"a:{name}") if name in present else "NULL" for name, _ in kinds]


def _shifted(name: str, kind: str) -> str:
    if kind in ("string", "url"):
        return _text(ident(name))
    return _text(f"CAST({ident(name)} AS VARCHAR)") if kind == "list<string>" else ident(name)


_SHIFTED_ID = "concat(' ', id)"  # of what is never missing; faster than ||, which is NULL for NULL


def _text(column: str) -> str:
    return f"' ' || {column}"
