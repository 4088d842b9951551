"""The demo's catalogue: what a shop knows of its buyers on a given day, made from real purchases.

Orders, amounts and dates are CDNOW's (everybody there first bought in the first quarter of 1997). All that identifies
somebody is invented, from md5 of the customer id: the same id has the same identifiers on every machine and day.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from reconciler.errors import SourceError
from reconciler.state.durable import private_folder

FIRST_DAY, LAST_DAY = date(1997, 1, 1), date(1998, 6, 30)
"""Days of the first and last purchase."""

FIELDS = {
    "customer_id": "string",
    "email": "string",
    "gaid": "string",
    "idfa": "string",
    "install_id": "string",
    "orders": "integer",
    "cds": "integer",
    "total_spent": "float",
    "first_order_at": "timestamp",
    "last_order_at": "timestamp",
    "loyalty_tier": "string",
    "interests": "list<string>",
    "marketing_consent": "boolean",
}
"""Columns of customers.parquet with their logical types, as a Catalogue declares them."""

_MACROS = """
CREATE MACRO draw(id, what, n) AS CAST('0x' || left(md5(concat(id, ':', what)), 7) AS INTEGER) % n;
CREATE MACRO uuid_of(id, what) AS regexp_replace(md5(concat(id, ':', what)),
    '^(.{8})(.{4}).(.{3}).(.{3})(.{12})$', '\\1-\\2-4\\3-a\\4-\\5');
CREATE MACRO someday(id, what) AS DATE '1997-01-01' + draw(id, what, 545);
"""
"""A draw below n; a UUID; a day of the 18 months."""

_PURCHASES = """
CREATE TABLE purchases AS
WITH words AS (
    SELECT regexp_split_to_array(trim(line), '\\s+') AS w
    FROM read_csv($path, columns = {'line': 'VARCHAR'}, header = false, skip = 1, delim = '\\x1f', quote = '',
                  escape = '', auto_detect = false)
    WHERE trim(line) <> '')
SELECT 'C' || lpad(w[1], 5, '0') AS customer_id, CAST(strptime(w[2], '%Y%m%d') AS DATE) AS day,
       CAST(w[3] AS INTEGER) AS quantity, CAST(w[4] AS DECIMAL(12, 2)) AS dollars
FROM words
"""

_BUYERS = """
CREATE TABLE buyers AS
SELECT customer_id, count(*) AS orders, CAST(sum(quantity) AS BIGINT) AS cds, sum(dollars) AS spent,
       min(day) AS first_day, max(day) AS last_day, draw(customer_id, 'phone', 100) AS phone
FROM purchases WHERE day <= $until GROUP BY customer_id
"""
"""phone: below 50 Android, below 85 iOS, below 92 both, else none known."""

_CUSTOMERS = """
SELECT customer_id,
       CASE WHEN draw(customer_id, 'email', 100) < 97 THEN lower(customer_id) || '@customers.example' END AS email,
       CASE WHEN phone < 50 OR phone BETWEEN 85 AND 91 THEN
           CASE WHEN draw(customer_id, 'id', 5000) < 5 THEN '00000000-0000-0000-0000-000000000000'
                WHEN draw(customer_id, 'id', 5000) < 8 THEN 'unknown'
                ELSE uuid_of(customer_id, 'gaid') END END AS gaid,
       CASE WHEN phone BETWEEN 50 AND 91 THEN
           CASE WHEN draw(customer_id, 'id', 5000) BETWEEN 8 AND 10 THEN '00000000-0000-0000-0000-000000000000'
                WHEN draw(customer_id, 'id', 5000) BETWEEN 11 AND 12 THEN left(upper(uuid_of(customer_id, 'idfa')), 35)
                ELSE upper(uuid_of(customer_id, 'idfa')) END END AS idfa,
       CASE WHEN phone < 92 AND draw(customer_id, 'app', 100) < 85 THEN uuid_of(customer_id, 'app') END AS install_id,
       orders, cds, CAST(spent AS DOUBLE) AS total_spent,
       CAST(first_day AS TIMESTAMP) AS first_order_at, CAST(last_day AS TIMESTAMP) AS last_order_at,
       CASE WHEN last_day < $until - INTERVAL 1 YEAR THEN 'churned' WHEN spent >= 250 THEN 'gold'
            WHEN spent >= 75 THEN 'silver' ELSE 'bronze' END AS loyalty_tier,
       list_filter(['blues', 'classical', 'country', 'electronic', 'folk', 'hip_hop', 'jazz', 'metal', 'pop', 'rock'],
                   lambda genre: draw(customer_id, genre, 100) < 20) AS interests,
       draw(customer_id, 'consent', 1000) >= 15
           AND NOT (draw(customer_id, 'consent', 1000) < 45 AND someday(customer_id, 'consent') <= $until)
           AS marketing_consent
