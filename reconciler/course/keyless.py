"""Targets of an account that nobody has keys of any more: the commands that end it. Only people know the right one.

The account's key was replaced, and what is known belongs to its new digest; or the destination has moved to another
account of Batch, or is given up.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace

from reconciler.address import Space, TargetKey
from reconciler.link import Target
from reconciler.plan.course import Course
from reconciler.state.state import State

Place = tuple[str, Space, str]
"""What stays the same of a target whose account has another key: destination, space and audience."""


def places_of(targets: Iterable[Target], state: State) -> dict[Place, TargetKey]:
    """Targets that the state does not know, by their place."""
    return {
        (target.destination.name, target.key.space, target.key.audience): target.key
        for target in targets
        if state.target(target.key) is None
    }


def with_ways_out(course: Course, places: dict[Place, TargetKey]) -> Course:
    """The course of such a target with a warning more."""
    key, place = course.key, course.known.destination if course.known else ""
    heir = places.get((place, key.space, key.audience))
    removal = f"batchctl state rm {shlex.quote(str(key))}"
    if heir is None:
        ways = f"set the keys of account {key.account} again, or give the target up: {removal}"
    else:
        moved = f"batchctl state mv {shlex.quote(str(key))} {shlex.quote(str(heir))}"
        ways = f"if only the key of account {key.account} was replaced: {moved}; if {heir.account} is another account: "
        ways += removal
    return replace(course, warnings=(*course.warnings, ways))
