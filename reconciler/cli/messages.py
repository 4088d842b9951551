"""Errors as text for a person, on standard error."""

from __future__ import annotations

import os
import sys
import traceback

from reconciler.errors import BatchctlError, SpecInvalid
from reconciler.render.style import paint
from reconciler.render.words import plain


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
