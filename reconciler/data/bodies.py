"""Rows of a delta file as the JSON text of request bodies, built by the engine and streamed in file order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reconciler.data.engine import Engine, Texts
from reconciler.data.groups import reading
from reconciler.data.sql import lit

MEMORY = 120
"""Megabytes its engine needs, if no row group is large."""


class Bodies:
    """Reads slices of one immutable delta file; consecutive slices cost one pass over the file."""

    def __init__(self, engine: Engine, file: Path, item: str) -> None:
        """`item` is SQL that gives the JSON text of one row. Nothing else may use `engine` meanwhile."""
        engine.run("SET preserve_insertion_order = true")
        if (needed := reading(engine, file)) > MEMORY:
            engine.limit(needed)
        self._from = f"read_parquet({lit(str(file))}, file_row_number = true)"
        self._item, self._engine = item, engine
        self._stream: Iterator[Texts] = iter(())
        self._piece, self._read, self._at = _NOTHING, 0, -1

    def take(self, start: int, stop: int, *, item: str | None = None) -> bytes:
        """The JSON array of rows [start, stop)."""
        if item is not None and item != self._item:
            texts = [str(text) for (text,) in self._asked(f"{item} FROM {self._from} WHERE {_within(start, stop)}")]
            if len(texts) < stop - start:
                raise self._missing(start, stop)
            return f"[{','.join(texts)}]".encode()
        if self._at != start:
            self._forget()
            items = f"SELECT concat({self._item}, ',') FROM {self._from} WHERE file_row_number >= {start}"
            self._stream, self._at = self._engine.texts(items), start
        try:
            return b"".join([b"[", *self._taken(start, stop), b"]"])
        except BaseException:
            self._forget()  # a stream that failed would seem to have ended
            raise

    def _taken(self, start: int, stop: int) -> list[memoryview]:
        parts: list[memoryview] = []
        while self._at < stop:
            if self._read == len(self._piece):
                self._piece, self._read = next(self._stream, _NOTHING), 0
                if not len(self._piece):
                    raise self._missing(start, stop)
            number = min(stop - self._at, len(self._piece) - self._read)
            parts.append(self._piece.joined(self._read, self._read + number))
            self._read, self._at = self._read + number, self._at + number
        if parts:
            parts[-1] = parts[-1][:-1]  # the comma behind the last row
        return parts

    def kinds(self, start: int, stop: int) -> list[str]:
        """Row kinds of [start, stop)."""
        rows = f"kind FROM {self._from} WHERE {_within(start, stop)} ORDER BY file_row_number"
        return [str(kind) for (kind,) in self._asked(rows)]

    def unsure(self, start: int, stop: int) -> set[int]:
        """Rows of [start, stop) whose identifier an earlier run may have sent without an answer."""
        self._forget()
        if "unsure" not in [name for name, _ in self._engine.columns(f"SELECT * FROM {self._from}")]:
            return set()
        rows = self._asked(
            f"file_row_number FROM {self._from} WHERE {_within(start, stop)} AND coalesce(unsure, FALSE)"
        )
        return {int(str(row)) for (row,) in rows}

    def _asked(self, rows: str) -> list[tuple[object, ...]]:
        self._forget()
        return self._engine.rows(f"SELECT {rows}")

    @staticmethod
    def _missing(start: int, stop: int) -> AssertionError:
        return AssertionError(f"the delta file has no rows {start} to {stop}")

    def _forget(self) -> None:
        """One connection, one result at a time."""
        self._stream = iter(())
        self._piece, self._read, self._at = _NOTHING, 0, -1


_NOTHING = Texts(bounds=memoryview(b"\0"), content=memoryview(b""))


def _within(start: int, stop: int) -> str:
    return f"file_row_number >= {start} AND file_row_number < {stop}"
