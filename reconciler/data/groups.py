"""Row groups of delta and base files: a reader holds one of them in memory, so that wide rows are grouped in fewer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.data.engine import GROUP, Engine
from reconciler.data.sql import ident, lit

_MEGABYTES = 16
"""Of texts in one group; reading it takes three times as much."""
_SAMPLE, _VECTOR = 1000, 2048
_SMALL = 1 << 18
"""Bytes of a file below which no group can be large."""


def group_of(engine: Engine, rows: str, attributes: Mapping[str, str]) -> int:
    """How many of `rows`, a relation with ``a:<name>`` columns, belong in one group, as the first ones tell."""
    texts = [ident(f"a:{name}") for name, kind in attributes.items() if kind in ("string", "url", "list<string>")]
    if not texts:
        return GROUP
    width = " + ".join(f"coalesce(strlen(CAST({column} AS VARCHAR)), 0)" for column in texts)
    (found,) = engine.row(f"SELECT avg({width}) FROM (SELECT {', '.join(texts)} FROM {rows} LIMIT {_SAMPLE})")
    fit = int((_MEGABYTES << 20) / max(float(str(found or 0)), 1))
    return min(GROUP, max(fit // _VECTOR, 1) * _VECTOR)


def reading(engine: Engine, file: Path) -> int:
    """Megabytes needed to read a file with its groups as they are: the first rows may have told too little."""
    if file.stat().st_size < _SMALL:
        return 0
    groups = f"SELECT sum(total_uncompressed_size) AS n FROM parquet_metadata({lit(str(file))}) GROUP BY row_group_id"
    return 60 + 4 * (engine.count(f"SELECT max(n) FROM ({groups})") >> 20)
