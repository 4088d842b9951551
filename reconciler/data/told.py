"""What SQL and sources were found to be, as problems at their very word in the specs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from reconciler.data.source import SourceMissing
from reconciler.data.sqlguard import Rejected
from reconciler.errors import Location, Problem, Word
from reconciler.spec import Segment

Where = Callable[..., Location | None]
"""``where(address, *path)``: the place of a path in an object; the last step may be a Word."""
Excerpt = Callable[..., str]
"""``excerpt(address, *path)``: its source line with a caret."""


def source_problem(
    name: str,
    wrong: SourceMissing,
    where: Where,
    excerpt: Excerpt,
    *,
    severity: Literal["error", "warning"] = "error",
) -> Problem:
    """A source of catalogue `name` that is missing or lacks a column."""
    return _told("source", (f"catalogue/{name}", *wrong.at), wrong, where, excerpt, severity)


def sql_problem(segment: Segment, wrong: Rejected, where: Where, excerpt: Excerpt) -> Problem:
    """A segment whose SQL cannot run."""
    part = "where" if segment.where is not None else "query"
    return _told("sql", (f"segment/{segment.name}", part), wrong, where, excerpt, "error")


def _told(
    rule: str,
    at: tuple[str, ...],
    wrong: SourceMissing | Rejected,
    where: Where,
    excerpt: Excerpt,
    severity: Literal["error", "warning"],
) -> Problem:
    place = (*at, Word(wrong.word)) if wrong.word else at
    return Problem(
        severity=severity,
        where=where(*place),
        what=wrong.what,
        why=wrong.why,
        fix=wrong.fix,
        excerpt=excerpt(*place),
        rule=rule,
    )
