"""CSV and JSON lines → private Parquet copies, once per run: every row numbered, rows that are no rows set aside.

Nothing is lost silently: what the engine's reader drops is counted, a quote that is never closed included.
"""

from __future__ import annotations

import csv
import os
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from reconciler.data.encoding import AS_TEXT, Spoken, check_text
from reconciler.data.engine import Engine
from reconciler.data.sql import ident, lit, lit_list
from reconciler.errors import SourceError

_SNIFFED = 1 << 16
_MARKS = ",;\t|"
_READING = "auto_detect = false, store_rejects = true, parallel = false, null_padding = false, max_line_size = 16777216"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A readable copy: its SQL, its columns, and a table (row, why) of the rows that are not even rows."""

    sql: str
    columns: dict[str, str]
    malformed: str | None


@dataclass(frozen=True, slots=True)
class _Text:
    """What one pass over a file's bytes tells."""

    encoding: str
    quotes: int
    blanks: bool
    """Whether lines without a character stand between others, in quotes or not."""


@dataclass(frozen=True, slots=True)
class _Scan:
    """How a file is read."""

    reader: str
    header: int
    unclosed: bool = False
    """Whether its last quote stays open."""
    blanks: Sequence[int] = ()
    """Numbers of the records, the header not counted, that are lines without a character and that the reader skips."""


def import_csv(engine: Engine, files: Sequence[Path], *, delimiter: str | None, encoding: str | None) -> Imported:
    """All columns as text. Raises SourceError for a file that is empty, has no usable header, or cannot be read."""

    def scan(path: Path) -> _Scan:
        text = _looked_at(path)
        spoken = encoding or text.encoding
        mark = delimiter or delimiter_of(path, spoken)
        names = _header(path, spoken, mark)
        columns = ", ".join(f"{lit(name)}: 'VARCHAR'" for name in names)
        reader = (
            f"read_csv({lit(str(path))}, columns = {{{columns}}}, header = true, delim = {lit(mark)}, quote = '\"', "
            f"escape = '\"', encoding = {lit(spoken)}, {_READING})"
        )
        unclosed = text.quotes % 2 == 1 and _unclosed(path, spoken, mark)
        return _Scan(reader, 1, unclosed, _blanks(path, spoken, mark) if text.blanks and len(names) > 1 else ())

    return _imported(engine, files, "CSV row", scan, lambda part, _: part)


def import_jsonl(engine: Engine, files: Sequence[Path]) -> Imported:
    """One column of JSON per key that any line has. Raises SourceError for files that cannot be read."""

    def scan(path: Path) -> _Scan:
        with path.open("rb") as file:
            check_text(path, file.read(8))
        reader = (
            f"read_csv({lit(str(path))}, columns = {{'line': 'VARCHAR'}}, header = false, delim = '\\x1f', quote = '', "
            f"escape = '', {_READING})"
        )
        return _Scan(reader, 0)

    def objects(part: str, broken: str) -> str:
        parsed = ident(engine.table("json"))
        engine.run(f'CREATE TEMP VIEW {parsed} AS SELECT "#row", TRY_CAST(line AS JSON) AS line FROM {part}')
        wrong = f"SELECT \"#row\", 'malformed JSON line' FROM {parsed} WHERE json_type(line) IS DISTINCT FROM 'OBJECT'"
        engine.run(f"INSERT INTO {broken} {wrong}")
        return f"(SELECT * FROM {parsed} WHERE json_type(line) = 'OBJECT')"

    lines = _imported(engine, files, "JSON line", scan, objects)
    keys = [str(key) for (key,) in engine.rows(f"SELECT DISTINCT unnest(json_keys(line)) FROM {lines.sql} ORDER BY 1")]
    if not keys and lines.malformed is None:
        fix = "an empty read is never taken for an empty segment"
        raise SourceError(f"{files[0].name} is empty", why="it holds no JSON object", fix=fix)
    _distinct(files[0], keys, "two keys of the lines differ only by case")
    picked = [f"json_extract(line, {lit(_pointer(key))}) AS {ident(key)}" for key in keys if key]
    sql = f"(SELECT {', '.join([*picked, chr(34) + '#row' + chr(34)])} FROM {lines.sql})"
    return Imported(sql=sql, columns=dict.fromkeys(filter(None, keys), "JSON"), malformed=lines.malformed)


