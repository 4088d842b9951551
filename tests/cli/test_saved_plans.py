"""Saved plans: applied as they are, once; stale or tampered ones are refused with 6."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.address import TargetKey
from reconciler.planfile import open_plan
from reconciler.state.state import State
from reconciler.state.store import StateStore
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


def test_commands_of_a_plan_that_is_shown_name_its_project(
    batchctl: Command, project: MakeProject, tmp_path: Path
) -> None:
    project.table("data/people.parquet", people(40, malformed=3))
    planned = batchctl.ok("plan", "--out", str(tmp_path / "plan"))
    assert f"(batchctl rejects -C {batchctl.root})" in planned
    assert batchctl.raw("show", str(tmp_path / "plan")).stdout == planned


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


@pytest.fixture
def midway(batchctl: Command, project: MakeProject, tmp_path: Path) -> Path:
    """A plan of a second upload that the state says is being applied, as a killed apply leaves it."""
    batchctl.ok("apply", "--auto-approve")
    project.table("data/people.parquet", people(42, loyal=32))
    batchctl.ok("apply", "--auto-approve")
    project.table("data/people.parquet", people(44, loyal=34))
    file = tmp_path / "second.plan"
    batchctl.ok("plan", "--out", str(file))
    with open_plan(file, seal=None) as opened:
        edit(batchctl, lambda state: state.model_copy(update={"applying": opened.plan.digest}))
    return file


def edit(batchctl: Command, change: Callable[[State], State]) -> State:
    """What nobody but apply writes."""
    store = StateStore(batchctl.root / "state")
    state = store.read()
    assert state is not None
    return store.write(change(state))


def test_a_plan_midway_goes_on(batchctl: Command, midway: Path) -> None:
    batchctl.ok("apply", str(midway))
    assert len(batchctl.members(AUDIENCE)) == 34


@pytest.mark.parametrize("command", ["rm", "mv", "push", "compact", "import"])
def test_a_plan_midway_does_not_go_on_over_a_state_changed_by_hand(
    batchctl: Command, midway: Path, tmp_path: Path, command: str
) -> None:
    keys = edit(batchctl, lambda state: state).targets
    key = next(one for one in keys if AUDIENCE in one)
    file = str(tmp_path / "pulled.json")
    if command == "import":
        edit(batchctl, lambda state: state.without_target(TargetKey.parse(key)))
    changes: dict[str, tuple[str, ...]] = {
        "rm": ("state", "rm", key, "--auto-approve"),
        "mv": ("state", "mv", key, f"00c0ffee/{key.partition('/')[2]}"),
        "push": ("state", "push", file, "--auto-approve"),
        "compact": ("state", "compact"),
        "import": ("import", "segment-link/loyal-ios", AUDIENCE),
    }
    folder = ("-C", str(batchctl.root))
    assert batchctl.raw("state", "pull", "--out", file, *folder).returncode == 0
    done = batchctl.raw(*changes[command], *folder)
    assert done.returncode == 0, done.stderr
    done = batchctl("apply", str(midway))
    assert (done.returncode, "make a new plan" in done.stderr) == (6, True), done.stdout + done.stderr
    assert len(batchctl.members(AUDIENCE)) == 32


def test_a_plan_midway_does_not_go_on_for_a_target_the_state_lost(batchctl: Command, midway: Path) -> None:
    edit(batchctl, lambda state: state.model_copy(update={"targets": {}}))
    done = batchctl("apply", str(midway))
    assert (done.returncode, "is not in the state any more" in done.stderr) == (6, True), done.stdout + done.stderr
    assert len(batchctl.members(AUDIENCE)) == 32
