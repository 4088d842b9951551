"""--help: every command has one, none imports anything heavy, and the README says the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reconciler.cli.main import COMMANDS, cli

HEAVY = ("duckdb", "httpx", "rich", "pydantic", "sqlglot", "deepdiff", "starlette", "uvicorn", "yaml", "obstore")
ROOT = Path(__file__).parents[2]


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


def test_the_readme_is_the_help() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [name for name in names() if block(name) not in readme]
    assert not missing, "python -m tests.cli.test_help rewrites the command reference"


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
    return f"### {title}\n\n```text\n{help_of(*name.split())}```\n"


def rewrite() -> None:
    """Puts the reference between its two marks in the README."""
    path = ROOT / "README.md"
    head, _, rest = path.read_text(encoding="utf-8").partition("<!-- help -->\n")
    tail = rest.partition("<!-- /help -->\n")[2]
    reference = "\n".join(block(name) for name in names())
    path.write_text(f"{head}<!-- help -->\n{reference}<!-- /help -->\n{tail}", encoding="utf-8")


if __name__ == "__main__":
    rewrite()
