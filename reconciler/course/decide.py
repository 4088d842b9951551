"""Every target of a project, and every orphan of its state, given its course; in one total order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.address import TargetKey
from reconciler.course.keyless import places_of, with_ways_out
from reconciler.course.named import audience_course, profiles_course
from reconciler.course.orphan import orphan_course
from reconciler.errors import StateError
from reconciler.link import Target, former_links
from reconciler.observed import Inventory, Observed
from reconciler.plan.course import Course
from reconciler.plan.indexing import unindexed
from reconciler.plan.values import Op
from reconciler.spec import Project
from reconciler.state.state import State


def decide(
    targets: Iterable[Target],
    *,
    inventories: Mapping[str, Inventory],
    state: State | None,
    project: Project,
    now: datetime,
    subset: Collection[TargetKey] | None = None,
) -> tuple[Course, ...]:
    """The course of each target. `targets` are *all* targets of the project, also those outside `subset` (`--target`,
    `-l`): the rest is neither changed nor deleted.

    Order: destination, audiences by name, profiles last; then orphans in the same order. An account without an
    inventory is one nobody holds keys for: nothing named may lack it, an orphan of it is kept and reported.

    The tables of `named` (targets that links name) and `orphan` (targets only the state knows) say what is decided.
    """
    if state is not None and state.project != project.name:
        raise StateError(f"the state belongs to project {state.project}, not to {project.name}")
    every = sorted(targets, key=lambda target: (target.destination.name, target.key.is_profiles, target.key))
    named = frozenset(target.key for target in every)
    courses = [
        _named_course(target, inventories, state, now) for target in every if subset is None or target.key in subset
    ]
    if state is not None and subset is None:
        orphans = [known for known in state.targets.values() if known.key not in named]
        orphans.sort(key=lambda known: (known.destination, known.key.is_profiles, known.key))
        prefix = project.prefix(state.environment or None)
        courses += [
            orphan_course(known, inventories.get(known.account), former=former_links(every, known.links), prefix=prefix)
            for known in orphans
        ]
        places = places_of(every, state)
        courses = [one if one.key.account in inventories else with_ways_out(one, places) for one in courses]
    return tuple(_with_indexing(one, now) for one in courses)


def _with_indexing(course: Course, now: datetime) -> Course:
    if course.op in (Op.DELETE, Op.FORGET):
        return course
    return replace(course, warnings=(*course.warnings, *unindexed(course.known, course.observed, now)))


def _named_course(target: Target, inventories: Mapping[str, Inventory], state: State | None, now: datetime) -> Course:
    known = state.target(target.key) if state else None
    if target.key.is_profiles:
        return profiles_course(target, known, now)
    observed: Observed | None = inventories[target.key.account].audiences.get(target.key.audience)
    return audience_course(target, observed, known, now)


def unmanaged(
    targets: Iterable[Target], *, inventories: Mapping[str, Inventory], state: State | None
) -> dict[str, int]:
    """Per destination, how many audiences of its account neither a link names nor the state owns."""
    every = list(targets)
    owned = {known.key for known in state.targets.values()} if state else set()
    ours = {(key.account, key.audience) for key in {target.key for target in every} | owned}
    accounts = sorted({(target.destination.name, target.key.account) for target in every})
    return {
        name: sum((account, audience) not in ours for audience in inventories[account].audiences)
        for name, account in accounts
        if account in inventories
    }
