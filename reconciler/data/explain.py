"""Errors of DuckDB as one clear message each: what is wrong with whose data, and what to do."""

from __future__ import annotations

import errno
import re
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING

from reconciler.errors import BatchctlError, SourceError

if TYPE_CHECKING:
    import duckdb


class SqlInvalid(SourceError):
    """SQL that does not compile: an unknown column, a wrong type, a function that does not exist; at which word."""

    word = ""


class SqlFailed(SourceError):
    """Something that compiles and cannot be computed for a value. `column` and `word` are known from DuckDB's own words,
    and may be shown only where a spec has them too."""

    column = kind = word = ""
    """The column that was converted, the SQL type it was converted to, and the word of the SQL, as far as known."""


UNREADABLE = "the data could not be read"
_SOURCES = "check the source files; nothing was sent"
_NO_PARQUET = re.compile(r"(?:No magic bytes|Footer length error|^.*Error: File) .*?'([^'\n]+)'.*")
"""A source that is cut off, empty or something else; DuckDB names the file."""
_FORMAT = re.compile(r"^Conversion Error: invalid (date|timestamp) field")
_CAST = re.compile(r"(?:to|type) (\w+)(?: when casting .*)?$")
_COLUMN = re.compile(r" when casting from source column (\w+)$")
"""What DuckDB says around the value that could not be converted."""
_TYPES = {name: name for name in ("DATE", "TIMESTAMP", "FLOAT", "DOUBLE", "INTERVAL", "UUID")} | {
    "INT8": "TINYINT",
    "INT16": "SMALLINT",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "INT128": "HUGEINT",
    "BOOL": "BOOLEAN",
}
"""Types as DuckDB's errors name them → as SQL does."""
_OVERFLOW = re.compile(r"^[\w ]*(?:: Overflow(?: in (?:HUGEINT )?\w+)?)?")
_INNER = re.compile(r'"exception_message":"((?:[^"\\]|\\.)*)"')
"""What a background thread of DuckDB says, in the JSON it wraps it in."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the operating system says when there is no space left for us."""


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
    kinds = (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException)
    return _failed(text) if isinstance(error, kinds) else SourceError(UNREADABLE, why=first, fix=_SOURCES)


def _failed(text: str) -> SqlFailed:
    """What is known of a computation that failed, without the value; the overflow of one is told from others."""
    first = text.splitlines()[0]
    failed = SqlFailed(UNREADABLE, why=_OVERFLOW.findall(first)[0], fix=_SOURCES)
    dated, cast, column = _FORMAT.search(first), _CAST.search(first), _COLUMN.search(first)
    failed.kind = dated[1].upper() if dated else _TYPES.get(cast[1], "") if cast else ""
    failed.column = column[1] if column else ""
    failed.word = failed.column or _pointed_at(text)
    return failed


_NAMED = re.compile(r"(?:^|: )([A-Z][\w ]*?) Error: ")


def named(text: str) -> duckdb.Error:
    """The error that an Arrow stream has only the text of."""
    import duckdb

    found = _NAMED.search(text)
    kind = (
        getattr(duckdb, "".join(word[0].upper() + word[1:] for word in found[1].split()) + "Exception", None)
        if found
        else None
    )
    return (kind or duckdb.Error)(text[found.start(1) :] if found else text)


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
