"""What a killed process leaves in the temporary folder holds identifiers: the next run removes it, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.scratch import PREFIX, UNLOCKED, Scratch, sweep
from tests.cli.kit import Command


def killed(batchctl: Command, at: int, temporary: Path) -> None:
    """An apply that dies at its n-th point."""
    command = [sys.executable, "-m", "reconciler", "apply", "-C", str(batchctl.root), "--auto-approve"]
    environ = batchctl.environ(TMPDIR=str(temporary), BATCHCTL_CRASH_AT=str(at))
    assert subprocess.run(command, env=environ, capture_output=True, check=False).returncode == -signal.SIGKILL


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def test_the_next_run_removes_what_a_killed_one_left(batchctl: Command, temporary: Path) -> None:
    rows = "".join(f"p{n},3,p{n}@example.com,true\n" for n in range(40))
    (batchctl.root / "data" / "people.csv").write_text("pid,orders,email,ok\n" + rows)
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("people.parquet", "people.csv"))
    killed(batchctl, 3, temporary)
    (left,) = temporary.iterdir()
    assert (left.stat().st_mode & 0o777, left.name.startswith(PREFIX)) == (0o700, True)
    assert list(left.rglob("*"))
    with Scratch(temporary) as ours:
        assert batchctl.process("plan", TMPDIR=str(temporary)).returncode == 0
        assert list(temporary.iterdir()) == [ours]
    assert not list(temporary.iterdir())


DYING = """
import sys
from reconciler.cli.main import run
from reconciler.crashpoint import arm
arm(1, name=sys.argv[1])
run(sys.argv[2:])
"""


@pytest.mark.parametrize("at", ["plan file: opened", "plan file: synced", "plan file: end"])
def test_the_next_plan_that_is_saved_removes_what_a_killed_one_left(batchctl: Command, tmp_path: Path, at: str) -> None:
    plans = tmp_path / "plans"
    plans.mkdir()
    saving = ("plan", "--out", str(plans / "night.plan"))
    command = [sys.executable, "-c", DYING, at, *saving, "-C", str(batchctl.root)]
    died = subprocess.run(command, env=batchctl.environ(), capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died
    (left,) = plans.iterdir()
    assert (left.stat().st_mode & 0o777, left.name.startswith(PREFIX)) == (0o700, True)
    batchctl.ok(*saving)
    assert list(plans.iterdir()) == [plans / "night.plan"]


BEFORE_IT_IS_LOCKED = """
import os, sys
from pathlib import Path
from reconciler.scratch import Scratch
def hook(event, arguments, done=[]):
    if event == "fcntl.flock" and not done:
        done.append(event)
        (left,) = Path(sys.argv[1]).iterdir()
        exec(sys.argv[2])
sys.addaudithook(hook)
with Scratch(Path(sys.argv[1])) as path:
    print(path.is_dir(), list(Path(sys.argv[1]).iterdir()) == [path])
"""


def test_a_folder_of_a_process_that_died_before_it_was_locked_is_removed(temporary: Path) -> None:
    command = [sys.executable, "-c", BEFORE_IT_IS_LOCKED, str(temporary), "os.kill(os.getpid(), 9)"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list(temporary.iterdir())) == 1
    sweep(temporary)
    assert not list(temporary.iterdir())


def test_a_folder_that_another_removes_before_it_is_locked_is_made_anew(temporary: Path) -> None:
    command = [sys.executable, "-c", BEFORE_IT_IS_LOCKED, str(temporary), "left.rmdir()"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "True True\n"
    assert not list(temporary.iterdir())


def test_only_folders_of_dead_processes_of_ours_are_removed(temporary: Path) -> None:
    code = (
        "import sys; from reconciler.scratch import Scratch; s = Scratch(); print(s.path, flush=True); sys.stdin.read()"
    )
    living = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with living:
        assert living.stdout is not None
        theirs = Path(living.stdout.readline().strip())
        others = temporary / f"{PREFIX}readable", temporary / f"{UNLOCKED}1", temporary / f"{PREFIX}elsewhere"
        others[0].mkdir(mode=0o755)
        others[1].mkdir(mode=0o700)
        (temporary / "elsewhere").mkdir(mode=0o700)
        others[2].symlink_to(temporary / "elsewhere")
        (temporary / f"{PREFIX}file").write_text("")
        before = sorted(temporary.iterdir())
        sweep(temporary)
        assert sorted(temporary.iterdir()) == before
        assert theirs in before
        living.kill()
        living.wait()
        sweep(temporary)
        assert sorted([*temporary.iterdir(), theirs]) == before


def test_what_a_library_says_at_the_end_of_the_process_is_not_shown(batchctl: Command) -> None:
    """DuckDB's binding lists on standard error what was never taken apart."""
    asked, recognised = batchctl.process("apply", "--auto-approve"), batchctl.process("plan")
    assert (asked.returncode, recognised.returncode) == (0, 0)
    assert "leaked" not in asked.stderr + recognised.stderr
