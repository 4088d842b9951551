"""Engines that are lent: one at a time, clean, never one that failed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cli.signals import cancelled_by_signals
from reconciler.data.bodies import Bodies
from reconciler.data.engine import Engine
from reconciler.data.engines import Engines
from reconciler.errors import BatchctlError, Interrupted, SourceError

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def engines() -> Iterator[Engines]:
    with Engines(now=NOW) as one:
        yield one


def tables(engine: Engine) -> int:
    return engine.count("SELECT count(*) FROM duckdb_tables()")


def setting(engine: Engine, name: str) -> object:
    return engine.row(f"SELECT current_setting('{name}')")[0]


def test_the_next_use_finds_it_as_the_first_did(engines: Engines) -> None:
    with engines.lent(120) as first:
        file = first.path("rows")
        first.copy("SELECT 'add' AS kind, range AS id FROM range(100000)", file)
        first.run(f'CREATE TEMP TABLE "{first.table("more")}" AS SELECT 1 AS one')
        assert Bodies(first, file, "to_json(id)").take(0, 2) == b"[0,1]"
        assert (tables(first), setting(first, "memory_limit")) == (1, "114.4 MiB")
    with engines.lent(300) as second:
        assert second is first
        assert not file.exists()
        assert (tables(second), setting(second, "memory_limit")) == (0, "286.1 MiB")
        assert setting(second, "preserve_insertion_order") is False
        with engines.lent(120) as third:
            assert third is not second


def test_one_that_failed_is_not_lent_again(engines: Engines) -> None:
    with pytest.raises(BatchctlError), engines.lent(120) as failed:
        failed.run("SELECT nothing")
    assert not failed.folder.exists()
    with engines.lent(120) as fresh:
        assert fresh is not failed
        assert fresh.count("SELECT 1") == 1


def test_their_folders_go_with_them() -> None:
    with Engines(now=NOW) as engines, engines.lent(120) as one:
        folder: Path = one.folder
        assert folder.is_dir()
    assert not folder.exists()


ENDLESS = "SELECT sum(hash(range))::UBIGINT AS n FROM range(20_000_000_000)"


@contextmanager
def signalled(number: int) -> Iterator[None]:
    """The process gets the signal in a moment."""
    timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.mark.parametrize("ask", [Engine.rows, Engine.run, lambda engine, sql: list(engine.arrays(sql))])
def test_an_interrupt_in_a_query_is_an_interrupt(ask: Callable[[Engine, str], object]) -> None:
    with Engine(now=NOW, threads=1) as engine:
        with signalled(signal.SIGINT), pytest.raises(KeyboardInterrupt):
            ask(engine, ENDLESS)
        assert engine.count("SELECT 7") == 7


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_ended_in_a_query_says_by_what(number: int, code: int) -> None:
    ended = pytest.raises(Interrupted)
    with (
        Engine(now=NOW, threads=1) as engine,
        ended as caught,
        cancelled_by_signals(threading.Event()),
        signalled(number),
    ):
        engine.rows(ENDLESS)
    assert caught.value.exit_code == code


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 7777 * 9223372036854775807 * range FROM range(3)",
        "SELECT 9223372036854775807::HUGEINT * 9223372036854775807 * (7777 + range) FROM range(3)",
        "SELECT repeat('7777', 99999999999999 * range) FROM range(3)",
        "SELECT '7777x'::DATE - range::INTEGER FROM range(3)",
    ],
)
def test_an_error_says_no_value(sql: str) -> None:
    with Engine(now=NOW) as engine, pytest.raises(SourceError) as caught:
        engine.rows(sql)
    assert "7777" not in f"{caught.value.what} {caught.value.why} {caught.value.fix}"
