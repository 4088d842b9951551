"""--help: every command has one, none imports anything heavy, and docs/cli.md says the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reconciler.cli.main import COMMANDS, cli, run
from reconciler.errors import ExitCode

HEAVY = ("duckdb", "httpx", "rich", "pydantic", "sqlglot", "deepdiff", "starlette", "uvicorn", "yaml", "obstore")
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "cli.md"


def help_of(*command: str) -> str:
    """What ``--help`` prints at 100 columns."""
    done = CliRunner().invoke(
        cli, [*command, "--help"], prog_name="batchctl", terminal_width=100, max_content_width=100
    )
    assert done.exit_code == 0
    return done.output


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)], ids=lambda c: c[0] if c else "batchctl")
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\nfrom reconciler.cli.main import run\n"
        f"code = run([*{command!r}, '--help'])\n"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    assert "Usage: batchctl" in done.stdout


@pytest.mark.parametrize("command", [[], ["state"]])
def test_without_a_command_there_is_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 64
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()[0]) == (
        "",
        f"Usage: {' '.join(['batchctl', *command])} [OPTIONS] COMMAND [ARGS]...",
    )
    assert "\\x0a" not in shown.err
    assert "\n\nCommands:\n" in shown.err


def test_the_reference_is_the_help() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "python -m tests.cli.test_help rewrites docs/cli.md"


def test_the_readme_names_every_command_and_exit_code() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [name for name in COMMANDS if f"| `{name}" not in readme]
    numbers = [row.split(", ") for row in re.findall(r"^\| ([\d, ]+) \|", readme, re.MULTILINE)]
    assert {int(number) for row in numbers for number in row} == {int(code) for code in ExitCode}


def test_whoever_copies_the_example_is_told_what_its_rate_needs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{option}" in readme for option in ("--rate-scale 0", "--db", "--fault"))
    rates = [line for line in (ROOT / "specs/destinations.yaml").read_text().splitlines() if "rate_limits" in line]
    assert "emulator --rate-scale 0" in rates[0]
    assert all("#" in line for line in rates)


def names() -> list[str]:
    """The command itself, every command, and the commands of groups."""
    found = [""]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        found += [name, *(f"{name} {one}" for one in (command.commands if isinstance(command, click.Group) else ()))]
    return found


def block(name: str) -> str:
    """One command's part of the reference."""
    title = f"batchctl {name}".strip()
    return f"## {title}\n\n```text\n{help_of(*name.split())}```\n"


def reference() -> str:
    """All of docs/cli.md."""
    return "# The command line\n\nWhat `--help` says of each command.\n\n" + "\n".join(block(name) for name in names())


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
