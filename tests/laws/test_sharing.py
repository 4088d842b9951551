"""Links that map alike share their people: each decides what it decides alone, and the source is not read once more."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.data.engine import Engine
from reconciler.spec import Spec
from tests.data.kit import Shop, Turn, documents, link, resolution
from tests.laws.model import Row, Rules, Wiring, World
from tests.laws.worlds import audiences, sources, worlds, write

FEW = settings(max_examples=settings.default.max_examples // 20)
SEGMENTS: list[dict[str, str]] = [
    {"where": "n > 0"},
    {"where": "m > 0 OR tier = 'gold'"},
    {"query": "SELECT pid FROM people WHERE n > 0"},
    {"query": "SELECT DISTINCT p.pid FROM people p JOIN people q ON p.tier = q.tier"},
    {"where": "pid IN (SELECT who FROM people_identities)"},
    {"where": "n + m > 0 AND tier IS NOT NULL"},
]


def shared(rules: Rules, number: int) -> tuple[list[Spec], list[list[Spec]]]:
    """All links together, and each alone with what it needs."""
    first = rules.links[0]
    options: dict[str, Any] = {
        "identifier": {"email" if rules.email else "custom_id": ["uid", "alt"]},
        "attributes": dict(first.attributes),
        "action": "send_emails" if rules.email else "send_custom_ids",
        "id_extension": rules.extension,
        "delete": rules.delete,
    }
    base = documents(catalogue=sources(), declared={"t": "string", "c": "string"}, **options)[:2]
    links = [link(f"link{n}", **{"where": None, **segment}, **options) for n, segment in enumerate(SEGMENTS[:number])]
    return [*base, *(one for each in links for one in each)], [[*base, *each] for each in links]


def said(turn: Turn) -> object:
    """Everything a plan says of a turn."""
    rows = [{name: value for name, value in row.items() if name != "file_row_number"} for row in turn.rows]
    return rows, turn.staged.counts, turn.staged.rejects, turn.rejected, turn.staged.first_uses, turn.staged.suppressed


@FEW
@given(rules=audiences(), first=worlds(), second=worlds(), again=st.booleans())
def test_links_that_share_decide_what_each_decides_alone(
    rules: Rules, first: World, second: World, *, again: bool
) -> None:
    with tempfile.TemporaryDirectory() as root:
        shop, (together, alone) = Shop(Path(root)), shared(rules, len(SEGMENTS))
        for world in (first, first if again else second):
            write(shop, world)
            turns = shop.look_all(together)
            for specs in alone:
                (target,) = resolution(specs).targets
                assert said(turns[target.key]) == said(shop.look(specs))
                shop.tell(target, turns[target.key])


QUIET = World(
    (
        Row("1", "a", "b", "true", "1", "1", "gold", "Rome"),
        Row("2", "c", None, "true", "1", "0", "red", None),
        Row("3", "d", "e", "true", "0", "1", None, "Oslo"),
        Row("4", "f", None, "false", "1", "1", "red", None),
    ),
    (("1", "g"), ("3", "h")),
    frozenset({"9"}),
)
ONE, TWO, THREE, FOUR = QUIET.rows
CHANGES = {
    "nothing": QUIET,
    "somebody without consent has the identifier too": replace(QUIET, rows=(*QUIET.rows[:3], replace(FOUR, uid="a"))),
    "somebody suppressed has an identifier of the graph": replace(QUIET, graph=(*QUIET.graph, ("9", "c"))),
    "suppressed": replace(QUIET, suppressed=frozenset({"2", "9"})),
    "key on two rows": replace(QUIET, rows=(*QUIET.rows, TWO)),
    "consent that cannot be read": replace(QUIET, rows=(*QUIET.rows[:3], replace(FOUR, ok="maybe"))),
    "field that decides cannot be read": replace(QUIET, rows=(ONE, TWO, replace(THREE, n="many"), FOUR)),
    "value too long": replace(QUIET, rows=(replace(ONE, tier="z" * 400), *QUIET.rows[1:])),
    "value that was not told": replace(QUIET, rows=(replace(ONE, tier="blue"), *QUIET.rows[1:])),
    "row without a key": replace(QUIET, rows=(*QUIET.rows, replace(TWO, key=None, uid="x1"))),
    "identifier that differs by case": replace(QUIET, rows=(*QUIET.rows, replace(TWO, key="5", uid="C"))),
    "two people exchanged identifiers": replace(
        QUIET, rows=(replace(ONE, uid="c"), replace(TWO, uid="a"), THREE, FOUR)
    ),
    "row of the graph that nobody has": replace(QUIET, graph=(*QUIET.graph, (None, "z"))),
    "one in and one out": replace(QUIET, rows=(replace(ONE, n="0", m="0"), TWO, replace(THREE, n="1"), FOUR)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_is_seen_by_all_that_share(tmp_path: Path, change: str) -> None:
    shop = Shop(tmp_path)
    together, alone = shared(Rules((Wiring("n", {"t": "tier"}),), extension=True), 3)
    write(shop, QUIET)
    first = shop.look_all(together)
    for target in resolution(together).targets:
        shop.tell(target, first[target.key])
    write(shop, CHANGES[change])
    turns = shop.look_all(together)
    for specs in alone:
        (target,) = resolution(specs).targets
        assert said(turns[target.key]) == said(shop.look(specs))


class Counting(Engine):
    """Counts the statements that read people.parquet, or the view of its rows."""

    reads = 0
    statements = 0

    def run(self, sql: str) -> None:
        self._count(sql)
        super().run(sql)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        self._count(sql)
        return super().rows(sql)

    def row(self, sql: str) -> tuple[object, ...]:
        self._count(sql)
        return super().row(sql)

    def _count(self, sql: str) -> None:
        reads = "people.parquet" in sql or '"#people"' in sql
        Counting.reads += reads and not sql.startswith(("CREATE TEMP VIEW", "SET", "DESCRIBE"))
        Counting.statements += 1


def counted(shop: Shop, specs: list[Spec]) -> tuple[int, int]:
    """Reads of the source, and statements, of one evaluation."""
    Counting.reads = Counting.statements = 0
    shop.look_all(specs, engine_of=Counting)
    assert Counting.reads
    return Counting.reads, Counting.statements


@pytest.fixture
def town(tmp_path: Path) -> Shop:
    """Sixty people, one without consent, one suppressed, and an identity graph."""
    shop = Shop(tmp_path)
    _people(shop, 60)
    shop.parquet("no.parquet", "SELECT 'p3' AS pid")
    shop.parquet("graph.parquet", "SELECT 'p' || i AS who, 'x' || i AS alt FROM range(20) r(i)")
    return shop


def _people(shop: Shop, number: int) -> None:
    fields = "'p' || i AS pid, 'u' || i AS uid, 'a' || i AS alt, i <> 5 AS ok, i % 3 AS n, i % 2 AS m, 'gold' AS tier, 'Rome' AS city"
    shop.parquet("people.parquet", f"SELECT {fields} FROM range({number}) r(i)")


def links(number: int) -> list[Spec]:
    """Links of one mapping, each with people of its own."""
    made = documents(catalogue=sources(), identifier={"custom_id": ["uid", "alt"]}, where="n >= 0")
    for at in range(1, number):
        made += link(f"link{at}", identifier={"custom_id": ["uid", "alt"]}, where=f"n >= {at % 3} OR m > {at}")
    return made


def test_a_link_more_reads_the_source_not_once_more(town: Shop) -> None:
    reads, _ = counted(town, links(2))
    assert counted(town, links(7))[0] == reads


def test_where_nobody_moved_a_link_more_is_no_statement_more(town: Shop) -> None:
    specs = links(7)
    for key, turn in town.look_all(specs).items():
        town.tell(next(one for one in resolution(specs).targets if one.key == key), turn)
    _people(town, 60)  # the file is another one
    assert counted(town, links(7)) == counted(town, links(2))
    _people(town, 61)
    turns = town.look_all(specs)
    assert {tuple(sorted(turn.added)) for turn in turns.values()} == {("a60", "u60"), ()}


class Closing(Engine):
    """Knows which tables were left when it was closed."""

    left: frozenset[str] = frozenset()

    def close(self) -> None:
        Closing.left = frozenset(
            str(name).partition("#")[0] for (name,) in self.rows("FROM duckdb_tables() SELECT table_name")
        )
        super().close()


def test_nothing_of_one_link_is_left_when_the_next_is_compared(town: Shop) -> None:
    town.look_all(links(3), engine_of=Closing)
    assert "withheld" in Closing.left
    assert not Closing.left & {"rows", "checked", "desired", "joined", "final", "verdict", "asked", "rejects"}