FROM buyers ORDER BY customer_id
"""
"""1.5 % never consented, another 3 % take their consent back some day."""

_DEVICES = """
SELECT customer_id,
       CASE WHEN android THEN uuid_of(customer_id, concat('device', n)) END AS gaid,
       CASE WHEN NOT android THEN upper(uuid_of(customer_id, concat('device', n))) END AS idfa
FROM (SELECT customer_id, n, draw(customer_id, concat('kind', n), 2) = 0 AS android FROM buyers, range(1, 3) AS r(n))
WHERE draw(customer_id, 'devices', 100) < CASE n WHEN 1 THEN 20 ELSE 4 END
ORDER BY customer_id, n
"""

_SUPPRESSED = """
SELECT customer_id FROM buyers
WHERE draw(customer_id, 'suppressed', 10000) < 35
   OR (draw(customer_id, 'suppressed', 10000) < 65 AND someday(customer_id, 'suppressed') <= $until)
ORDER BY customer_id
"""
"""Never shrinks: who is suppressed stays so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was built, in numbers."""

    until: date
    customers: int
    orders: int
    consented: int
    devices: int
    suppressed: int
    malformed: int
    """Advertising IDs that are all zeros or no UUID; they become rejects."""


def build(purchases: Path, out: Path, *, until: date) -> Summary:
    """Writes `out`/data/{customers.parquet,devices.parquet,suppressed.csv} as known at the end of day `until`.

    The same arguments make the same rows in the same order. SourceError when the purchases cannot be read or nobody
    had bought by then.
    """
    data = out / "data"
    try:
        private_folder(data)
        with duckdb.connect(config={"threads": 1}) as connection:
            return _build(connection, purchases, data, until)
    except (duckdb.Error, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise SourceError(f"the demo's catalogue could not be built in {data}", why=first) from error


def _build(connection: duckdb.DuckDBPyConnection, purchases: Path, data: Path, until: date) -> Summary:
    connection.execute(_MACROS)
    connection.execute(_PURCHASES, {"path": str(purchases)})
    connection.execute(_BUYERS, {"until": until})
    customers = _write(connection, _CUSTOMERS, data / "customers.parquet", until)
    if not customers:
        raise SourceError(f"nobody had bought anything by {until}", fix=f"choose a day from {FIRST_DAY} to {LAST_DAY}")
    devices = _write(connection, _DEVICES, data / "devices.parquet", until)
    suppressed = _write(connection, _SUPPRESSED, data / "suppressed.csv", until)
    found = connection.execute(
        """SELECT sum(orders), count(*) FILTER (marketing_consent),
                  count(*) FILTER (TRY_CAST(gaid AS UUID) IS NULL AND gaid IS NOT NULL OR gaid LIKE '00000000-0000-%')
                + count(*) FILTER (TRY_CAST(idfa AS UUID) IS NULL AND idfa IS NOT NULL OR idfa LIKE '00000000-0000-%')
           FROM read_parquet($path)""",
        {"path": str(data / "customers.parquet")},
    ).fetchone()
    orders, consented, malformed = (int(n) for n in found or (0, 0, 0))
    return Summary(
        until=until,
        customers=customers,
        orders=orders,
        consented=consented,
        devices=devices,
        suppressed=suppressed,
        malformed=malformed,
    )


def _write(connection: duckdb.DuckDBPyConnection, query: str, path: Path, until: date) -> int:
    """One file, private, replaced whole; rows written."""
    temporary = path.with_name(f".{path.name}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    kind = (
        "FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false"
        if path.suffix == ".parquet"
        else "FORMAT csv, HEADER, USE_TMP_FILE false"
    )
    named = {"until": until} if "$until" in query else {}
    try:
        quoted = str(temporary).replace("'", "''")
        written = connection.execute(f"COPY ({query}) TO '{quoted}' ({kind})", named).fetchone()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return int(written[0]) if written else 0
