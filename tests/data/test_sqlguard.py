"""Users' SQL may read its catalogue and nothing else."""

from __future__ import annotations

import pytest

from reconciler.data.sqlguard import Checked, Rejected, check_expression, check_select
from reconciler.data.values import typed

FIELDS = ["customer_id", "orders", "last_order_at"]
TABLES = ["customers", "customers_identities"]


@pytest.mark.parametrize(
    "sql",
    [
        "orders = 1) OR (1 = 1",
        "orders = 1; DROP TABLE customers",
        "1 = 1 ORDER BY 1",
        "ordrs = 1",
        "random() < 0.5",
        "getenv('HOME') = 'x'",
        "customer_id IN (SELECT a FROM read_csv('/etc/passwd'))",
        "EXISTS (SELECT 1 FROM '/etc/passwd')",
        "",
    ],
)
def test_an_expression_that_is_more_than_a_condition_is_refused(sql: str) -> None:
    assert isinstance(check_expression(sql, tables=TABLES, fields=FIELDS), Rejected)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY customers TO 'x.csv'",
        "ATTACH 'x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '1GB'",
        "PRAGMA database_list",
        "SELECT * FROM 'x.parquet'",
        "SELECT * FROM glob('*')",
        "SELECT * FROM other",
        "SELECT 1; SELECT 2",
        "CREATE TABLE x AS SELECT 1",
        "SELECT customer_id FROM customers USING SAMPLE 10",
    ],
)
def test_a_query_that_reaches_elsewhere_is_refused(sql: str) -> None:
    assert isinstance(check_select(sql, tables=TABLES, fields=FIELDS), Rejected)


def test_good_sql_says_what_decides_and_whether_it_asks_the_clock() -> None:
    found = check_expression("orders > 2 AND last_order_at > now()", tables=TABLES, fields=FIELDS)
    assert found == Checked(frozenset({"orders", "last_order_at"}), everything=False, clock=True)


def test_a_list_column_is_a_list_not_a_text() -> None:
    assert typed('"interests"', "VARCHAR[]", "list<string>").bad == "FALSE"