def _imported(
    engine: Engine,
    files: Sequence[Path],
    what: str,
    scan: Callable[[Path], _Scan],
    shaped: Callable[[str, str], str],
) -> Imported:
    """`scan` says how a file is read, `shaped` makes the final rows."""
    broken = ident(engine.table("malformed"))
    engine.run(f"CREATE TEMP TABLE {broken} (row BIGINT, why VARCHAR)")
    parts = []
    for path in files:
        read = scan(path)
        named = f"malformed {what}" + (f" of {path.name}" if len(files) > 1 else "")
        try:
            part = _copied(engine, read, broken, named)
        except SourceError as error:
            even = _evenly_ended(path, engine.path("even", path.suffix))
            if even is None:
                raise SourceError(f"{path.name}: {error.what}", why=error.why, fix="check that it is text") from None
            part = _copied(engine, scan(even), broken, named)
        if read.unclosed:
            last = f'SELECT coalesce(max("#row"), 0) + 1, {lit(f"{named}: a quote is never closed")} FROM {part}'
            engine.run(f"INSERT INTO {broken} {last}")
        parts.append(shaped(part, broken))
    union = " UNION ALL BY NAME ".join(f"SELECT * FROM {part}" for part in parts)
    sql = parts[0] if len(parts) == 1 else f"({union})"
    columns = {name: kind for name, kind in engine.columns(f"SELECT * FROM {sql}") if name != "#row"}
    rows = engine.count(f"SELECT count(*) FROM {broken}")
    return Imported(sql=sql, columns=columns, malformed=broken if rows else None)


def _copied(engine: Engine, read: _Scan, broken: str, named: str) -> str:
    """One file as Parquet with ``#row``, its place among all records of the file: malformed and blank ones count."""
    target, reader = engine.path("text"), read.reader
    columns = [ident(name) for name, _ in engine.columns(f"SELECT * FROM {reader}")]
    blank = f"coalesce({', '.join(columns)}, '') = ''" if len(columns) > 1 else f"coalesce(trim({columns[0]}), '') = ''"
    numbered = f'SELECT *, row_number() OVER () AS "#row" FROM {reader}'
    engine.copy(f"SELECT * FROM ({numbered}) WHERE NOT ({blank})", target, ordered=True)
    gaps = ident(engine.table("gaps"))
    engine.run(
        f"CREATE TEMP TABLE {gaps} AS SELECT line - {read.header} AS line, concat({lit(named + ': ')}, lower(min(error_type))) AS why "
        "FROM reject_errors GROUP BY line"
    )
    for table in ("reject_errors", "reject_scans"):
        engine.run(f"DROP TABLE IF EXISTS {table}")
    engine.run(f"INSERT INTO {broken} SELECT line, why FROM {gaps}")
    for some in (read.blanks[at : at + 100_000] for at in range(0, len(read.blanks), 100_000)):
        engine.run(f"INSERT INTO {gaps} SELECT unnest([{', '.join(map(str, some))}]), NULL")
    copy = f"read_parquet({lit_list([str(target)])})"
    if not engine.count(f"SELECT count(*) FROM {gaps}"):
        return copy
    counted = f"SELECT line - row_number() OVER (ORDER BY line) + 1 AS after, row_number() OVER (ORDER BY line) AS n FROM {gaps}"
    before = f"SELECT after, max(n) AS n FROM ({counted}) GROUP BY after"
    place = 'part."#row" + coalesce(g.n, 0) AS "#row"'
    return f'(SELECT part.* REPLACE ({place}) FROM {copy} AS part ASOF LEFT JOIN ({before}) AS g ON part."#row" >= g.after)'


