"""Quoting and small pieces of DuckDB SQL shared by the data room. Pure text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

DUCK_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "url": "VARCHAR",
    "list<string>": "VARCHAR[]",
}
"""Logical type → column type of catalogues, baselines and delta files."""


def ident(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def lit(text: str) -> str:
    """A text literal, quoted."""
    return "'" + text.replace("'", "''") + "'"


def lit_list(texts: Iterable[str]) -> str:
    """A list of text literals: ``['a', 'b']``."""
    return "[" + ", ".join(lit(text) for text in texts) + "]"


def conjunction(terms: Iterable[str]) -> str:
    """Terms joined by AND, each in parentheses; TRUE when there is none."""
    return " AND ".join(f"({term})" for term in terms) or "TRUE"


def disjunction(terms: Iterable[str]) -> str:
    """Terms joined by OR, each in parentheses; FALSE when there is none."""
    return " OR ".join(f"({term})" for term in terms) or "FALSE"


Digest = Callable[[str], str]
"""SQL of an identifier column → SQL of its 64-bit hash."""


def digest(column: str) -> str:
    """The hash by which identifiers are found. No hash outlives the run."""
    return f"hash({column})"


CASED = "id <> lower(id) AS cased"
"""SQL of the column of delta files that says which identifiers lower case would change."""

ADD = "'add'"
"""SQL of the kind of a row that adds somebody, or says all about them."""


def kind_of(sql: str) -> str:
    """SQL of the column of delta files that says what a row does; read back it is text. Of a fixed set of words, because
    to write it as text takes a fifth of the time of a file."""
    return f"CAST({sql} AS ENUM('consent', 'remove', 'reset', 'add', 'put')) AS kind"


def stored_hash(key: str) -> str:
    """SQL of the column ``k`` of delta files: the hash of a key, NULL where the identifier is the key."""
    return f"CASE WHEN {key} IS DISTINCT FROM {key_hash('id')} THEN {key} END"


Person = Callable[[str], str]
"""SQL of a key → SQL of what people are compared by within one target: `key_text`, or `key_hash` where somebody was told
under another identifier than their key."""


def told_person(alias: str, person: Person) -> str:
    """SQL of whose row of a delta file it is, as `person` has it."""
    return f"{alias}.id" if person is key_text else f"coalesce({alias}.k, {key_hash(f'{alias}.id')})"


def key_text(expression: str) -> str:
    """A person's key as text."""
    return f"CAST({expression} AS VARCHAR)"


def key_hash(expression: str) -> str:
    """128-bit hash of a person's key as a UUID (16 bytes in Parquet); 64 bits would collide."""
    return f"CAST(md5(CAST({expression} AS VARCHAR)) AS UUID)"
