"""Rows of a delta file as the JSON text of request bodies, built by the engine and streamed in file order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.data.engine import Engine, explained
from reconciler.data.sql import lit

if TYPE_CHECKING:
    import duckdb

MEMORY = 120
"""Megabytes its engine needs."""


class Bodies:
    """Reads slices of one immutable delta file; consecutive slices cost one pass over the file."""

    def __init__(self, engine: Engine, file: Path, item: str) -> None:
        """`item` is SQL that gives the JSON text of one row. Nothing else may use `engine` meanwhile."""
        engine.run("SET preserve_insertion_order = true")
        self._from = f"read_parquet({lit(str(file))}, file_row_number = true)"
        self._item = item
        self._connection = engine.connection
        self._at: int | None = None

    def take(self, start: int, stop: int, *, item: str | None = None) -> bytes:
        """The JSON array of rows [start, stop)."""
        texts = [text for (text,) in self._rows(start, stop, item or self._item)]
        if len(texts) != stop - start:
            raise AssertionError(f"the delta file has no rows {start} to {stop}")
        return ("[" + ",".join(texts) + "]").encode()

    def kinds(self, start: int, stop: int) -> list[str]:
        """Row kinds of [start, stop)."""
        self._at = None
        query = f"SELECT kind FROM {self._from} WHERE file_row_number >= {start} AND file_row_number < {stop} ORDER BY file_row_number"
        self._at = None  # one connection, one result at a time
        return [str(kind) for (kind,) in self._execute(query).fetchall()]

    def unsure(self, row: int) -> bool:
        """Whether an earlier run may have sent this row's identifier without an answer."""
        self._at = None
        if "unsure" not in [name for name, *_ in self._execute(f"DESCRIBE FROM {self._from}").fetchall()]:
            return False
        query = f"SELECT coalesce(unsure, FALSE) FROM {self._from} WHERE file_row_number = {row}"
        return self._execute(query).fetchall() == [(True,)]

    def _rows(self, start: int, stop: int, item: str) -> list[tuple[str]]:
        if item != self._item:
            self._at = None
            query = f"SELECT {item} FROM {self._from} WHERE file_row_number >= {start} AND file_row_number < {stop}"
            return self._execute(query).fetchall()
        if self._at != start:
            self._execute(f"SELECT {self._item} FROM {self._from} WHERE file_row_number >= {start}")
        self._at = stop
        return self._connection.fetchmany(stop - start)

    def _execute(self, query: str) -> duckdb.DuckDBPyConnection:
        import duckdb

        try:
            return self._connection.execute(query)
        except duckdb.Error as error:
            raise explained(error) from None
