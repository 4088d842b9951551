"""Reject files of a run, read back: each row with its link, reason, key, identifier and row number."""

from __future__ import annotations

from collections.abc import Sequence
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


def listed(
    engine: Engine, files: Sequence[Path], *, link: str | None, reason: str | None, limit: int
) -> tuple[list[Rejected], int, dict[tuple[str, str], int]]:
    """The first `limit` rejects, how many there are, and how many per link and reason.

    `link` is an address, `reason` a part of the reason in any case. Raises SourceError when a file cannot be read.
    """
    if not files:
        return [], 0, {}
    engine.lock(files)
    terms = [f"link = {lit(link)}"] if link else []
    terms += [f"contains(lower(reason), lower({lit(reason)}))"] if reason else []
    source = (
        f"FROM read_parquet({lit_list(map(str, files))}, union_by_name = true) WHERE {' AND '.join(terms) or 'TRUE'}"
    )
    counts = {
        (str(address), str(why)): int(str(n))
        for address, why, n in engine.rows(f"SELECT link, reason, count(*) {source} GROUP BY 1, 2 ORDER BY 1, 2")
    }
    found = engine.rows(
        'SELECT link, reason, CAST(key AS VARCHAR), CAST(id AS VARCHAR), CAST("row" AS BIGINT) '
        f'{source} ORDER BY link, reason, "row" NULLS LAST, 3, 4 LIMIT {int(limit)}'
    )
    return [_rejected(row) for row in found], sum(counts.values()), counts


def _rejected(row: tuple[object, ...]) -> Rejected:
    link, reason, key, identifier, number = row
    return Rejected(
        link=str(link),
        reason=str(reason),
        key=None if key is None else str(key),
        id=None if identifier is None else str(identifier),
        row=None if number is None else int(str(number)),
    )
