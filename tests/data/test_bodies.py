"""Request bodies read in slices: whatever was read in between, a slice holds exactly its rows."""

from __future__ import annotations

import datetime as dt
import math
import struct
from itertools import pairwise
from pathlib import Path

import duckdb
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.address import Space
from reconciler.batch.wire import audience_item_sql
from reconciler.data.baseline import fold
from reconciler.data.bodies import MEMORY, Bodies
from reconciler.data.engine import Engine
from reconciler.data.engines import Engines
from reconciler.data.values import typed
from reconciler.errors import SourceError
from tests.data.kit import Shop, documents, resolution

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
ROWS = 12


@given(cuts=st.lists(st.tuples(st.integers(0, ROWS - 1), st.booleans()), max_size=8))
def test_slices_are_exact_whatever_was_read_in_between(
    cuts: list[tuple[int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = _delta(tmp_path_factory.getbasetemp() / "delta.parquet")
    stops = sorted({0, ROWS, *(cut for cut, _ in cuts)})
    with Engine(now=NOW, threads=1) as engine:
        bodies = Bodies(engine, file, "to_json(id)")
        read = b""
        for (start, stop), peek in zip(pairwise(stops), [peek for _, peek in cuts] + [True] * ROWS, strict=False):
            read += bodies.take(start, stop)
            if peek:
                assert bodies.kinds(stop - 1, stop) == [f"k{stop - 1}"]
    assert read.replace(b"][", b",") == ("[" + ",".join(f'"r{row}"' for row in range(ROWS)) + "]").encode()


def test_slices_reach_over_what_the_engine_hands_over_at_once(tmp_path: Path) -> None:
    file, rows, size = tmp_path / "delta.parquet", 300_000, 70_000
    with duckdb.connect() as engine:
        engine.execute(f"COPY (SELECT range AS id, 'add' AS kind FROM range({rows})) TO '{file}' (FORMAT parquet)")
    with Engine(now=NOW, threads=2) as engine:
        bodies = Bodies(engine, file, "to_json(id)")
        for start in range(0, rows, size):
            stop = min(start + size, rows)
            assert orjson.loads(bodies.take(start, stop)) == list(range(start, stop))
        with pytest.raises(AssertionError, match="no rows 299990 to 300001"):
            bodies.take(rows - 10, rows + 1)
        assert bodies.take(rows - 2, rows) == b"[299998,299999]"
        assert bodies.take(7, 7) == b"[]"
        bodies.take(0, 5)
        assert engine.count("SELECT 7") == 7


def largest_group(file: Path) -> int:
    """Rows of the largest row group."""
    with duckdb.connect() as engine:
        (found,) = engine.execute(f"SELECT max(row_group_num_rows) FROM parquet_metadata('{file}')").fetchall()
    return int(found[0])


def test_rows_with_long_texts_are_sent_in_the_memory_for_it(tmp_path: Path) -> None:
    file, rows = tmp_path / "delta.parquet", 61_440
    texts = ", ".join(f"repeat(md5((range * {n})::VARCHAR), 9) AS t{n}" for n in range(1, 4))
    with Engine(now=NOW, memory="900MB") as engine:
        engine.copy(f"SELECT range AS id, 'add' AS kind, {texts} FROM range({rows})", file, ordered=True)
    with Engines(now=NOW) as engines, engines.lent(MEMORY) as engine:
        bodies = Bodies(engine, file, "to_json([id::VARCHAR, t1, t2, t3])")
        assert all(bodies.take(at, at + 1024).count(b"],[") == 1023 for at in range(0, rows, 1024))


@pytest.mark.parametrize("fresh", [True, False])
def test_files_of_long_texts_have_small_row_groups(shop: Shop, *, fresh: bool) -> None:
    fields = {"pid": "string", "page": "url"}
    made = documents(
        catalogue={"source": {"path": "people.parquet"}, "key": "pid", "fields": fields},
        attributes={"page": "page"}, declared={"page": "url"},
    )  # fmt: skip
    people = "'p' || range AS pid, 'https://' || repeat(md5(range::VARCHAR), 60) AS page"
    if not fresh:
        shop.parquet("people.parquet", f"SELECT {people} FROM range(18_000, 19_000)")
        shop.apply(made)
    shop.parquet("people.parquet", f"SELECT {people} FROM range(18_000)")
    turn = shop.apply(made)
    assert turn.staged.file is not None
    assert largest_group(turn.staged.file) <= 10_240
    (target,) = resolution(made).targets
    base = shop.root / "base.parquet"
    with Engine(now=NOW) as engine:
        layers = shop.known[target.key].baseline.files
        fold(engine, layers, attributes={"page": "url"}, path_of=lambda file: shop.root / file.path, to=base)
    assert largest_group(base) <= 10_240


def test_a_slice_that_failed_fails_the_same_way_again(tmp_path: Path) -> None:
    file = tmp_path / "delta.parquet"
    with duckdb.connect() as engine:
        engine.execute(f"COPY (SELECT 'x' AS id, 'add' AS kind FROM range(9)) TO '{file}' (FORMAT parquet)")
    with Engine(now=NOW) as engine:
        bodies = Bodies(engine, file, "CAST(CAST(id AS INTEGER) AS VARCHAR)")
        for _ in range(2):
            with pytest.raises(SourceError, match="could not be read"):
                bodies.take(0, 9)


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
WHOLE = st.integers(-(2**63), 2**63 - 1)
PEOPLE = st.tuples(
    TEXTS,
    st.none() | st.floats(),
    st.none() | st.floats(width=32),
    st.none() | WHOLE,
    st.none() | st.dates(),
    st.none() | TEXTS,
)
ODD = "\"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\ufeff😀'é"
HARD: list[tuple[str, float | None, float | None, int | None, dt.date | None, str | None]] = [
    (ODD, 1e300, 1.5, 2**63 - 1, dt.date(1, 1, 1), ODD[::-1]),
    ('"', -0.0, None, -(2**63), None, '"'),
    ("\\", 5e-324, None, None, dt.date(9999, 12, 31), None),
    ("\x1f", None, None, None, None, "\\"),
    ("😀", None, None, None, None, None),
    ("'", math.inf, math.nan, None, dt.date(999, 2, 28), None),
    ("é", None, -0.0, 0, None, None),
]
"""Every row lacks something else: the comma before an attribute depends on those before it."""


@settings(max_examples=60, deadline=None)
@given(people=st.lists(PEOPLE, min_size=1, max_size=30))
@example(people=HARD)
def test_a_body_is_what_orjson_writes_whatever_the_source_holds(
    people: list[tuple[str, float | None, float | None, int | None, dt.date | None, str | None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Numbers that are not finite are no values, a FLOAT is the decimal it was written as, dates are formatted, texts escaped."""
    file = tmp_path_factory.getbasetemp() / "odd.parquet"
    stored = {
        "big": ("DOUBLE", "float"),
        "small": ("FLOAT", "float"),
        "whole": ("BIGINT", "integer"),
        "day": ("DATE", "date"),
        "word": ("VARCHAR", "string"),
    }
    read = ", ".join(f'{typed(name, kind, logical).value} AS "a:{name}"' for name, (kind, logical) in stored.items())
    with duckdb.connect() as engine:
        engine.execute(
            "CREATE TABLE people (n INTEGER, id VARCHAR, big DOUBLE, small FLOAT, whole BIGINT, day DATE, word VARCHAR)"
        )
        engine.executemany(
            "INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?)", [(n, *row) for n, row in enumerate(people)]
        )
        engine.execute(f"COPY (SELECT id, 'add' AS kind, {read} FROM people ORDER BY n) TO '{file}' (FORMAT parquet)")
    item = audience_item_sql(Space.CEP, {name: logical for name, (_, logical) in stored.items()})
    with Engine(now=NOW, threads=1) as engine:
        text = Bodies(engine, file, item).take(0, len(people))
    assert repr(orjson.loads(text)) == repr([_member(*row) for row in people])


def _member(
    pid: str, big: float | None, small: float | None, whole: int | None, day: dt.date | None, word: str | None
) -> dict[str, object]:
    values = {
        "big": big if big is not None and math.isfinite(big) else None,
        "small": _shortest(small) if small is not None and math.isfinite(small) else None,
        "whole": whole,
        "date(day)": f"{day.isoformat()}T00:00:00Z" if day else None,
        "word": word,
    }
    attributes = {name: value for name, value in values.items() if value is not None}
    return {"action": "add", "id": pid} | ({"attributes": attributes} if attributes else {})


def _shortest(single: float) -> float:
    """The number with the fewest digits that is this one in 32 bits."""
    texts = (f"{single:.{digits}g}" for digits in range(1, 10))
    return float(next(text for text in texts if _single(float(text)) == single))


def _single(number: float) -> float:
    return float(struct.unpack("f", struct.pack("f", number))[0]) if abs(number) < 3.4028235677973366e38 else math.inf


def _delta(file: Path) -> Path:
    if not file.exists():
        with duckdb.connect() as engine:
            engine.execute(f"COPY (SELECT 'r' || i AS id, 'k' || i AS kind FROM range({ROWS}) t(i)) TO '{file}'")
    return file
