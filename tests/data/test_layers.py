"""A base and its delta files read as one: of every identifier the newest row that counts, whatever else the files hold."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.data.baseline import counted, fold, told
from reconciler.data.engine import Engine
from reconciler.state.state import DataFile

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PERSON = uuid.UUID(int=7)
ROW = st.tuples(st.sampled_from("abcdefg"), st.sampled_from(["add", "put", "remove", "consent"]), st.integers(0, 9))
LAYER = st.tuples(
    st.lists(ROW, min_size=1, max_size=12),
    st.booleans(),
    st.none() | st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), max_size=2),
)
"""Rows, whether the file has the attribute, and which spans of rows count (all when None)."""
Layer = tuple[list[tuple[str, str, int]], bool, list[tuple[int, int]] | None]


@settings(max_examples=25, deadline=None)
@given(base=st.lists(ROW, min_size=1, unique_by=lambda row: row[0]), later=st.lists(LAYER, max_size=4))
def test_a_fold_holds_the_newest_row_that_counts_of_everybody(
    base: list[tuple[str, str, int]], later: list[Layer], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("layers")
    layers = [(base, True, None), *later]
    files = [_written(root, n, layer) for n, layer in enumerate(layers)]
    expected: dict[str, tuple[str, int | None]] = {}
    for rows, has, spans in layers:
        cut = [(start, start + length) for start, length in spans] if spans is not None else None
        for n, (who, kind, value) in enumerate(rows):
            if cut is None or any(start <= n < stop for start, stop in cut):
                expected[who] = (kind, value if has else None)
    with Engine(now=NOW) as engine:
        to = engine.path("folded")
        rows = fold(engine, files, attributes={"n": "integer"}, path_of=lambda file: root / file.path, to=to)
        found = engine.rows(f"""SELECT id, kind, k, "a:n" FROM '{to}' ORDER BY id""")
    told = [(who, "add", PERSON, value) for who, (kind, value) in sorted(expected.items()) if kind in ("add", "put")]
    assert (rows, found) == (len(told), told)


def test_everybody_in_a_folded_file_may_be_uncertain_like_anybody_else(tmp_path: Path) -> None:
    base = _written(tmp_path, 0, ([("a", "add", 1), ("b", "add", 2)], True, None))
    path_of = partial(_below, tmp_path)
    with Engine(now=NOW) as engine:
        fold(engine, [base], attributes={"n": "integer"}, path_of=path_of, to=tmp_path / "folded.parquet")
        folded = DataFile(path="folded.parquet", rows=2, bytes=1, sha256="0" * 64)
        pending = _written(tmp_path, 1, ([("b", "remove", 0)], False, None))
        for unsure in ([folded], [folded, pending]):
            known = told(engine, unsure, unsure, attributes={"n": "integer"}, path_of=path_of)
            assert engine.rows(f"SELECT id, names FROM {known.uncertain} ORDER BY id") == [("a", ["n"]), ("b", ["n"])]


def _below(root: Path, file: DataFile) -> Path:
    return root / file.path


def test_files_of_which_no_row_counts_fold_into_none(tmp_path: Path) -> None:
    files = [_written(tmp_path, n, ([("a", "add", 1)], True, [])) for n in range(3)]
    with Engine(now=NOW) as engine:
        to = engine.path("folded")
        assert not fold(engine, files, attributes={"n": "integer"}, path_of=lambda file: tmp_path / file.path, to=to)
        assert not to.exists()


def _written(root: Path, n: int, layer: Layer) -> DataFile:
    rows, has, spans = layer
    path = root / f"layer-{n}.parquet"
    value = ', n AS "a:n"' if has else ""
    with duckdb.connect() as engine:
        engine.execute("CREATE TABLE t (place INTEGER, id VARCHAR, kind VARCHAR, n BIGINT)")
        engine.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", [(n, *row) for n, row in enumerate(rows)])
        picked = f"id, kind, UUID '{PERSON}' AS k, CAST([] AS VARCHAR[]) AS held{value}"
        engine.execute(f"COPY (SELECT {picked} FROM t ORDER BY place) TO '{path}' (FORMAT parquet)")
    ranges = None if spans is None else tuple((start, start + length) for start, length in spans)
    return DataFile(path=path.name, rows=len(rows), bytes=1, sha256="0" * 64, ranges=ranges)


@settings(max_examples=60, deadline=None)
@given(rows=st.sets(st.integers(0, 400), max_size=300), inverted=st.booleans())
def test_the_rows_of_however_many_spans_count_and_take_no_comparison_each(rows: set[int], inverted: bool) -> None:
    count = sorted(set(range(401)) - rows if inverted else rows)
    file = DataFile(path="d", rows=401, bytes=1, sha256="0" * 64, ranges=tuple((row, row + 1) for row in count))
    with Engine(now=NOW) as engine:
        found = engine.rows(
            f"SELECT file_row_number FROM (SELECT unnest(range(401)) AS file_row_number) WHERE {counted(file)} ORDER BY 1"
        )
    assert [row for (row,) in found] == count
    assert counted(file).count("file_row_number") <= 40
