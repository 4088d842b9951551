"""Users' SQL past the parser: the engine itself refuses whatever reaches outside the catalogue."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from reconciler.data.engine import Engine
from reconciler.data.sqlguard import Checked, Rejected, check_expression, check_select, check_source
from reconciler.errors import BatchctlError, SpecInvalid
from tests.data.kit import PEOPLE, Shop, documents

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
TABLES, FIELDS = ["people", "people_identities"], ["pid", "n", "at"]


def outside(root: Path) -> list[str]:
    """Statements that read, write, attach, load, configure or call out."""
    return [
        f"SELECT * FROM read_csv('{root}/secret.csv')",
        f"SELECT * FROM '{root}/secret.csv'",
        f"SELECT * FROM read_text('{root}/secret.csv')",
        f"SELECT * FROM read_blob('{root}/*')",
        f"SELECT * FROM glob('{root}/*')",
        "SELECT * FROM read_text('/etc/passwd')",
        f"SELECT * FROM read_json('{root}/secret.csv')",
        f"SELECT * FROM sniff_csv('{root}/secret.csv')",
        f"SELECT * FROM parquet_metadata('{root}/secret.parquet')",
        "SELECT * FROM read_parquet('https://localhost/x.parquet')",
        "SELECT * FROM read_csv('s3://bucket/x.csv')",
        f"COPY (SELECT 1) TO '{root}/out.csv'",
        f"COPY people FROM '{root}/secret.csv'",
        f"EXPORT DATABASE '{root}/dump'",
        f"IMPORT DATABASE '{root}'",
        f"ATTACH '{root}/other.duckdb'",
        f"ATTACH '{root}/new.duckdb' AS n",
        "INSTALL httpfs",
        "LOAD httpfs",
        f"LOAD '{root}/x.duckdb_extension'",
        "INSTALL httpfs FROM community",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET lock_configuration = false",
        "RESET lock_configuration",
        "SET memory_limit = '1TB'",
        "SET TimeZone = 'Asia/Tokyo'",
        "PRAGMA threads = 64",
        "PRAGMA enable_external_access = true",
        "CREATE SECRET s (TYPE s3)",
        "SELECT getenv('HOME')",
    ]


def test_the_engine_refuses_what_the_parser_never_saw(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("k\nhidden\n")
    allowed = tmp_path / "allowed.csv"
    allowed.write_text("k\nseen\n")
    with duckdb.connect(str(tmp_path / "other.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    with Engine(now=NOW, scratch=tmp_path) as engine:
        engine.run("CREATE TEMP TABLE people (pid VARCHAR)")
        engine.lock([allowed])
        for statement in outside(tmp_path):
            with pytest.raises(BatchctlError) as raised:
                engine.rows(statement)
            assert "hidden" not in str(raised.value), statement
        assert engine.rows(f"SELECT * FROM read_csv('{allowed}')") == [("seen",)]
    assert {path.name for path in tmp_path.iterdir()} == {"secret.csv", "allowed.csv", "other.duckdb"}


def test_the_parser_refuses_them_first_and_in_words(tmp_path: Path) -> None:
    for statement in outside(tmp_path):
        for found in (check_select(statement, tables=TABLES, fields=FIELDS), check_source(statement)):
            assert isinstance(found, Rejected), statement
            assert found.what, statement
            assert found.fix, statement
        assert isinstance(check_expression(f"EXISTS ({statement})", tables=TABLES, fields=FIELDS), Rejected), statement


@pytest.mark.parametrize(
    "sql",
    [
        "WITH t AS (SELECT 1) SELECT pid FROM db_x.main.t",
        "WITH t AS (SELECT 1) SELECT pid FROM temp.t",
        "SELECT pid FROM \"#people\"",
        "SELECT pid FROM memory.main.people",
        "SELECT pid FROM information_schema.tables",
        "SELECT pid FROM duckdb_settings()",
        "SELECT pid FROM people, pragma_version()",
        "SELECT pid FROM people WHERE age(at) > INTERVAL 1 DAY",
        "SELECT pid FROM people ORDER BY random()",
        "SELECT pid FROM people WHERE uuid() IS NOT NULL",
        "SELECT current_setting('memory_limit')",
        "SELECT pid INTO x FROM people",
        "SELECT pid FROM people WHERE pid = $1",
        "SELECT pid FROM people WHERE pid = ?",
        "SELECT pid FROM query('SELECT 1')",
        "SELECT pid FROM query_table('other')",
        "SELECT pid FROM people TABLESAMPLE 10%",
        "VALUES (1)",
        "SUMMARIZE people",
        "EXPLAIN SELECT 1",
        "DELETE FROM people",
    ],
)  # fmt: skip
def test_sql_that_is_no_plain_reading_of_the_catalogue_is_refused(sql: str) -> None:
    assert isinstance(check_select(sql, tables=TABLES, fields=FIELDS), Rejected)


@pytest.mark.parametrize(
    ("sql", "fields", "everything", "clock"),
    [
        ("SELECT pid FROM people WHERE n > 1 AND at < now() - INTERVAL 90 DAY", {"pid", "n", "at"}, False, True),
        ("SELECT * FROM people", set(), True, False),
        ("SELECT pid FROM people GROUP BY pid HAVING count(*) > 1", {"pid"}, False, False),
        ("WITH t AS (SELECT pid, N FROM people) SELECT pid FROM t WHERE n > 1", {"pid", "n"}, False, False),
        ("SELECT pid FROM people WHERE at > current_date", {"pid", "at"}, False, True),
        ("SELECT p.pid FROM people p JOIN people_identities i ON i.pid = p.pid", {"pid"}, False, False),
        ("SELECT pid FROM people UNION SELECT pid FROM people_identities", {"pid"}, False, False),
        ("SELECT unnest(['1', '2'])", set(), False, False),
        ("SELECT pid FROM people QUALIFY row_number() OVER (PARTITION BY n ORDER BY at) = 1", {"pid", "n", "at"}, False, False),
    ],
)  # fmt: skip
def test_reading_the_catalogue_is_allowed(sql: str, fields: set[str], everything: bool, clock: bool) -> None:
    assert check_select(sql, tables=TABLES, fields=FIELDS) == Checked(
        frozenset(fields), everything=everything, clock=clock
    )


def test_now_is_the_run_s_own_instant_whatever_it_is_called(shop: Shop) -> None:
    shop.write("people.csv", "pid\n1\n")
    asked = ["now()", "current_timestamp", "localtimestamp", "get_current_timestamp()", "transaction_timestamp()",
             "current_localtimestamp()", "CAST(current_date AS TIMESTAMP) + INTERVAL 6 HOUR",
             "CAST(today() AS TIMESTAMP) + INTERVAL 6 HOUR", "current_date + localtime"]  # fmt: skip
    where = " AND ".join(f"CAST({one} AS TIMESTAMP) = TIMESTAMP '2026-11-23 06:00:00'" for one in asked)
    assert shop.look(documents(where=where)).added == {"1"}


@pytest.mark.parametrize(
    "segment",
    [
        {"where": "nobody = 1"},
        {"where": "pid"},
        {"where": "pid > 'x' AND"},
        {"where": "sum(pid) > 1"},
        {"where": "nosuch(pid)"},
        {"where": None, "query": "SELECT pid, missing FROM people"},
        {"where": None, "query": "SELECT 1 AS a, 2 AS b"},
        {"where": None, "query": "SELECT pid FROM nowhere"},
    ],
)
def test_sql_that_does_not_compile_is_an_invalid_spec(shop: Shop, segment: dict[str, str]) -> None:
    shop.write("people.csv", "pid\n1\n")
    with pytest.raises(SpecInvalid) as raised:
        shop.look(documents(catalogue=PEOPLE, **segment))
    assert len(raised.value.problems) == 1
