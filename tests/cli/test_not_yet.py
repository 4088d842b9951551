"""What the contract names and this version lacks is refused by name: never unknown, never accepted and ignored."""

from __future__ import annotations

import pytest

from reconciler.cli.main import COMMANDS, LATER
from tests.cli.kit import SPECS, Command
from tests.conftest import MakeProject


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("plan", "--due"), "--due"),
        (("apply", "--auto-approve", "--due"), "--due"),
        (("validate", "--online"), "--online"),
        (("schema", "--project"), "--project"),
        *((("plan", "--format", form), f"--format {form}") for form in ("markdown", "html", "markdown=plan.md")),
        (("apply", "--auto-approve", "--format", "html=out.html"), "--format html"),
        *((("validate", "--format", form), f"--format {form}") for form in ("sarif", "github")),
        *(((name, "anything", "--whatever"), f"batchctl {name}") for name in LATER),
    ],
    ids=" ".join,
)
def test_what_is_not_built_yet_says_so(batchctl: Command, arguments: tuple[str, ...], named: str) -> None:
    done = batchctl.raw(*arguments)
    assert done.returncode == 64
    assert f"{named.partition('=')[0]} is not supported in this version" in done.stderr
    assert not batchctl.audiences()


def test_no_command_is_both_there_and_not(batchctl: Command) -> None:
    assert not set(COMMANDS) & set(LATER)


def test_a_variable_may_be_used_without_being_declared(project: MakeProject, batch: str) -> None:
    root = project(SPECS.replace("title: Loyal", "title: Loyal ${var:region}"))
    batchctl = Command(root, batch)
    assert batchctl("validate", "--var", "region=fr").returncode == 0
    assert "there is no variable region" in batchctl("validate").stderr
    wrong = batchctl("validate", "--var", "regoin=fr", "--var", "region=fr")
    assert wrong.returncode == 64
    assert "did you mean region?" in wrong.stderr
