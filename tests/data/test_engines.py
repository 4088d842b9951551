"""Engines that are lent: one at a time, clean, never one that failed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.data.bodies import Bodies
from reconciler.data.engine import Engine
from reconciler.data.engines import Engines
from reconciler.errors import BatchctlError


@pytest.fixture
def engines() -> Iterator[Engines]:
    with Engines(now=datetime(2026, 11, 1, tzinfo=UTC)) as one:
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
    with Engines(now=datetime(2026, 11, 1, tzinfo=UTC)) as engines, engines.lent(120) as one:
        folder: Path = one.folder
        assert folder.is_dir()
    assert not folder.exists()
