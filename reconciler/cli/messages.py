"""What is said on standard error besides progress: text for a person, or JSON lines with ``--log-format json``."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from itertools import pairwise

import click

from reconciler.errors import BatchctlError, SpecInvalid
from reconciler.render.style import paint
from reconciler.render.words import plain


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON lines, be it right or wrong in all else."""
    named = any(pair == ("--log-format", "json") for pair in pairwise(arguments))
    return named or "--log-format=json" in arguments


def say(event: str, text: str, *, json_lines: bool) -> None:
    """One message: the text, or an event with it."""
    click.echo(json.dumps({"event": event, "text": text}) if json_lines else text, err=True)


def say_error(error: BatchctlError, *, json_lines: bool, colour: bool = False) -> None:
    """What is wrong, why, and what to do; of specs that are wrong every problem."""
    if not json_lines:
        click.echo(error_text(error, colour=colour), err=True)
        return
    said: dict[str, object] = {"event": "error", "what": error.what, "why": error.why, "fix": error.fix}
    if isinstance(error, SpecInvalid):
        from reconciler.render.problems import problems_json

        said["problems"] = json.loads(problems_json(error.problems))["problems"]
    click.echo(json.dumps(said), err=True)


def error_text(error: BatchctlError, *, colour: bool = False) -> str:
    """What is wrong, why, and what to do."""
    if isinstance(error, SpecInvalid):
        from reconciler.render.problems import problems_text

        return problems_text(error.problems, colour=colour).rstrip("\n")
    lines = [f"{paint('error', 'refuse', colour=colour)}: {plain(error.what)}"]
    lines += [f"  {plain(line)}" for part in (error.why, error.fix) for line in part.splitlines() if line]
    return "\n".join(lines)


def traced(error: Exception) -> None:
    """Where an exception that nobody foresaw came from, with BATCHCTL_DEBUG=1 only: its text may hold anything."""
    if os.environ.get("BATCHCTL_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
