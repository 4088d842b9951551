"""A subset is never a deletion of the rest; deletions can be switched off; guards count deletions."""

from __future__ import annotations

from tests.cli.kit import AUDIENCE, CRM, Command, people
from tests.conftest import MakeProject


def test_a_subset_touches_only_itself(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve", "--target", "segment-link/loyal-ios")
    assert batchctl.audiences() == {AUDIENCE}
    batchctl.ok("apply", "--auto-approve", "-l", "team=crm")
    assert batchctl.audiences() == {AUDIENCE}


def test_a_subset_never_deletes_the_rest(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    (batchctl.root / "loyal.yaml").unlink()
    for code, *subset in (
        (0, "--target", "destination/crm"),
        (0, "--target", "segment-link/everybody-crm"),
        (64, "--target", "segment-link/loyal-ios"),
        (64, "-l", "team=crm"),
    ):
        done = batchctl("apply", "--auto-approve", *subset)
        assert done.returncode == code, done.stdout + done.stderr
    assert batchctl.audiences() == {AUDIENCE, CRM}


def test_a_link_that_is_gone_deletes_its_audience(batchctl: Command) -> None:
    batchctl.ok("apply", "--auto-approve")
    (batchctl.root / "loyal.yaml").unlink()
    kept = batchctl("apply", "--auto-approve", "--no-delete")
    assert batchctl.audiences() == {AUDIENCE, CRM}
    assert "--no-delete" in kept.stdout
    assert kept.returncode == 4
    assert "exit code 4: --no-delete held back 1 deletion, and no guard or rule anything else\n" in kept.stderr
    assert "campaigns using it will reach nobody" in batchctl.ok("plan")
    batchctl.ok("apply", "--auto-approve")
    assert batchctl.audiences() == {CRM}
    assert "No changes." in batchctl.ok("plan")


def test_members_who_left_are_removed_even_without_deletions(batchctl: Command, project: MakeProject) -> None:
    batchctl.ok("apply", "--auto-approve")
    project.table("data/people.parquet", people(40, loyal=28))
    batchctl.ok("apply", "--auto-approve", "--no-delete")
    assert len(batchctl.members(AUDIENCE)) == 28


def test_a_wrong_folder_deletes_nothing(batchctl: Command, project: MakeProject) -> None:
    batchctl.ok("apply", "--auto-approve")
    empty = project.root / "elsewhere"
    empty.mkdir()
    done = Command(empty, batchctl.url)("apply", "--auto-approve")
    assert done.returncode == 3
    assert batchctl.audiences() == {AUDIENCE, CRM}
