"""Reject files of a run, read back: each row with its link, reason, key, identifier and row number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.data.engine import Engine
from reconciler.data.sql import lit, lit_list


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """One row that was not sent. Personal data."""

    link: str
    reason: str
    key: str | None
    id: str | None
    row: int | None


def counted_by(engine: Engine, files: Sequence[Path]) -> dict[tuple[str, str], int]:
    """How many rejects there are per link and reason. Raises SourceError when a file cannot be read."""
    if not files:
        return {}
    engine.lock(files)
    rows = engine.rows(f"SELECT link, reason, count(*) {_all(files)} GROUP BY 1, 2 ORDER BY 1, 2")
    return {(str(link), str(why)): int(str(n)) for link, why, n in rows}


def matching(
    counts: Mapping[tuple[str, str], int], *, link: str | None, reason: str | None
) -> dict[tuple[str, str], int]:
    """Those of a link, an address, with a reason that contains `reason` in any case; None is no condition."""
    wanted = (reason or "").casefold()
    return {pair: n for pair, n in counts.items() if link in (None, pair[0]) and wanted in pair[1].casefold()}


def listed(engine: Engine, files: Sequence[Path], pairs: Iterable[tuple[str, str]], *, limit: int) -> list[Rejected]:
    """The first `limit` rejects with one of these links and reasons. `counted_by` has opened the files."""
    some = ", ".join(f"({lit(link)}, {lit(reason)})" for link, reason in pairs)
    if not some:
        return []
    found = engine.rows(
        'SELECT link, reason, CAST(key AS VARCHAR), CAST(id AS VARCHAR), CAST("row" AS BIGINT) '
        f'{_all(files)} WHERE (link, reason) IN ({some}) ORDER BY link, reason, "row" NULLS LAST, 3, 4 '
        f"LIMIT {int(limit)}"
    )
    return [_rejected(row) for row in found]


def _all(files: Sequence[Path]) -> str:
    return f"FROM read_parquet({lit_list(map(str, files))}, union_by_name = true)"


def _rejected(row: tuple[object, ...]) -> Rejected:
    link, reason, key, identifier, number = row
    return Rejected(
        link=str(link),
        reason=str(reason),
        key=None if key is None else str(key),
        id=None if identifier is None else str(identifier),
        row=None if number is None else int(str(number)),
    )
