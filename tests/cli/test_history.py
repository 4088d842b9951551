"""What is kept as history goes when its time is over, in nights without any change as well, and never by a plan."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.state.holder import Holder
from reconciler.state.lock import acquire
from tests.cli.kit import Command, people
from tests.conftest import MakeProject

APPLY = ("apply", "--auto-approve")


def files(batchctl: Command) -> set[Path]:
    return {path for path in (batchctl.root / "state" / "targets").rglob("*") if path.is_file()}


@pytest.fixture
def kept(batchctl: Command, project: MakeProject) -> Command:
    """A week of nights with changes, all of it written half a year ago: more is left than any version needs."""
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("state: {url: state}", "state: {url: state}\nhistory: {keep: 90d}", 1))
    for night in range(8):
        project.table("data/people.parquet", people(40 + night))
        batchctl.ok(*APPLY)
    ago = (datetime.now(UTC) - timedelta(days=180)).timestamp()
    for path in files(batchctl):
        os.utime(path, (ago, ago))
    return batchctl


def test_a_night_without_changes_removes_history_that_is_past_its_time(kept: Command) -> None:
    before, document = files(kept), (kept.root / "state" / "state.json").read_bytes()
    assert "No changes." in kept.ok("plan")
    holder = Holder(text="apply", started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    with acquire(kept.root / "state", timeout_seconds=1, holder=holder):
        assert kept(*APPLY, "--lock-timeout", "0").returncode == 5
    assert files(kept) == before, "a plan removes nothing, nor who has no lock"
    assert "No changes." in kept.ok(*APPLY)
    left = files(kept)
    assert left < before
    assert (kept.root / "state" / "state.json").read_bytes() == document, "a saved plan still fits"
    assert "0 wrong" in kept.raw("state", "verify", "-C", str(kept.root)).stdout
    kept.ok(*APPLY)
    assert files(kept) == left


def test_history_within_its_time_stays(kept: Command) -> None:
    for path in files(kept):
        os.utime(path)
    before = files(kept)
    kept.ok(*APPLY)
    assert files(kept) == before
