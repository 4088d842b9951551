"""Sources that are missing, broken, empty or tiny: never a deletion, never a traceback."""

from __future__ import annotations

from tests.cli.kit import AUDIENCE, Command, people
from tests.conftest import MakeProject

NOBODY = "SELECT 'x' AS pid, 1 AS orders, 'e' AS email, true AS ok WHERE false"


def test_one_row(batchctl: Command, project: MakeProject) -> None:
    project.table("data/people.parquet", people(1))
    batchctl.ok("apply", "--auto-approve")
    assert batchctl.members(AUDIENCE) == {"p0"}


def test_no_rows_is_refused_and_nobody_is_removed(batchctl: Command, project: MakeProject) -> None:
    batchctl.ok("apply", "--auto-approve")
    project.table("data/people.parquet", NOBODY)
    done = batchctl("apply", "--auto-approve")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "no rows in data/people.parquet" in done.stdout
    assert len(batchctl.members(AUDIENCE)) == 30


def test_a_missing_file_is_3(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    (batchctl.root / "data" / "people.parquet").unlink()
    for arguments in (("plan",), ("apply", "--auto-approve"), ("preview", "loyal-ios")):
        done = batchctl(*arguments)
        assert done.returncode == 3, done.stdout + done.stderr
        assert "no file matches data/people.parquet" in done.stderr
    assert len(batchctl.members(AUDIENCE)) == 30


def test_a_column_that_is_gone_is_3(batchctl: Command, project: MakeProject) -> None:
    project.table("data/people.parquet", "SELECT 'p1' AS pid, 3 AS orders, true AS ok")
    done = batchctl("plan")
    assert done.returncode == 3
    assert "has no column email" in done.stderr
