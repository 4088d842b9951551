"""For every test: no socket but loopback, short waits, a factory of projects on disk, and hypothesis profiles."""

from __future__ import annotations

import ipaddress
import os
import signal
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

Table = Sequence[Mapping[str, object]] | str
"""Rows; or the text of a .csv or .jsonl, or the SELECT that makes a .parquet."""

SETTLE = 0.5

_SLOW_DISK = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
settings.register_profile("ci", derandomize=True, max_examples=60, deadline=None, suppress_health_check=_SLOW_DISK)
settings.register_profile("deep", max_examples=2_000, deadline=None, suppress_health_check=_SLOW_DISK)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


class SocketBlocked(RuntimeError):
    """A test tried to talk to another machine."""


def _is_loopback(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def _loopback_only(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            raise SocketBlocked(f"{event} to {address!r}: tests talk to loopback only")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not _is_loopback(arguments[0]):
        raise SocketBlocked(f"{event} of {arguments[0]!r}: tests resolve no names")


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> None:
    """Refuses every connection to another machine, in whatever thread; processes that tests start are on their own."""
    sys.addaudithook(_loopback_only)


@pytest.fixture(autouse=True)
def counts_settle_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count that differs is believed sooner than by default: the emulator's follows its indexing at once."""
    monkeypatch.setattr("reconciler.batch.barrier.SETTLE", SETTLE)


class MakeProject:
    """Writes a project below a folder: YAML documents and the data they name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, specs: str | Mapping[str, str], data: Mapping[str, Table] | None = None) -> Path:
        """The project's folder. `specs` is one text of all documents, or file name → text; `data` is path → table."""
        named = {"project.yaml": specs} if isinstance(specs, str) else specs
        for name, text in named.items():
            self._file(name).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        for name, table in (data or {}).items():
            self.table(name, table)
        return self.root

    def table(self, name: str, table: Table) -> Path:
        """Writes one source; its kind is its suffix: .parquet, .csv or .jsonl."""
        path = self._file(name)
        if path.suffix == ".parquet":
            _parquet(path, table)
        elif isinstance(table, str):
            path.write_text(textwrap.dedent(table).lstrip("\n"), encoding="utf-8")
        else:
            path.write_text(_text(path.suffix, table), encoding="utf-8")
        return path

    def _file(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def project(tmp_path: Path) -> MakeProject:
    """`project(specs, data)` writes a project into the test's own folder and returns that folder."""
    return MakeProject(tmp_path / "project")


def _text(suffix: str, rows: Sequence[Mapping[str, object]]) -> str:
    import csv
    import io
    import json

    if suffix == ".jsonl":
        return "".join(json.dumps(row, default=str) + "\n" for row in rows)
    if suffix != ".csv":
        raise AssertionError(f"no such kind of source: {suffix}")
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


_TYPES: Sequence[tuple[type, str]] = (
    *((bool, "BOOLEAN"), (int, "BIGINT"), (float, "DOUBLE"), (datetime, "TIMESTAMP"), (date, "DATE"), (str, "VARCHAR")),
    *((list, "VARCHAR[]"), (tuple, "VARCHAR[]")),
)


def _parquet(path: Path, table: Table) -> None:
    import duckdb

    with duckdb.connect() as connection:
        if isinstance(table, str):
            query = table
        else:
            columns = {name: _type(row[name] for row in table) for name in table[0]}
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            connection.execute(f"CREATE TABLE t ({listed})")
            marks = ", ".join("?" for _ in columns)
            connection.executemany(
                f"INSERT INTO t VALUES ({marks})", [[row[name] for name in columns] for row in table]
            )
            query = "FROM t"
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")


def _type(values: Iterable[object]) -> str:
    first = next((value for value in values if value is not None), "")
    return next(name for kind, name in _TYPES if isinstance(first, kind))
