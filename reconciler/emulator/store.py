"""Everything the emulator remembers, in one SQLite database (a file or memory), with the queries that need care."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import orjson

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts(account TEXT PRIMARY KEY, api TEXT, first_seen REAL);
CREATE TABLE IF NOT EXISTS audiences(
  id INTEGER PRIMARY KEY, account TEXT, space TEXT, name TEXT, type TEXT, text TEXT, created REAL, updated REAL,
  stored INTEGER DEFAULT 0, visible_from REAL, removed_at REAL, gone_at REAL,
  shown INTEGER DEFAULT 0, shown_updated REAL, moves_at REAL DEFAULT 0);
CREATE INDEX IF NOT EXISTS audience_names ON audiences(account, space, name);
CREATE TABLE IF NOT EXISTS members(audience INTEGER, id TEXT, attributes TEXT, tags TEXT,
  PRIMARY KEY(audience, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ghosts(audience INTEGER, id TEXT, attributes TEXT, tags TEXT,
  PRIMARY KEY(audience, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS writes(seq INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT UNIQUE, audience INTEGER, kind TEXT,
  accepted REAL, due REAL, applied INTEGER DEFAULT 0, replaced INTEGER DEFAULT 0, appends INTEGER DEFAULT 0,
  payload BLOB, lost INTEGER DEFAULT 0);
CREATE INDEX IF NOT EXISTS audience_writes ON writes(audience, applied, seq);
CREATE TABLE IF NOT EXISTS profiles(account TEXT, id TEXT, attributes TEXT, written REAL,
  PRIMARY KEY(account, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS custom_data(account TEXT, id TEXT, attributes TEXT, waiting INTEGER DEFAULT 0, written REAL,
  PRIMARY KEY(account, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attribute_types(account TEXT, name TEXT, type TEXT,
  PRIMARY KEY(account, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments(account TEXT, code TEXT, display_name TEXT, created REAL, ids TEXT,
  PRIMARY KEY(account, code)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exports(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, file TEXT UNIQUE,
  account TEXT, requested REAL, due REAL, request TEXT, content BLOB);
CREATE TABLE IF NOT EXISTS log(seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, account TEXT, method TEXT, route TEXT,
  audience TEXT, status INTEGER, bytes INTEGER, items INTEGER, ms REAL, fault TEXT, error TEXT);
CREATE TABLE IF NOT EXISTS breaches(seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, account TEXT, kind TEXT, route TEXT,
  audience TEXT, detail TEXT);
"""


@dataclass(slots=True)
class Audience:
    """One row of audiences; times are Unix seconds, `stored` is the true number of members."""

    id: int
    account: str
    space: str
    name: str
    type: str
    text: str | None
    created: float
    updated: float
    stored: int
    visible_from: float
    removed_at: float | None
    gone_at: float | None
    shown: int
    shown_updated: float
    moves_at: float


_COLUMNS = ", ".join(column.name for column in fields(Audience))
Member = tuple[str, str | None, str | None]  # id, attributes as JSON text, tags as JSON text


class Store:
    """The database; one connection, used by the server's only thread."""

    def __init__(self, path: str | None) -> None:
        self.db = sqlite3.connect(path or ":memory:", check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=MEMORY", "cache_size=-200000"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.executescript(_SCHEMA)
        self.db.executescript("DELETE FROM log; DELETE FROM breaches;")  # both tell what happened since the start

    def empty(self) -> None:
        """Forgets everything."""
        tables = self.all("SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'")
        self.db.executescript("".join(f"DELETE FROM {row['name']};" for row in tables))

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Every row of a query."""
        return self.db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        row: sqlite3.Row | None = self.db.execute(sql, values).fetchone()
        return row

    def number(self, sql: str, *values: object) -> int:
        """The first column of the first row, as a whole number (0 when there is none)."""
        row = self.one(sql, *values)
        return int(row[0] or 0) if row is not None else 0

    def run(self, sql: str, *values: object) -> int:
        """Execute one statement; the number of rows changed."""
        return self.db.execute(sql, values).rowcount

    def audiences(self, where: str, *values: object) -> list[Audience]:
        """Audiences chosen by an SQL condition written by the emulator itself."""
        return [Audience(*row) for row in self.db.execute(f"SELECT {_COLUMNS} FROM audiences WHERE {where}", values)]

    def living(self, account: str, space: str, name: str) -> Audience | None:
        """The audience of that name which is not removed."""
        found = self.audiences("account=? AND space=? AND name=? AND removed_at IS NULL", account, space, name)
        return found[0] if found else None

    def named(self, account: str, space: str, name: str) -> Audience:
        """The audience of that name, which must be there."""
        found = self.living(account, space, name)
        if found is None:
            raise LookupError(f"audience {name} has just been made and is not there")
        return found

    def removed(self, account: str, space: str, name: str) -> Audience | None:
        """The last removed audience of that name, indexed or not."""
        where = "account=? AND space=? AND name=? AND removed_at IS NOT NULL ORDER BY id DESC LIMIT 1"
        found = self.audiences(where, account, space, name)
        return found[0] if found else None

    def reload(self, audience: Audience) -> Audience:
        """The same audience, read again."""
        return self.audiences("id=?", audience.id)[0]

    def present(self, audience: int, ids: Iterable[str]) -> set[str]:
        """Which of `ids` are stored members."""
        wanted = orjson.dumps(list(ids)).decode()
        sql = "SELECT m.id FROM json_each(?) j CROSS JOIN members m ON m.audience=? AND m.id=j.value"
        return {row[0] for row in self.db.execute(sql, (wanted, audience))}

    def fetch(self, table: str, audience: int, ids: Iterable[str]) -> dict[str, tuple[str | None, str | None]]:
        """Attributes and tags of some members (or ghosts), by id."""
        wanted = orjson.dumps(list(ids)).decode()
        joined = f"json_each(?) j CROSS JOIN {table} m ON m.audience=? AND m.id=j.value"
        sql = f"SELECT m.id, m.attributes, m.tags FROM {joined}"
        return {row[0]: (row[1], row[2]) for row in self.db.execute(sql, (wanted, audience))}

    def put(self, table: str, audience: int, members: Sequence[Member]) -> None:
        """Insert or overwrite members (or ghosts)."""
        sql = (
            f"INSERT INTO {table}(audience, id, attributes, tags) VALUES({int(audience)},?,?,?) "
            "ON CONFLICT DO UPDATE SET attributes=excluded.attributes, tags=excluded.tags"
        )
        self.db.executemany(sql, members)

    def drop(self, audience: int, ids: Iterable[str]) -> int:
        """Delete members; how many there were."""
        sql = f"DELETE FROM members WHERE audience={int(audience)} AND id=?"
        return self.db.executemany(sql, [(one,) for one in ids]).rowcount

    def wipe(self, audience: int) -> None:
        """Delete every member and ghost of an audience."""
        self.run("DELETE FROM members WHERE audience=?", audience)
        self.run("DELETE FROM ghosts WHERE audience=?", audience)

    def documents(self, table: str, account: str, ids: Iterable[str]) -> dict[str, sqlite3.Row]:
        """Rows of profiles or custom_data for some ids, by id."""
        wanted = orjson.dumps(list(ids)).decode()
        sql = f"SELECT d.* FROM json_each(?) j CROSS JOIN {table} d ON d.account=? AND d.id=j.value"
        return {row["id"]: row for row in self.db.execute(sql, (wanted, account))}
