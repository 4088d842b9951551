"""A Batch on loopback and a project to run commands on."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest

from reconciler.emulator import Options, running
from tests.cli.kit import FILES, Command, people
from tests.conftest import MakeProject


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """The address of a fast, strict Batch, the same for all tests."""
    with running(Options(rate_scale=0, indexing_delay=0.02)) as url:
        yield url


@pytest.fixture
def batch(emulator: str) -> str:
    """The same, without anything in it."""
    with urllib.request.urlopen(urllib.request.Request(f"{emulator}/_emulator/reset", method="POST"), timeout=10):
        return emulator


@pytest.fixture
def batchctl(project: MakeProject, batch: str) -> Command:
    """The command on a project of 40 people, 30 of them loyal."""
    return Command(project(FILES, {"data/people.parquet": people(40, loyal=30)}), batch)
