"""Sources of a catalogue: files found and fingerprinted, then readable as one relation per source.

Parquet and DuckDB tables are read in place; CSV and JSON lines are imported (`texts`), because text is slow to parse
twice and a value that is not of its declared type must become a reject with a row number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from stat import S_ISREG

from reconciler.data.engine import Engine
from reconciler.data.explain import FULL, SqlInvalid, no_space
from reconciler.data.matches import matches
from reconciler.data.sql import ident, lit, lit_list
from reconciler.data.sqlguard import Rejected, check_source
from reconciler.data.stamp import Stamps, stamps, unmoved
from reconciler.data.texts import Imported, import_csv, import_jsonl
from reconciler.errors import SourceError
from reconciler.spec import Source


class SourceMissing(SourceError):
    """A source that is not there, or lacks a declared field: an invalid spec, reported at its line.

    `at` is the path below the catalogue, `word` a word of the SQL there.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "", at: tuple[str, ...] = (), word: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.at, self.word = at, word

    def below(self, *path: str) -> SourceMissing:
        """The same, its place below a path."""
        return SourceMissing(self.what, why=self.why, fix=self.fix, at=(*path, *self.at), word=self.word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A readable source: SQL to select from, the stored type of each column, and rows that could not be parsed."""

    sql: str
    columns: dict[str, str]
    row: str
    """SQL of the row number, counted from 1 without the header; ``NULL`` where the source has none."""
    files: tuple[Path, ...] = ()
    malformed: str | None = None
    """A table (row, why) of rows that are not even rows; None when there is none."""
    stamps: Stamps = field(default_factory=dict)
    """The files before they were first looked at."""
    imported: bool = False
    """Text of a file: the relation is a private copy whose values are still to be parsed."""
    query: str = ""
    """A SELECT still to be run in database `sql`, once the engine is locked."""

    @property
    def newest(self) -> float | None:
        """Modification time of the newest file, seconds since the epoch."""
        return max((stamp.mtime_ns / 1e9 for stamp in self.stamps.values()), default=None)

    @property
    def read_later(self) -> Stamps:
        """Files that are read again and again, and have to stay what they were."""
        return {} if self.imported else self.stamps


@contextmanager
def reading() -> Iterator[None]:
    """What the operating system refuses meanwhile, as one clear message."""
    try:
        yield
    except OSError as error:
        why = error.strerror or ""
        if error.errno in FULL:
            raise no_space(why) from error
        fix = "check its permissions; nothing was sent"
        raise SourceError(f"{error.filename or 'a source'} cannot be read", why=why, fix=fix) from error


@reading()
def find(pattern: str, *, root: Path, roots: Sequence[Path]) -> tuple[Path, ...]:
    """Files of a path or glob relative to `root`, sorted; only below `root` or one of `roots`.

    Raises SourceMissing when nothing matches, or a match is no file or lies elsewhere: a mistake of the specs; and
    SourceError where something that matches, or may, cannot be looked at.
    """
    try:
        found = matches(root, pattern)
    except FileNotFoundError as error:
        named = Path(error.filename)
        if named.is_symlink():
            raise _missing(_shown(named, root), named, root) from None
        raise
    odd = next((path for path, mode in found.items() if not S_ISREG(mode)), None)
    if odd is not None or not found:
        raise _missing(_shown(odd, root) if odd else pattern, odd or root / pattern, root)
    allowed = [root.resolve(), *(other.resolve() for other in roots)]
    resolved = tuple(path.resolve() for path in found)
    for path in resolved:
        if not any(path.is_relative_to(base) for base in allowed):
            raise SourceMissing(
                f"{pattern} leads outside the project",
                fix="move the data below -C, or name its folder in BATCHCTL_DATA_ROOTS",
            )
    return resolved


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _missing(pattern: str, plain: Path, root: Path) -> SourceMissing:
    """Why no file matches: what is there instead, or which name is near."""
    if plain.is_dir():
        fix = f"name a file in it, or several: {Path(pattern) / '*.parquet'}"
        return SourceMissing(f"{pattern} is a folder", fix=fix)
    if plain.exists():
        why = "a source is read more than once, which a pipe or a device does not allow"
        return SourceMissing(f"{pattern} is not a regular file", why=why, fix="write the data to a file")
    if plain.is_symlink():
        why = f"it is a link to {plain.readlink()}"
        return SourceMissing(f"{pattern} leads to a file that is not there", why=why, fix="correct the link")
    near = get_close_matches(Path(pattern).name, _names(plain.parent), n=1, cutoff=0.75)
    fix = f"did you mean {Path(pattern).with_name(near[0])}?" if near else "check the path; it is relative to -C"
    return SourceMissing(f"no file matches {pattern}", why=f"looked in {root}", fix=fix)


def not_empty(files: Sequence[Path]) -> None:
    """SourceError for a file of 0 bytes; among several of JSON lines one without a line is a part without rows."""
    empty = [path for path in files if not path.stat().st_size]
    lines = all(path.suffix.lower() in (".jsonl", ".ndjson") for path in files)
    if empty and (not lines or empty == list(files)):
        raise SourceError(
            f"{empty[0].name} is empty: 0 bytes",
            why="a write that failed looks like this, so it is never taken for a source without rows",
            fix="write it again; a header line alone, or Parquet without rows, is a source without rows",
        )


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@reading()
def open_source(engine: Engine, source: Source, *, root: Path, roots: Sequence[Path]) -> Relation:
    """The source as a relation; see the module docstring. Raises SourceMissing or SourceError."""
    if source.database is not None:
        return _database(engine, source, root=root, roots=roots)
    files = _files(source.path or "", "path", root, roots)
    kinds = {path.suffix.lower() for path in files}
    if len(kinds) > 1:
        raise SourceError(
            f"{source.path} matches files of several kinds: {', '.join(sorted(kinds))}",
            fix="narrow the pattern to one kind",
        )
    before = stamps(files)
    not_empty(files)
    match kinds.pop():
        case ".parquet":
            return _parquet(engine, before)
        case ".csv":
            with unmoved([before]):
                found = import_csv(engine, files, delimiter=source.delimiter, encoding=source.encoding)
            return _text(found, before)
        case ".jsonl" | ".ndjson":
            with unmoved([before]):
                found = import_jsonl(engine, files)
            return _text(found, before)
        case other:
            raise SourceMissing(
                f"files of kind {other or '(none)'} are not supported", fix="use .parquet, .csv or .jsonl"
            )


def _files(pattern: str, part: str, root: Path, roots: Sequence[Path]) -> tuple[Path, ...]:
    try:
        return find(pattern, root=root, roots=roots)
    except SourceMissing as error:
        raise error.below(part) from None


def _text(found: Imported, before: Stamps) -> Relation:
    return Relation(
        sql=found.sql,
        columns=found.columns,
        row='"#row"',
        files=tuple(before),
        malformed=found.malformed,
        stamps=before,
        imported=True,
    )


def _parquet(engine: Engine, before: Stamps) -> Relation:
    files = tuple(before)
    engine.parquets += files
    read = f"read_parquet({lit_list(map(str, files))}, union_by_name = true"
    names = dict(engine.columns(f"SELECT * FROM {read})"))
    return Relation(
        sql=f"{read}, file_row_number = true)",
        columns=names,
        row="file_row_number + 1",
        files=files,
        stamps=before,
    )


def _database(engine: Engine, source: Source, *, root: Path, roots: Sequence[Path]) -> Relation:
    (path,) = _files(source.database or "", "database", root, roots)
    before = stamps([path])
    name = f"db_{hashlib.md5(str(path).encode(), usedforsecurity=False).hexdigest()[:12]}"
    engine.run(f"ATTACH IF NOT EXISTS {lit(str(path))} AS {ident(name)} (READ_ONLY)")
    if source.query is not None:
        checked = check_source(source.query)
        if isinstance(checked, Rejected):
            raise SourceMissing(checked.what, why=checked.why, fix=checked.fix, at=("query",), word=checked.word)
        return Relation(
            sql=ident(name),
            columns={},
            row="CAST(NULL AS BIGINT)",
            files=(path,),
            stamps=before,
            query=source.query,
        )
    parts = (source.table or "").split(".")
    sql = ".".join([ident(name), *(ident(part) for part in (parts if len(parts) > 1 else ["main", *parts]))])
    try:
        names = dict(engine.columns(f"SELECT * FROM {sql}"))
    except SourceError:
        fix = "write schema.table as the database has it"
        raise SourceMissing(f"{path.name} has no table {source.table}", fix=fix, at=("table",)) from None
    return Relation(sql=sql, columns=names, row="CAST(NULL AS BIGINT)", files=(path,), stamps=before)


def finish_query(engine: Engine, relation: Relation) -> Relation:
    """Runs the query of a database source, now that the engine is locked; other relations are returned as they are."""
    if not relation.query:
        return relation
    name = ident(engine.table("query"))
    engine.run(f"USE {relation.sql}")
    try:
        engine.run(f"CREATE TEMP TABLE {name} AS (\n{relation.query}\n)")
    except SqlInvalid as error:
        raise SourceMissing(error.what, why=error.why, fix=error.fix, at=("query",), word=error.word) from None
    finally:
        engine.run("USE memory")
    return replace(relation, sql=name, columns=dict(engine.columns(f"SELECT * FROM {name}")), query="")
