"""Sources of a catalogue: files found and fingerprinted, then readable as one relation per source.

Parquet and DuckDB tables are read in place; CSV and JSON lines are imported once per run into Parquet, because a
value that is not of its declared type must become a reject with a row number, and text is slow to parse twice.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.data.engine import Engine
from reconciler.data.sql import ident, lit, lit_list
from reconciler.errors import SourceError
from reconciler.spec import Source

_SNIFFED = 1 << 16


class SourceMissing(SourceError):
    """A source that is not there, or lacks a declared field: an invalid spec, reported at its line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A readable source: SQL to select from, the stored type of each column, and rows that could not be parsed."""

    sql: str
    columns: dict[str, str]
    row: str
    """SQL of the row number, counted from 1 without the header; ``NULL`` where the source has none."""
    files: tuple[Path, ...] = ()
    malformed: tuple[tuple[int, str], ...] = ()
    """(row, reason) of rows that are not even rows."""
    fingerprints: dict[str, str] = field(default_factory=dict)
    imported: bool = False
    """Text of a file: `columns` are all VARCHAR and the relation is a private copy."""
    skips: bool = False
    """Malformed rows are missing from the relation, so that row numbers after them are too small."""
    query: str = ""
    """A SELECT still to be run in database `sql`, once the engine is locked."""

    @property
    def newest(self) -> float | None:
        """Modification time of the newest file, seconds since the epoch."""
        return max((path.stat().st_mtime for path in self.files), default=None)


def find(pattern: str, *, root: Path, roots: Sequence[Path]) -> tuple[Path, ...]:
    """Files of a path or glob relative to `root`, sorted; only below `root` or one of `roots`.

    Raises SourceMissing when nothing matches and SourceError when a match lies elsewhere.
    """
    plain = root / pattern
    if any(mark in pattern for mark in "*?["):
        anchor = Path(plain.anchor)
        matches = sorted(path for path in anchor.glob(str(plain.relative_to(anchor))) if path.is_file())
    else:
        matches = [plain] if plain.is_file() else []
    if not matches:
        raise SourceMissing(
            f"no file matches {pattern}", why=f"looked in {root}", fix="check the path; it is relative to -C"
        )
    allowed = [root.resolve(), *(other.resolve() for other in roots)]
    for path in matches:
        if not any(path.resolve().is_relative_to(base) for base in allowed):
            raise SourceError(
                f"{pattern} leads outside the project",
                fix="move the data below -C, or name its folder in BATCHCTL_DATA_ROOTS",
            )
    return tuple(path.resolve() for path in matches)


def open_source(engine: Engine, source: Source, *, root: Path, roots: Sequence[Path]) -> Relation:
    """The source as a relation; see the module docstring. Raises SourceMissing or SourceError."""
    if source.database is not None:
        return _database(engine, source, root=root, roots=roots)
    files = find(source.path or "", root=root, roots=roots)
    kinds = {path.suffix.lower() for path in files}
    if len(kinds) > 1:
        raise SourceError(
            f"{source.path} matches files of several kinds: {', '.join(sorted(kinds))}",
            fix="narrow the pattern to one kind",
        )
    prints = {str(path): f"{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in files}
    match kinds.pop():
        case ".parquet":
            return _parquet(engine, files, prints)
        case ".csv":
            return _csv(engine, source, files, prints)
        case ".jsonl" | ".ndjson":
            return _jsonl(engine, files, prints)
        case other:
            raise SourceMissing(
                f"files of kind {other or '(none)'} are not supported", fix="use .parquet, .csv or .jsonl"
            )


def _parquet(engine: Engine, files: tuple[Path, ...], prints: dict[str, str]) -> Relation:
    read = f"read_parquet({lit_list(map(str, files))}, union_by_name = true"
    names = dict(engine.columns(f"SELECT * FROM {read})"))
    return Relation(
        sql=f"{read}, file_row_number = true)",
        columns=names,
        row="file_row_number + 1",
        files=files,
        fingerprints=prints,
    )


def _database(engine: Engine, source: Source, *, root: Path, roots: Sequence[Path]) -> Relation:
    (path,) = find(source.database or "", root=root, roots=roots)
    prints = {str(path): f"{path.stat().st_size}:{path.stat().st_mtime_ns}"}
    name = f"db_{hashlib.md5(str(path).encode(), usedforsecurity=False).hexdigest()[:12]}"
    engine.run(f"ATTACH IF NOT EXISTS {lit(str(path))} AS {ident(name)} (READ_ONLY)")
    if source.query is not None:
        return Relation(
            sql=ident(name),
            columns={},
            row="CAST(NULL AS BIGINT)",
            files=(path,),
            fingerprints=prints,
            query=source.query,
        )
    parts = (source.table or "").split(".")
    sql = ".".join([ident(name), *(ident(part) for part in (parts if len(parts) > 1 else ["main", *parts]))])
    try:
        names = dict(engine.columns(f"SELECT * FROM {sql}"))
    except SourceError:
        raise SourceMissing(
            f"{path.name} has no table {source.table}", fix="write schema.table as the database has it"
        ) from None
    return Relation(sql=sql, columns=names, row="CAST(NULL AS BIGINT)", files=(path,), fingerprints=prints)


def finish_query(engine: Engine, relation: Relation) -> Relation:
    """Runs the query of a database source, now that the engine is locked; other relations are returned as they are."""
    if not relation.query:
        return relation
    name = ident(engine.table("query"))
    engine.run(f"USE {relation.sql}")
    try:
        engine.run(f"CREATE TEMP TABLE {name} AS {relation.query}")
    finally:
        engine.run("USE memory")
    return replace(relation, sql=name, columns=dict(engine.columns(f"SELECT * FROM {name}")), query="")


def encoding_of(path: Path) -> str:
    """``utf-8`` when the whole file is valid UTF-8, else ``latin-1``."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(1 << 22):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def delimiter_of(path: Path, encoding: str) -> str:
    """The delimiter of the header line: the most frequent of ``, ; tab |`` outside quotes."""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        header = file.read(_SNIFFED).lstrip("\ufeff")
    line = next(iter(header.splitlines()), "")
    return max(",;\t|", key=lambda mark: (len(next(csv.reader([line], delimiter=mark), [])), -",;\t|".index(mark)))


