"""Saved plans: applied as they are, once; stale or tampered ones are refused with 6."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.kit import AUDIENCE, Command, people
from tests.conftest import MakeProject


@pytest.fixture
def saved(batchctl: Command, tmp_path: Path) -> Path:
    """A plan of the first upload."""
    file = tmp_path / "first.plan"
    batchctl.ok("plan", "--out", str(file))
    assert not batchctl.audiences()
    return file


def test_a_saved_plan_is_applied_without_asking(batchctl: Command, saved: Path, project: MakeProject) -> None:
    project.table("data/people.parquet", people(3))
    done = batchctl.ok("apply", str(saved))
    assert "data/people.parquet: not the data that the plan was made from" in " ".join(done.split())
    assert len(batchctl.members(AUDIENCE)) == 30, "the plan holds the rows it was made with"


def test_a_saved_plan_of_every_kind_of_row(batchctl: Command, project: MakeProject, tmp_path: Path) -> None:
    batchctl.ok("apply", "--auto-approve", "--wait")
    gone, moved = people(40, loyal=28), people(2, first=100)
    project.table("data/people.parquet", [{**row, "ok": row["pid"] != "p3"} for row in [*gone, *moved]])
    file = tmp_path / "second.plan"
    assert "+2 −3" in batchctl.ok("plan", "--out", str(file))
    assert "not the data" not in batchctl.ok("apply", str(file))
    assert batchctl.members(AUDIENCE) == {f"p{n}" for n in range(28) if n != 3} | {"p100", "p101"}


def test_a_saved_plan_shows_what_plan_showed(batchctl: Command, saved: Path) -> None:
    shown = batchctl.raw("show", str(saved))
    assert shown.returncode == 0
    assert shown.stdout == batchctl.ok("plan")


def test_a_plan_is_stale_once_the_state_moved(batchctl: Command, saved: Path) -> None:
    batchctl.ok("apply", "--auto-approve")
    done = batchctl("apply", str(saved))
    assert done.returncode == 6
    assert "make a new plan" in done.stderr


def test_a_plan_is_stale_once_the_specs_changed(batchctl: Command, saved: Path) -> None:
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("orders >= 3", "orders >= 2"))
    done = batchctl("apply", str(saved))
    assert done.returncode == 6
    assert "specs have changed" in done.stderr
    assert not batchctl.audiences()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_tampered_plan_is_refused(batchctl: Command, saved: Path, place: float) -> None:
    content = bytearray(saved.read_bytes())
    content[int(len(content) * place)] ^= 0xFF
    saved.write_bytes(bytes(content))
    done = batchctl("apply", str(saved))
    assert done.returncode == 6, done.stdout + done.stderr
    assert not batchctl.audiences()


def test_a_file_that_is_no_plan(batchctl: Command, tmp_path: Path) -> None:
    (tmp_path / "no.plan").write_text("hello")
    for name in ("no.plan", "none.plan"):
        done = batchctl("apply", str(tmp_path / name))
        assert (done.returncode, name in done.stderr) == (1, True), done.stderr


def test_a_subset_belongs_to_plan(batchctl: Command, saved: Path) -> None:
    done = batchctl("apply", str(saved), "--target", "segment-link/loyal-ios")
    assert done.returncode == 64
