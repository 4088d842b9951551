"""``--env``: an environment that nobody declares has no state, so nothing is said of one, and nothing is created."""

from __future__ import annotations

import json
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


UNNAMED = "environment prod is declared and none was named: this is about none of them, but about a state of its own"


def test_an_environment_that_is_forgotten_is_noticed_until_what_goes_without_has_a_state(declared: Command) -> None:
    for command in ("plan", "status"):
        assert f"warning  {UNNAMED}" in declared.ok(command)
        assert json.loads(declared.ok(command, "--format", "json"))["warnings"][0].startswith(UNNAMED)
    for command in ("state list", "state show a", "state pull", "state verify", "state compact", "state mv a b"):
        words = (*command.split(), "-C", str(declared.root))
        assert f"warning: {UNNAMED}" in declared.raw(*words).stderr, command
        lines = declared.raw(*words, "--log-format", "json").stderr.splitlines()
        assert any(json.loads(line)["event"] == "warning" and UNNAMED in line for line in lines), command
    for command in ("plan", "status", "state list"):
        assert not noticed(said(declared, command, "prod")), command
    applied = json.loads(declared.ok("apply", "--auto-approve", "--format", "json"))
    assert applied["warnings"][0].startswith(UNNAMED)
    for command in ("plan", "status", "state list", "validate"):
        assert not noticed(declared.raw(*command.split(), "-C", str(declared.root))), command


def noticed(done: Done) -> bool:
    return "none was named" in done.stdout + done.stderr


def test_a_project_without_environments_needs_none(batchctl: Command) -> None:
    assert not noticed(batchctl("plan"))
    assert not noticed(batchctl("status"))
