"""Conditions recognised as plain reach nothing: whatever they are taken for, the parser and the engine agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.data.engine import Engine
from reconciler.data.plainsql import plain_query, plain_shape
from reconciler.data.segments import check_segment, check_segments, empty_tables
from reconciler.data.sqlguard import Rejected, check_expression
from reconciler.spec import Catalogue, Segment

FIELDS = frozenset({"pid", "orders", "since", "getenv", "e"})
CATALOGUE = Catalogue.model_validate(
    {
        "apiVersion": "batchctl/v1",
        "kind": "Catalogue",
        "name": "people",
        "source": {"path": "people.csv"},
        "key": "pid",
        "fields": {
            "pid": "string",
            "orders": "integer",
            "since": "date",
            "ok": "boolean",
            "getenv": "string",
            "e": "string",
        },
    }
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(now=datetime(2026, 1, 1, tzinfo=UTC), memory="100MB") as one:
        one.lock([])
        empty_tables(one, CATALOGUE)
        yield one


@pytest.mark.parametrize(
    "sql",
    [
        "orders > 3",
        "ORDERS BETWEEN 1 AND 20 AND pid <> 'o''neill'",
        "since < DATE '2026-01-01' - INTERVAL 30 DAY OR NOT (orders IN (1, 2, 3))",
        "lower(trim(pid)) LIKE 'a%' AND since >= today()",
        "orders::double / 2.5 > 1",
        "pid = 'read_csv(''x'') -- no'",
    ],
)
def test_plain(sql: str) -> None:
    assert (plain_shape(sql, FIELDS) is not None) == ("--" not in sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "orders > 3; DROP TABLE people",
        "pid = getenv('HOME')",
        "pid IN (SELECT pid FROM people)",
        "orders > 1) OR (1 = 1",
        "(orders > 1",
        "pid = 'a",
        "pid = e'\\' OR getenv(' ' '",
        "pid = e'a'",
        "pid = $$a$$",
        'pid = "x"',
        "orders > 1 /* */ OR unknown",
        "missing = 1",
        "read_text('/etc/passwd') IS NULL",
        "orders > 1 OR orders > @1",
        "pid = 'é' OR pié",
    ],
)
def test_not_plain(sql: str) -> None:
    assert plain_shape(sql, FIELDS) is None


def test_only_whole_numbers_are_made_equal() -> None:
    one = plain_shape("orders > 17 AND pid = '17' AND orders < 1.50", FIELDS)
    assert one == "orders > 1 AND pid = '17' AND orders < 1.50"
    assert one == plain_shape("orders > 4 AND pid = '17' AND orders < 1.50", FIELDS)
    assert plain_shape("orders > 12345678901", FIELDS) == "orders > 12345678901"


def test_a_query_of_the_key_is_its_condition() -> None:
    assert plain_query("select PID\nfrom people where orders > 1", "people", "pid") == "orders > 1"
    assert plain_query("SELECT orders FROM people WHERE orders > 1", "people", "pid") is None
    assert plain_query("SELECT pid FROM others WHERE orders > 1", "people", "pid") is None


_SOUP = st.lists(
    st.sampled_from(
        ["pid", "orders", "since", "getenv", "e", "(", ")", "'", "''", "'a'", "AND", "OR", "NOT", "=", "<", ">", "-"]
        + [
            "1",
            "2.5",
            ",",
            "now",
            "read_text",
            "lower",
            "DATE '2026-01-01'",
            "IN",
            "IS NULL",
            "BETWEEN",
            "::",
            ".",
            "*",
        ]
    ),
    min_size=1,
    max_size=9,
)


@given(soup=_SOUP, glue=st.sampled_from(["", " "]))
def test_whatever_is_plain_and_compiles_is_accepted_by_the_parser(engine: Engine, soup: list[str], glue: str) -> None:
    sql = glue.join(soup)
    segment = _segment("one", sql)
    if plain_shape(sql, FIELDS) is not None and not check_segments(engine, [(segment, CATALOGUE)]):
        fields = list(CATALOGUE.fields)
        assert not isinstance(check_expression(sql, tables=["people"], fields=fields), Rejected)


def test_many_together_are_judged_as_each_alone(engine: Engine) -> None:
    texts = ["orders > 1", "orders", "pid > 3", "since = 'x'", "ok", "missing > 1", "lower(orders) = 'a'", "1 = 1"]
    segments = [_segment(f"s{n}", text) for n, text in enumerate(texts)]
    segments.append(Segment.model_validate({**_head("q"), "query": "SELECT pid FROM people WHERE orders > 1"}))
    segments.append(Segment.model_validate({**_head("q2"), "query": "SELECT pid FROM people WHERE missing > 1"}))
    alone = {one.name: check_segment(engine, one, CATALOGUE) for one in segments}
    expected = {name: found for name, found in alone.items() if found is not None}
    assert check_segments(engine, [(one, CATALOGUE) for one in segments]) == expected
    assert {"s1", "s5", "q2"} <= set(expected)
    assert not {"s0", "s4", "s7", "q"} & set(expected)


def _head(name: str) -> dict[str, str]:
    return {"apiVersion": "batchctl/v1", "kind": "Segment", "name": name, "catalogue": "people"}


def _segment(name: str, where: str) -> Segment:
    return Segment.model_validate({**_head(name), "where": where})
