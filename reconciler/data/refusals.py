"""Rows Batch refused, kept by a digest of the refused wish: sent again only when the wish changes (or when asked)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

import orjson

from reconciler.data.baseline import counted
from reconciler.data.engine import Engine
from reconciler.data.sql import ident, lit
from reconciler.state.standing import Standing
from reconciler.state.state import DataFile

_TOGETHER = 10_000
"""Refusals handed to the engine in one text."""
PREFIX = "refused by Batch: "
"""Before Batch's own words, in the reason of a reject."""
IN_PART = " was refused, the others were sent: "
"""Between what was refused of a profile and Batch's words; its other values are stored all the same:
https://doc.batch.com/developer/api/cep/profiles/update"""


def wish(columns: Sequence[str]) -> str:
    """SQL of the digest of what is wished for a row: its verb and, of an addition, every attribute value, by name.

    `columns` are the row's ``a:<name>`` columns; attributes without a value do not count, so that a new attribute
    nobody has a value for changes no wish.
    """
    adds = "kind IN ('add', 'put')"
    verb = f"CASE WHEN {adds} THEN 'add' ELSE 'remove' END"
    values = [
        f"CASE WHEN {adds} AND {ident(name)} IS NOT NULL THEN {lit(name + '=')} || CAST({ident(name)} AS VARCHAR) END"
        for name in sorted(columns)
    ]
    return f"CAST(md5(concat_ws(chr(31), {', '.join([verb, *values])})) AS UUID)"


def record(
    engine: Engine, *, before: Path | None, file: Path, sent: str, refused: Iterable[tuple[int, str]], to: Path
) -> tuple[int, int]:
    """Writes the refused rows, with wish and reason, after an upload; how many, and of how many of them, the first, Batch
    may hold something: it refused only a part, or their fate was uncertain before.

    `sent` is an SQL condition over ``file_row_number``: older refusals of identifiers sent now are dropped.
    """
    read = f"read_parquet({lit(str(file))}, file_row_number = true)"
    columns = dict(engine.columns(f"SELECT * FROM {read}"))
    types = {name: kind for name, kind in columns.items() if name.startswith("a:")}
    values = "".join(f", {ident(name)}" for name in types)
    table = _words(engine, refused)
    unsure = "unsure" if "unsure" in columns else "FALSE AS unsure"
    rows = (
        f"SELECT id, kind, k, held, {unsure}{values}, {wish(list(types))} AS wish, reason "
        f"FROM {read} AS f JOIN {table} AS w ON w.row = f.file_row_number"
    )
    if before is not None:
        file_before = f"read_parquet({lit(str(before))})"
        kept = [
            f"TRY_CAST({ident(name)} AS {types[name]}) AS {ident(name)}" if name in types else ident(name)
            for name, _ in engine.columns(f"SELECT * FROM {file_before}")
        ]
        gone = f"id IN (SELECT id FROM {read} WHERE {sent})"
        rows += f" UNION ALL BY NAME SELECT {', '.join(kept)} FROM {file_before} WHERE NOT {gone}"
    doubtful = f"(coalesce(unsure, FALSE) OR contains(reason, {lit(IN_PART)}))"
    written = engine.copy(f"SELECT * FROM ({rows}) ORDER BY {doubtful} DESC, id", to, ordered=True)
    return written, engine.count(f"SELECT count(*) FROM read_parquet({lit(str(to))}) WHERE {doubtful}")


def standing(engine: Engine, known: Standing, *, path_of: Callable[[DataFile], Path]) -> tuple[Path, int, int] | None:
    """The refusals of a target as the acknowledgements leave them; with how many rows there are, and how many of the
    first of them Batch may hold something of. None where none were. An upload of which it took nothing says nothing of
    single rows."""
    before, pending = known.known.baseline.refusals, known.known.pending
    kept = path_of(before) if before is not None else None
    if not known.acked.refused or not known.acked.told or pending is None or pending.file is None:
        in_part = sum(stop - start for start, stop in (before.ranges if before else None) or ())
        return (kept, before.rows, in_part) if before is not None and kept is not None else None
    sent = counted(pending.file.model_copy(update={"ranges": known.acked.accepted}))
    to = engine.path("refusals")
    file = path_of(pending.file)
    return (to, *record(engine, before=kept, file=file, sent=sent, refused=known.acked.refused, to=to))


def found(engine: Engine, *, kept: Path, file: Path) -> list[tuple[int, str]]:
    """Rows of a delta file, with Batch's words, that the refusals kept after its upload say were refused."""
    read = f"read_parquet({lit(str(file))}, file_row_number = true)"
    columns = [name for name, _ in engine.columns(f"SELECT * FROM {read}") if name.startswith("a:")]
    sent = f"SELECT file_row_number AS row, id, {wish(columns)} AS wish FROM {read}"
    refused = f"SELECT id, wish, reason FROM read_parquet({lit(str(kept))})"
    rows = engine.rows(f"SELECT row, reason FROM ({sent}) JOIN ({refused}) USING (id, wish) ORDER BY row")
    return [(int(str(row)), str(reason)) for row, reason in rows]


def listed(engine: Engine, *, file: Path, refused: Iterable[tuple[int, str]], link: str, to: Path) -> int:
    """Writes the refused rows of a delta file as rejects (link, reason, key, id, row); how many there are."""
    read = f"read_parquet({lit(str(file))}, file_row_number = true)"
    why = f"concat({lit(PREFIX)}, reason)"
    rows = (
        f"SELECT DISTINCT {lit(link)} AS link, {why} AS reason, CAST(NULL AS VARCHAR) AS key, id, CAST(NULL AS BIGINT) AS row "
        f"FROM {read} AS f JOIN {_words(engine, refused)} AS w ON w.row = f.file_row_number"
    )
    return engine.copy(f"SELECT * FROM ({rows}) ORDER BY reason, id", to, ordered=True)


def _words(engine: Engine, refused: Iterable[tuple[int, str]]) -> str:
    """A table (row, reason)."""
    table = ident(engine.table("words"))
    engine.run(f"CREATE TEMP TABLE {table} (row BIGINT, reason VARCHAR)")
    rows = iter(refused)
    while some := list(islice(rows, _TOGETHER)):
        numbers = lit(str([row for row, _ in some]))
        words = lit(orjson.dumps([text for _, text in some]).decode())
        engine.run(
            f"INSERT INTO {table} SELECT unnest(CAST({numbers} AS BIGINT[])), unnest(from_json({words}, '[\"VARCHAR\"]'))"
        )
    return table
