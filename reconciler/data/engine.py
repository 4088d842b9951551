"""One DuckDB connection per run: limits, a private folder for what spills, the clock fixed, and the lock on SQL.

DuckDB is imported and opened by the first query: a run that recognises every link asks none.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    from nanoarrow._array import CArrayView
    from numpy.typing import NDArray

from reconciler.data.explain import UNREADABLE, explained, named
from reconciler.data.sql import ident, lit, lit_list
from reconciler.errors import SourceError
from reconciler.scratch import Scratch

_CLOCK = {
    "TIMESTAMP": ("now", "get_current_timestamp", "transaction_timestamp", "current_localtimestamp"),
    "DATE": ("today", "current_date"),
    "TIME": ("get_current_time", "current_localtime"),
}

_WRITTEN = "PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1, DICTIONARY_SIZE_LIMIT 4096"
"""Lengths and numbers as differences, a third less to encode; of identifiers, all different, it is found out sooner that
no dictionary helps, a tenth less."""
_INTERRUPTED = "Query interrupted"
"""What DuckDB makes of whatever a signal handler raises during a query."""
GROUP = 61_440
"""Rows of a row group: small ones, of which a slice of rows reads one or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Texts of consecutive rows in one buffer, without an object for each."""

    bounds: memoryview
    """Where each begins, and where the last one ends."""
    content: memoryview

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def joined(self, start: int, stop: int) -> memoryview:
        """Rows [start, stop) one behind the other, UTF-8."""
        return self.content[self.bounds[start] : self.bounds[stop]]


class Engine:
    """Owns the connection and the run's private folder (mode 0700, removed at the end).

    `now()` and its relatives answer the run's own instant in UTC. After `lock()` no SQL can read or write a file
    outside the run's folder and the files named, attach, install or change a setting.
    """

    def __init__(self, *, now: datetime, memory: str = "400MB", threads: int = 2, scratch: Path | None = None) -> None:
        self.now = now
        self._scratch = Scratch(scratch)
        self.folder = self._scratch.path
        self._memory, self._threads = memory, threads
        self._opened: duckdb.DuckDBPyConnection | None = None
        self.parquets: list[Path] = []
        """Parquet files of sources: which one is damaged is found out when a query fails."""
        self._serial = 0
        self._columns: dict[str, frozenset[str]] = {}
        self._passing: list[str] = []
        self._stream: Generator[list[CArrayView]] | None = None

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The run's connection, opened when it is asked for first."""
        if self._opened is None:
            self._opened = self._connected()
        return self._opened

    def _connected(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        found = duckdb.connect(
            config={
                "threads": self._threads,
                "memory_limit": self._memory,
                "temp_directory": str(self.folder / "spill"),
                "preserve_insertion_order": False,
                "python_enable_replacements": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        found.execute("SET enable_progress_bar = false")  # standard output belongs to the report
        found.execute("SET TimeZone = 'UTC'")
        moment = self.now.strftime("%Y-%m-%d %H:%M:%S")
        for kind, names in _CLOCK.items():
            for name in names:
                found.execute(f"CREATE TEMP MACRO {name}() AS CAST(TIMESTAMP '{moment}' AS {kind})")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection and removes the private folder."""
        self._drop_stream()
        if self._opened is not None:
            self._opened.close()
        self._scratch.remove()

    def limit(self, megabytes: int) -> None:
        """From here on no more memory is used than this; what is beyond is spilled."""
        self.run(f"SET memory_limit = '{megabytes}MB'")

    def lock(self, paths: Iterable[Path]) -> None:
        """From here on only `paths` and the run's folder can be read, only the folder written, nothing configured."""
        self.run(f"SET allowed_paths = {lit_list(str(path) for path in paths)}")
        self.run(f"SET allowed_directories = {lit_list([f'{self.folder}{os.sep}'])}")
        self.run("SET enable_external_access = false")
        self.run("SET lock_configuration = true")

    def run(self, sql: str) -> None:
        """Executes one statement for its effect."""
        self._drop_stream()
        with self._explaining():
            self.connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """All rows of a small result."""
        self._drop_stream()
        with self._explaining():
            return self.connection.execute(sql).fetchall()

    def row(self, sql: str) -> tuple[object, ...]:
        """The only row of a result."""
        (found,) = self.rows(sql)  # a result that is not read to its end would block `arrays`
        return found

    def count(self, sql: str) -> int:
        """A single whole number."""
        return int(str(self.row(sql)[0] or 0))

    def arrays(self, sql: str) -> Iterator[tuple[memoryview, ...]]:
        """Streams the columns of a query, all of them UBIGINT and never NULL, in pieces of some ten thousand rows.

        The next query ends the stream.
        """
        for views in self._streamed(sql):
            yield tuple(memoryview(view.buffer(1))[view.offset : view.offset + view.length] for view in views)

    def texts(self, sql: str) -> Iterator[Texts]:
        """Streams the only column of a query, VARCHAR and never NULL, likewise."""
        for (view,) in self._streamed(sql):
            bounds = memoryview(view.buffer(1))[view.offset : view.offset + view.length + 1]
            yield Texts(bounds=bounds, content=memoryview(view.buffer(2)))

    def _streamed(self, sql: str) -> Iterator[list[CArrayView]]:
        self._drop_stream()
        self._stream = self._pieces(sql)
        return self._stream

    def _drop_stream(self) -> None:
        """A connection has one open result."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _pieces(self, sql: str) -> Generator[list[CArrayView]]:
        import nanoarrow

        with self._explaining():
            stream = nanoarrow.c_array_stream(self.connection.sql(sql))
            while True:
                try:
                    piece = stream.get_next()
                except StopIteration:
                    return
                except RuntimeError as error:
                    raise named(str(error)) from None
                yield [piece.child(n).view() for n in range(piece.n_children)]

    def insert(self, table: str, values: NDArray[np.uint64] | list[int]) -> None:
        """Adds rows to a table of one column, UBIGINT."""
        self._drop_stream()
        with self._explaining():
            if isinstance(values, list):
                self.connection.execute(f"INSERT INTO {table} SELECT unnest(?::UBIGINT[])", [values])
                return
            name = self.table("values")
            self.connection.register(name, values)
            try:
                self.connection.execute(f"INSERT INTO {table} SELECT * FROM {ident(name)}")
            finally:
                self.connection.unregister(name)

    def columns(self, sql: str) -> list[tuple[str, str]]:
        """Name and DuckDB type of every column of a query, without running it."""
        return [(str(row[0]), str(row[1])) for row in self.rows(f"DESCRIBE {sql}")]

    def parquet_columns(self, files: Iterable[str]) -> dict[str, frozenset[str]]:
        """File → names of its columns, of many Parquet files at once; a file is looked at once per run."""
        missing = [file for file in dict.fromkeys(files) if file not in self._columns]
        if missing:
            found: dict[str, set[str]] = {file: set() for file in missing}
            for file, name in self.rows(f"SELECT file_name, name FROM parquet_schema({lit_list(missing)})"):
                found[str(file)].add(str(name))
            self._columns.update((file, frozenset(names)) for file, names in found.items())
        return self._columns

    def constants(self, file: str) -> dict[str, str | None]:
        """Columns of a Parquet file whose footer says that all rows have one value → that value as text, or NULL."""
        known = "stats_min_value IS NOT NULL AND stats_max_value IS NOT NULL AND coalesce(stats_null_count = 0, FALSE)"
        single = f"coalesce(bool_and({known}) AND min(stats_min_value) = max(stats_max_value), FALSE)"
        nulls = "bool_and(coalesce(stats_null_count = num_values, FALSE))"
        picked = f"path_in_schema AS name, {single} AS one, {nulls} AS nothing, min(stats_min_value) AS value"
        footer = f"SELECT {picked} FROM parquet_metadata({lit(file)}) GROUP BY 1"
        found = self.rows(f"SELECT name, CASE WHEN one THEN value END FROM ({footer}) WHERE one OR nothing")
        return {str(name): None if value is None else str(value) for name, value in found}

    def table(self, stem: str, *, lasting: bool = False) -> str:
        """A name nothing else has in this run; a `lasting` table outlives the `passing` block it is made in."""
        self._serial += 1
        name = f"{stem}#{self._serial}"
        if not lasting:
            self._passing.append(name)
        return name

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Drops the tables of the block at its end: those of a thousand targets would fill the memory."""
        kept, self._passing = self._passing, []
        try:
            yield
            for name in self._passing:
                self.run(f"DROP TABLE IF EXISTS {ident(name)}")
        finally:
            self._passing = kept

    def path(self, stem: str, suffix: str = ".parquet") -> Path:
        """A file of the run's folder that nothing else uses."""
        self._serial += 1
        return self.folder / f"{stem}-{self._serial}{suffix}"

    def copy(self, sql: str, to: Path, *, ordered: bool = False, group: int = GROUP) -> int:
        """Writes a query as Parquet in row groups of `group`, mode 0600; rows written."""
        os.close(os.open(to, os.O_CREAT | os.O_WRONLY, 0o600))
        order = ", PRESERVE_ORDER true" if ordered else ""
        return self.count(f"COPY ({sql}) TO {lit(str(to))} (FORMAT parquet, {_WRITTEN}, ROW_GROUP_SIZE {group}{order})")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            told = explained(error)
            raise (self._damaged() if told.what == UNREADABLE else None) or told from None
        except RuntimeError as error:
            if str(error) != _INTERRUPTED:
                raise
            raise KeyboardInterrupt from None

    def _damaged(self) -> SourceError | None:
        """The first Parquet file of a source that cannot be read to its end; None when none is to blame."""
        import duckdb

        for path in self.parquets:
            try:
                self.connection.execute(
                    f"SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet({lit(str(path))})"
                ).fetchall()
            except duckdb.Error:
                return SourceError(
                    f"{path} is damaged: a part of it cannot be read", fix="write it again; nothing was sent"
                )
        return None
