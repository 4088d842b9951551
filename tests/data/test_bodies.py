"""Request bodies read in slices: whatever was read in between, a slice holds exactly its rows."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.data.bodies import Bodies

ROWS = 12


@given(cuts=st.lists(st.tuples(st.integers(0, ROWS - 1), st.booleans()), max_size=8))
def test_slices_are_exact_whatever_was_read_in_between(
    cuts: list[tuple[int, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = _delta(tmp_path_factory.getbasetemp() / "delta.parquet")
    bodies = Bodies(file, "to_json(id)")
    stops = sorted({0, ROWS, *(cut for cut, _ in cuts)})
    try:
        read = b""
        for (start, stop), peek in zip(pairwise(stops), [peek for _, peek in cuts] + [True] * ROWS, strict=False):
            read += bodies.take(start, stop)
            if peek:
                assert bodies.kinds(stop - 1, stop) == [f"k{stop - 1}"]
    finally:
        bodies.close()
    assert read.replace(b"][", b",") == ("[" + ",".join(f'"r{row}"' for row in range(ROWS)) + "]").encode()


def _delta(file: Path) -> Path:
    if not file.exists():
        duckdb.sql(f"COPY (SELECT 'r' || i AS id, 'k' || i AS kind FROM range({ROWS}) t(i)) TO '{file}'")
    return file
