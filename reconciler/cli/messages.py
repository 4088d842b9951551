"""Errors as text for a person, on standard error."""

from __future__ import annotations

from reconciler.errors import BatchctlError, SpecInvalid
from reconciler.render.words import plain


def error_text(error: BatchctlError) -> str:
    """What is wrong, why, and what to do."""
    if isinstance(error, SpecInvalid):
        from reconciler.render.problems import problems_text

        return problems_text(error.problems).rstrip("\n")
    lines = [f"error: {plain(error.what)}"]
    lines += [f"  {plain(line)}" for part in (error.why, error.fix) for line in part.splitlines() if line]
    return "\n".join(lines)
