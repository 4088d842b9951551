"""One DuckDB connection per run: limits, a private folder for what spills, the clock fixed, and the lock on SQL.

DuckDB is imported and opened by the first query: a run that recognises every link asks none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import duckdb

from reconciler.data.sql import ident, lit, lit_list
from reconciler.errors import BatchctlError, SourceError
from reconciler.scratch import Scratch

_CLOCK = {
    "TIMESTAMP": ("now", "get_current_timestamp", "transaction_timestamp", "current_localtimestamp"),
    "DATE": ("today", "current_date"),
    "TIME": ("get_current_time", "current_localtime"),
}

_WRITTEN = "PARQUET_VERSION v2, ROW_GROUP_SIZE 61440, COMPRESSION zstd, COMPRESSION_LEVEL 1"
"""Lengths and numbers as differences, a third less to encode; small groups, of which a slice of rows reads one or two."""


class SqlInvalid(SourceError):
    """SQL that does not compile: an unknown column, a wrong type, a function that does not exist; at which word."""

    word = ""


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
        with self._explaining():
            self.connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """All rows of a small result."""
        with self._explaining():
            return self.connection.execute(sql).fetchall()

    def row(self, sql: str) -> tuple[object, ...]:
        """The only row of a result."""
        with self._explaining():
            found = self.connection.execute(sql).fetchone()
        if found is None:
            raise AssertionError("a query that always has a row had none")
        return tuple(found)

    def count(self, sql: str) -> int:
        """A single whole number."""
        return int(str(self.row(sql)[0] or 0))

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

    def copy(self, sql: str, to: Path, *, ordered: bool = False) -> int:
        """Writes a query as Parquet, mode 0600; rows written."""
        os.close(os.open(to, os.O_CREAT | os.O_WRONLY, 0o600))
        order = ", PRESERVE_ORDER true" if ordered else ""
        return self.count(f"COPY ({sql}) TO {lit(str(to))} (FORMAT parquet, {_WRITTEN}{order})")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            told = explained(error)
            raise (self._damaged() if told.what == _UNREADABLE else None) or told from None

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


_UNREADABLE = "the data could not be read"
_NO_PARQUET = re.compile(r"(?:No magic bytes|Footer length error|^.*Error: File) .*?'([^'\n]+)'.*")
"""A source that is cut off, empty or something else; DuckDB names the file."""


_INNER = re.compile(r'"exception_message":"((?:[^"\\]|\\.)*)"')
"""What a background thread of DuckDB says, in the JSON it wraps it in."""


def no_space(why: str) -> SourceError:
    """A full disk under what is computed on the way."""
    return SourceError(
        "no space left on the disk for intermediate results",
        why=why,
        fix="free disk space in the temporary folder (TMPDIR); nothing was sent",
    )


def explained(error: duckdb.Error) -> BatchctlError:
    """A DuckDB error as one clear message; cell values that DuckDB quotes are left out."""
    import duckdb

    text = str(error).strip()
    first = text.splitlines()[0][:300] if text else type(error).__name__
    if "No space left" in text or "could not write" in text.lower():
        inner = _INNER.search(text)
        return no_space(inner[1].replace('\\"', '"') if inner else first)
    damaged = _NO_PARQUET.search(first)
    if damaged is not None:
        return SourceError(
            f"{damaged[1]} is no Parquet file, or a part of it is missing", fix="write it again; nothing was sent"
        )
    if isinstance(
        error, (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.PermissionException)
    ):
        word = _pointed_at(text)
        invalid = SqlInvalid("SQL that does not compile", why=first, fix=_meant(text, word))
        invalid.word = word
        return invalid
    if isinstance(error, duckdb.OutOfMemoryException):
        return SourceError(
            "not enough memory or temporary disk space to evaluate the segments",
            why=first,
            fix="free disk space in the temporary folder (TMPDIR)",
        )
    if isinstance(error, (duckdb.ConversionException, duckdb.InvalidInputException)):
        first = first.split(":")[0]
    return SourceError(_UNREADABLE, why=first, fix="check the source files; nothing was sent")


def _pointed_at(text: str) -> str:
    """The word above the caret of DuckDB's ``LINE 2: …``, or the one before an operator there."""
    for line, caret in pairwise(text.splitlines()):
        if line.startswith("LINE ") and set(caret.strip()) == {"^"}:
            at = caret.index("^")
            words = re.findall(r"\w+", line[line.index(":") : at])
            found = re.match(r'"?(\w+)', line[at:])
            return found[1] if found else (words[-1] if words else "")
    return ""


def _meant(text: str, word: str) -> str:
    """DuckDB's own suggestion, when it is about something a segment can use."""
    suggested = re.search(r'Did you mean "([^"]+)"', text)
    candidates = re.search(r"Candidate bindings: (.*)", text)
    names = re.findall(r'"([^"]+)"', candidates[1]) if candidates else []
    close = [suggested[1]] if suggested else get_close_matches(word, names, n=1)
    usable = [name for name in close if not name.startswith(("pg_", "duckdb_", "#"))]
    return f"did you mean {usable[0]}?" if usable else "correct the SQL (DuckDB's dialect)"
