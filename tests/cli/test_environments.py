"""``--env``: an environment that nobody declares has no state, so nothing is said of one, and nothing is created."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.kit import Command, Done

COMMANDS = (
    "plan",
    "status",
    "rejects",
    "state list",
    "state show a",
    "state pull",
    "state push FILE --auto-approve",
    "state mv a b",
    "state rm a --auto-approve",
    "state unlock --auto-approve",
    "state compact",
    "state verify",
)


@pytest.fixture
def declared(batchctl: Command) -> Command:
    """A project with one environment, prod."""
    specs = batchctl.root / "specs.yaml"
    specs.write_text(specs.read_text().replace("name: shop\n", "name: shop\nenvironments: {prod: {}}\n", 1))
    (batchctl.root / "FILE").write_text("{}")
    return batchctl


def said(batchctl: Command, command: str, env: str) -> Done:
    words = [str(batchctl.root / "FILE") if word == "FILE" else word for word in command.split()]
    return batchctl.raw(*words, "-C", str(batchctl.root), "--env", env)


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("env", ["prdo", "../prod", ""])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_environment_nobody_declares_is_refused_as_plan_refuses_it(
    declared: Command, command: str, env: str
) -> None:
    before = tree(declared.root.parent)
    done, plan = said(declared, command, env), said(declared, "plan", env)
    assert (done.returncode, done.stdout) == (3, ""), done
    assert done.stderr == plan.stderr
    assert env != "prdo" or "did you mean --env prod?" in done.stderr
    assert tree(declared.root.parent) == before


def test_one_that_is_declared_is_looked_at_whatever_else_is_wrong(declared: Command) -> None:
    (declared.root / "loyal.yaml").write_text("kind: Nothing\n")
    assert said(declared, "plan", "prod").returncode == 3
    assert "no state yet" in said(declared, "status", "prod").stdout
    assert said(declared, "state verify", "prod").stdout == "0 targets, 0 wrong\n"
