"""The demo's catalogue: real purchases, invented people, the same on every machine, and moving with time."""

from __future__ import annotations

import stat
from datetime import date
from pathlib import Path

import duckdb
import pytest

from reconciler.demo.data import FIELDS, LAST_DAY, Summary, build
from reconciler.demo.purchases import SHA256, fetch
from reconciler.errors import SourceError

KINDS = {
    "VARCHAR": "string",
    "BIGINT": "integer",
    "DOUBLE": "float",
    "TIMESTAMP": "timestamp",
    "BOOLEAN": "boolean",
    "VARCHAR[]": "list<string>",
}


@pytest.fixture(scope="module")
def purchases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4,000 invented buyers in the layout of the original, one order each plus a late one for every third."""
    lines = [" customer_id  date number_of_cds  dollar_value"]
    for n in range(1, 4001):
        lines.append(f" {n:05} 1997{1 + n % 3:02}{1 + n % 28:02} {n % 9:2} {n % 97:6}.50")
        lines += [f" {n:05} 19980301  2  100.25"] if n % 3 == 0 else []
    path = tmp_path_factory.mktemp("cdnow") / "master.txt"
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


def rows(out: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        data = out / "data"
        for name in ("customers.parquet", "devices.parquet", "suppressed.csv"):
            connection.execute(f"CREATE VIEW {name.split('.')[0]} AS FROM '{data / name}'")
        return connection.execute(sql).fetchall()


def test_columns_are_those_the_catalogue_declares(purchases: Path, tmp_path: Path) -> None:
    build(purchases, tmp_path, until=LAST_DAY)
    described = rows(tmp_path, "SELECT column_name, column_type FROM (DESCRIBE customers)")
    assert {str(name): KINDS[str(kind)] for name, kind in described} == FIELDS


def test_the_same_day_makes_the_same_bytes(purchases: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        build(purchases, tmp_path / folder, until=date(1998, 1, 31))
    build(purchases, tmp_path / "b", until=date(1998, 1, 31))
    for name in ("customers.parquet", "devices.parquet", "suppressed.csv"):
        assert (tmp_path / "a/data" / name).read_bytes() == (tmp_path / "b/data" / name).read_bytes()
        assert stat.S_IMODE((tmp_path / "a/data" / name).stat().st_mode) == 0o600


def test_sums_are_exact(purchases: Path, tmp_path: Path) -> None:
    build(purchases, tmp_path, until=LAST_DAY)
    found = rows(
        tmp_path,
        "SELECT orders, cds, total_spent, first_order_at::DATE, last_order_at::DATE FROM customers LIMIT 3 OFFSET 2",
    )
    assert found[0] == (2, 5, 103.75, date(1997, 1, 4), date(1998, 3, 1))


def test_time_moves_people(purchases: Path, tmp_path: Path) -> None:
    days = [date(1997, 1, 20), date(1997, 2, 20), date(1997, 3, 31), date(1998, 2, 28), LAST_DAY]
    found: list[Summary] = []
    for day in days:
        found.append(build(purchases, tmp_path / str(day), until=day))
        assert rows(tmp_path / str(day), "SELECT max(last_order_at)::DATE FROM customers")[0] <= (day,)
    buyers = [one.customers for one in found]
    assert buyers[0] < buyers[1] < buyers[2] == buyers[3] == buyers[4] == 4000
    suppressed = [one.suppressed for one in found]
    assert suppressed == sorted(suppressed)
    assert found[3].consented > found[4].consented
    tiers = [{tier for (tier,) in rows(tmp_path / str(day), "SELECT loyalty_tier FROM customers")} for day in days]
    assert "churned" not in tiers[2]
    assert tiers[4] == {"churned", "silver"}
    before, after = (tmp_path / str(day) / "data/customers.parquet" for day in days[1:3])
    differs = "a.email IS DISTINCT FROM b.email OR a.gaid IS DISTINCT FROM b.gaid"
    moved = f"SELECT count(*) FROM '{before}' b JOIN '{after}' a USING (customer_id) WHERE {differs}"
    assert rows(tmp_path / str(days[1]), moved) == [(0,)]


def test_proportions_are_those_of_a_real_shop(purchases: Path, tmp_path: Path) -> None:
    built = build(purchases, tmp_path, until=date(1997, 12, 31))
    assert 0.94 < built.consented / built.customers < 0.99
    assert 0.002 < built.suppressed / built.customers < 0.009
    assert 0 < built.malformed / built.customers < 0.005
    people = int(str(rows(tmp_path, "SELECT count(DISTINCT customer_id) FROM devices")[0][0]))
    assert 0.15 < people / built.customers < 0.25
    good = "regexp_full_match({0}, '[0-9{1}]{{8}}(-[0-9{1}]{{4}}){{3}}-[0-9{1}]{{12}}')"
    for column, letters, bad in (("gaid", "a-f", 0.01), ("idfa", "A-F", 0.01), ("install_id", "a-f", 0.0)):
        sql = f"SELECT count(*) FILTER (NOT {good.format(column, letters)}) / count({column}) FROM customers"
        assert float(str(rows(tmp_path, sql)[0][0])) <= bad


def test_identifiers_are_nobody_elses(purchases: Path, tmp_path: Path) -> None:
    build(purchases, tmp_path, until=LAST_DAY)
    for column in ("customer_id", "email", "install_id"):
        assert rows(tmp_path, f"SELECT count({column}) - count(DISTINCT {column}) FROM customers") == [(0,)]
    assert rows(tmp_path, "SELECT count(*) FROM customers JOIN devices USING (gaid)") == [(0,)]


def test_before_the_first_purchase_there_is_no_catalogue(purchases: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nobody had bought"):
        build(purchases, tmp_path, until=date(1996, 12, 31))


@pytest.mark.parametrize("text", ["", "header\nno purchase at all\n", None])
def test_what_is_not_purchases_is_one_clear_error(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "master.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SourceError):
        build(path, tmp_path, until=LAST_DAY)


@pytest.mark.network
def test_the_original_has_69659_purchases_of_23570_people(tmp_path: Path) -> None:
    try:
        original = fetch(Path(__file__).parents[2] / ".demo")
    except SourceError as error:
        pytest.skip(error.what)
    built = build(original, tmp_path, until=LAST_DAY)
    assert (built.orders, built.customers) == (69_659, 23_570)
    assert 0 < built.malformed < 50


def test_a_cached_file_is_not_fetched_again_unless_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "CDNOW_master.txt").write_text("something else")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SourceError, match="could not be downloaded"):
        fetch(tmp_path)
    assert len(SHA256) == 64