def _csv(engine: Engine, source: Source, files: tuple[Path, ...], prints: dict[str, str]) -> Relation:
    parts: list[str] = []
    malformed: list[tuple[int, str]] = []
    for path in files:
        if path.stat().st_size == 0:
            raise SourceError(
                f"{path.name} is empty",
                why="not even a header line",
                fix="an empty read is never taken for an empty segment",
            )
        encoding = source.encoding or encoding_of(path)
        mark = source.delimiter or delimiter_of(path, encoding)
        scan = (
            f"read_csv({lit(str(path))}, all_varchar = true, header = true, delim = {lit(mark)}, quote = '\"', escape = '\"', "
            f"encoding = {lit(encoding)}, auto_detect = false, columns = {_csv_columns(path, encoding, mark)}, "
            "store_rejects = true, parallel = false, null_padding = false, max_line_size = 16777216)"
        )
        target = engine.path("csv")
        engine.copy(f'SELECT *, row_number() OVER () AS "#row" FROM {scan}', target, ordered=True)
        found = engine.rows("SELECT line, min(error_type) FROM reject_errors GROUP BY line ORDER BY line")
        malformed += [(int(str(line)) - 1, f"malformed CSV row: {str(kind).lower()}") for line, kind in found]
        for table in ("reject_errors", "reject_scans"):
            engine.run(f"DROP TABLE IF EXISTS {table}")
        parts.append(str(target))
    read = f"read_parquet({lit_list(parts)}, union_by_name = true)"
    names = dict(engine.columns(f'SELECT * EXCLUDE ("#row") FROM {read}'))
    return Relation(
        sql=read,
        columns=names,
        row='"#row"',
        files=files,
        malformed=tuple(malformed),
        fingerprints=prints,
        imported=True,
        skips=True,
    )


def _csv_columns(path: Path, encoding: str, mark: str) -> str:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        header = next(csv.reader(file, delimiter=mark), [])
    names = [name.strip() for name in header]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated or not all(names):
        raise SourceError(f"{path.name}: the header has an empty or repeated column name", fix="name every column once")
    return "{" + ", ".join(f"{lit(name)}: 'VARCHAR'" for name in names) + "}"


def _jsonl(engine: Engine, files: tuple[Path, ...], prints: dict[str, str]) -> Relation:
    target = engine.path("jsonl")
    lines = (
        f"read_csv({lit_list(map(str, files))}, columns = {{'line': 'VARCHAR'}}, header = false, delim = '\\x1f', quote = '', "
        "escape = '', auto_detect = false, parallel = false, null_padding = false, max_line_size = 16777216)"
    )
    engine.copy(f'SELECT line, row_number() OVER () AS "#row" FROM {lines}', target, ordered=True)
    read = f"read_parquet({lit(str(target))})"
    bad = engine.rows(
        f"SELECT \"#row\" FROM {read} WHERE NOT json_valid(line) OR json_type(line) <> 'OBJECT' ORDER BY 1 LIMIT 100000"
    )
    good = f"(SELECT \"#row\", CAST(line AS JSON) AS line FROM {read} WHERE json_valid(line) AND json_type(line) = 'OBJECT')"
    keys = engine.rows(f"SELECT DISTINCT unnest(json_keys(line)) FROM {good} ORDER BY 1")
    picked = ", ".join(f"json_extract_string(line, {lit(_pointer(str(key)))}) AS {ident(str(key))}" for (key,) in keys)
    sql = f'(SELECT {picked + ", " if picked else ""}"#row" FROM {good})'
    return Relation(
        sql=sql,
        columns={str(key): "VARCHAR" for (key,) in keys},
        row='"#row"',
        files=files,
        malformed=tuple((int(str(row)), "malformed JSON line") for (row,) in bad),
        fingerprints=prints,
        imported=True,
    )


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")
