"""Courses whose links, sources and baseline are what they were at the last commit: known without reading a row.

What is left is evaluated (`reconciler.evaluate`), which takes DuckDB and all that goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from reconciler.address import TargetKey
from reconciler.course import Course
from reconciler.data.checks import RULES
from reconciler.data.inputs import Inputs
from reconciler.data.sql import Digest, digest
from reconciler.data.staged import Counts, Staged
from reconciler.data.told import Excerpt, Where
from reconciler.plan.values import Op
from reconciler.state.standing import Standing
from reconciler.state.state import MADE, DataFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where data lies, and who wants to hear of progress."""

    root: Path
    roots: Sequence[Path] = ()
    where: Where
    excerpt: Excerpt = lambda *_: ""
    progress: Callable[[str], None]
    path_of: Callable[[DataFile], Path]
    locate: Callable[[DataFile], Path]
    """A small file of the state: its digest is checked every time."""
    retry_rejects: bool = False
    digest: Digest = digest
    """The hash of the fast path; its collisions cost time, never a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """The deltas of a run, and what they were computed from."""

    staged: dict[TargetKey, Staged] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """What needs no reading, and what does."""

    staged: dict[TargetKey, Staged]
    digests: dict[TargetKey, str | None]
    """Of the inputs of every course with documents; None where the rows are computed whatever it would be."""
    todo: tuple[Course, ...]


def recognise(
    courses: Sequence[Course], standings: Mapping[str, Standing], ground: Ground, *, now: datetime
) -> Recognised:
    """Tells apart what can have changed since the last commit; only names and times of files are looked at."""
    inputs = Inputs(ground.root, ground.roots)
    digests = {one.key: inputs.digest(one.target) for one in courses if one.staged and one.target and not one.forget}
    staged = {
        course.key: _recognised(course, inputs, now.timestamp())
        for course in courses
        if _same_inputs(course, standings.get(str(course.key)), digests.get(course.key), ground)
    }
    todo = tuple(course for course in courses if course.staged and course.key not in staged)
    return Recognised(staged=staged, digests=digests, todo=todo)


def _same_inputs(course: Course, standing: Standing | None, digest: str | None, ground: Ground) -> bool:
    """Whether nothing can have changed since the last commit: same inputs, and Batch knows all that came of them."""
    if standing is None or not digest or ground.retry_rejects:
        return False
    known = standing.known
    steady = course.op is Op.DELTA and not (course.everybody or course.void or course.refused)
    baseline = known.baseline
    at_rest = known.pending is None and not standing.unsure and known.committed
    same = (known.inputs.removeprefix(MADE) if course.made else known.inputs) == digest
    return steady and at_rest and baseline.trusted and baseline.rules == RULES and same


def _recognised(course: Course, inputs: Inputs, now: float) -> Staged:
    """What comparing would find, without reading a row: everybody is who they were at the last commit."""
    assert course.target is not None
    assert course.known is not None
    count = course.known.baseline.count
    newest = {link.catalogue.name: inputs.newest(link.catalogue) for link in course.target.links}
    return Staged(
        counts=Counts(members=count, rows_read=count, source_rows=max(count, 1), after=count),
        oldest={name: max(0.0, now - at) for name, at in newest.items() if at is not None},
        inputs=course.known.inputs.removeprefix(MADE),
    )