def _looked_at(path: Path) -> _Text:
    """Encoding and number of quotes. Raises SourceError."""
    spoken, quotes, size = Spoken(), 0, 0
    blanks, ends = False, b""
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            if not size:
                check_text(path, chunk)
            size += len(chunk)
            quotes += chunk.count(b'"')
            lines = (ends + chunk).rstrip(b"\r\n")
            blanks = blanks or any(two in lines for two in (b"\n\n", b"\n\r\n", b"\r\r"))
            ends = (ends + chunk)[len(lines) :]
            spoken.hear(chunk)
    return _Text(spoken.encoding, quotes, blanks)


def delimiter_of(path: Path, encoding: str) -> str:
    """The delimiter of the header line: the one of ``, ; tab |`` that cuts it into most columns."""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        header = file.read(_SNIFFED).lstrip("\ufeff")
    line = next(iter(header.splitlines()), "")
    return max(_MARKS, key=lambda mark: (len(next(csv.reader([line], delimiter=mark), [])), -_MARKS.index(mark)))


def _header(path: Path, encoding: str, mark: str) -> list[str]:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors="replace", newline="") as file:
        names = [name.strip() for name in next(csv.reader(file, delimiter=mark), [])]
    if not names:
        fix = "an empty read is never taken for an empty segment"
        raise SourceError(f"{path.name} is empty", why="not even a header line", fix=fix)
    if any(char == "\ufffd" or unicodedata.category(char) == "Cc" for char in "".join("".join(names).split())):
        why = (
            f"it is not {encoding.upper()}, or holds control characters: the file may be compressed, or no text at all"
        )
        raise SourceError(f"the header line of {path.name} cannot be read", why=why, fix=AS_TEXT)
    if not all(names):
        raise SourceError(f"{path.name}: the header has an empty column name", fix="name every column once")
    _distinct(path, names, "the header has a repeated column name")
    return names


def csv_header(path: Path, *, delimiter: str | None, encoding: str | None) -> list[str]:
    """Names of the columns, from the header line alone. Raises SourceError for a file without a usable one."""
    with path.open("rb") as file:
        line = file.readline(_SNIFFED)
    check_text(path, line)
    spoken = encoding or ("utf-8" if _is_utf8(line) else "latin-1")
    return _header(path, spoken, delimiter or delimiter_of(path, spoken))


def _is_utf8(data: bytes) -> bool:
    try:
        return data.decode() is not None
    except UnicodeDecodeError:
        return False


def _distinct(path: Path, names: Sequence[str], what: str) -> None:
    if len({name.lower() for name in names}) < len(names):
        raise SourceError(f"{path.name}: {what}", fix="name every column once, whatever the case")


def _unclosed(path: Path, encoding: str, mark: str) -> bool:
    """Whether the file ends inside quotes: a line put behind it is then swallowed. Only asked of odd numbers of quotes."""
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        try:
            last = deque(csv.reader(chain(_ended(file), ["end"]), delimiter=mark), maxlen=1)
        except csv.Error:  # a value longer than any column: everything behind the quote
            return True
    return list(last) != [["end"]]


def _blanks(path: Path, encoding: str, mark: str) -> list[int]:
    """Numbers of the lines without a character among all records; the header is 0."""
    found: list[int] = []
    with path.open(encoding=encoding, errors="replace", newline="") as file, suppress(csv.Error):
        found += (number for number, row in enumerate(csv.reader(file, delimiter=mark)) if not row)
    return found


def _evenly_ended(path: Path, copy: Path) -> Path | None:
    """A private copy whose lines all end in LF, in quotes too; None when all lines end alike as it is."""
    crlf, lf, cr, held = 0, 0, 0, b""
    with path.open("rb") as file, os.fdopen(os.open(copy, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as out:
        while chunk := file.read(1 << 22):
            text, held = held + chunk, b""
            if text.endswith(b"\r"):
                text, held = text[:-1], b"\r"
            pairs = text.count(b"\r\n")
            crlf, lf, cr = crlf + pairs, lf + text.count(b"\n") - pairs, cr + text.count(b"\r") - pairs
            out.write(text.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        out.write(held.replace(b"\r", b"\n"))
        cr += len(held)
    return copy if (crlf > 0) + (lf > 0) + (cr > 0) > 1 else None


def _ended(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line if line.endswith(("\n", "\r")) else line + "\n"


def _pointer(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")
