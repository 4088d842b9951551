"""A Batch on loopback and a project to run commands on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.emulator import Options, running
from tests.cli.kit import FILES, Command, people
from tests.conftest import MakeProject


@pytest.fixture
def batch() -> Iterator[str]:
    """The address of a fast, strict Batch."""
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        yield url


@pytest.fixture
def batchctl(project: MakeProject, batch: str) -> Command:
    """The command on a project of 40 people, 30 of them loyal."""
    return Command(project(FILES, {"data/people.parquet": people(40, loyal=30)}), batch)
