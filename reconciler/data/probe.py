"""Sources looked at without reading them: are they there, and do they have the columns that a catalogue names?

Columns come from Parquet footers, tables of databases, header lines of CSV; JSON lines may have any key in any line,
so that only their files are looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.data.declared import lacking, sources_of
from reconciler.data.engine import Engine
from reconciler.data.explain import SqlInvalid
from reconciler.data.source import Relation, SourceMissing, find, not_empty, open_source, reading
from reconciler.data.sql import ident
from reconciler.data.texts import csv_header
from reconciler.errors import SourceError
from reconciler.spec import Catalogue, Source


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a source of a catalogue; not `reachable` when its data is simply not on this machine."""

    catalogue: str
    wrong: SourceMissing
    reachable: bool = True


def probe(engine: Engine, catalogues: Iterable[Catalogue], *, root: Path, roots: Sequence[Path]) -> list[Finding]:
    """Everything wrong with the sources of all catalogues. Locks the engine; databases are asked afterwards."""
    found: list[Finding] = []
    asked: list[tuple[Catalogue, tuple[str, ...], Relation]] = []
    for spec in catalogues:
        for at, source in sources_of(spec).items():
            try:
                columns = _columns(engine, source, root, roots)
            except SourceError as error:
                found.append(_finding(spec, at, source, error, root))
                continue
            if isinstance(columns, Relation):
                asked.append((spec, at, columns))
            elif columns is not None:
                found += [Finding(spec.name, one) for one in lacking(spec, at, columns)]
    engine.lock([path for _, _, relation in asked for path in relation.files])
    for spec, at, relation in asked:
        found += [Finding(spec.name, one) for one in _asked(engine, spec, at, relation)]
    return found


@reading()
def _columns(engine: Engine, source: Source, root: Path, roots: Sequence[Path]) -> list[str] | Relation | None:
    """Names of columns; a relation whose query is still to be asked; None where nothing can be said."""
    if source.database is None and not (source.path or "").lower().endswith(".parquet"):
        files = _files(source, root, roots)
        not_empty(files)
        if not (source.path or "").lower().endswith(".csv"):
            return None
        headers = [csv_header(path, delimiter=source.delimiter, encoding=source.encoding) for path in files]
        return [name for header in headers for name in header]
    relation = open_source(engine, source, root=root, roots=roots)
    return relation if relation.query else list(relation.columns)


def _files(source: Source, root: Path, roots: Sequence[Path]) -> tuple[Path, ...]:
    try:
        return find(source.path or "", root=root, roots=roots)
    except SourceMissing as error:
        raise error.below("path") from None


def _finding(spec: Catalogue, at: tuple[str, ...], source: Source, error: SourceError, root: Path) -> Finding:
    part = "database" if source.database is not None else "path"
    if not isinstance(error, SourceMissing):
        return Finding(spec.name, SourceMissing(error.what, why=error.why, fix=error.fix, at=(*at, part)))
    named = root / (source.database or source.path or "")
    folder = named.parent
    there = (
        named.exists() or "*" in str(folder) or (folder.is_dir() and any(path.is_file() for path in folder.iterdir()))
    )
    return Finding(spec.name, error.below(*at), reachable=there or error.at[-1:] != (part,))


def _asked(engine: Engine, spec: Catalogue, at: tuple[str, ...], relation: Relation) -> Iterator[SourceMissing]:
    """What is wrong with a query on a database, compiled but not run."""
    engine.run(f"USE {relation.sql}")
    try:
        columns = [name for name, _ in engine.columns(f"SELECT * FROM (\n{relation.query}\n) AS {ident('asked')}")]
    except SqlInvalid as error:
        yield SourceMissing(error.what, why=error.why, fix=error.fix, at=(*at, "query"), word=error.word)
        return
    finally:
        engine.run("USE memory")
    yield from lacking(spec, at, columns)
