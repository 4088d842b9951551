"""What state will say of a target once its change is committed, counts and files excepted; and what of it is news."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from reconciler.address import Space
from reconciler.link import Link, Target
from reconciler.plan.course import Course
from reconciler.plan.identifier import identifier_digest
from reconciler.plan.values import Change, Op
from reconciler.spec import Destination
from reconciler.state.state import Baseline, State, TargetState

SETTINGS = ("destination", "api_url", "api_version", "keys", "prevent_destroy", "on_destroy", "on_exit")
"""What a later run may have to know without the documents: a change of these is recorded even if nobody moves."""
ENDS = ("prevent_destroy", "on_destroy")
NOTHING_DONE: dict[str, object] = {
    "committed": False,
    "last_full": None,
    "last_commit": None,
    "known_offset": 0,
    "inputs": "",
    "once_done": (),
}
"""Of the state after a commit, what is not true of a new target until then."""
_NOTHING = "(none)"
FULL = (Op.CREATE, Op.ADOPT, Op.FULL)


def state_after(course: Course, *, serial: int, now: datetime, inputs: str = "") -> TargetState:
    """The target's state after the commit; of an orphan what is known already."""
    if course.target is None:
        if course.known is None:
            raise ValueError("a course has a target or is an orphan of the state")
        return course.known.model_copy(update={"inputs": inputs})
    known, target = course.known, course.target
    own = known is not None and course.op is not Op.ADOPT
    return TargetState(
        account=target.key.account,
        space=target.key.space,
        audience=target.key.audience,
        destination=target.destination.name,
        api_url=target.destination.api_url,
        api_version=target.destination.api_version if target.key.space is Space.CEP else None,
        keys=_keys(target.destination),
        id_type=target.id_type,
        links=tuple(sorted(link.address for link in target.links)),
        created=course.observed.created if course.observed else None,
        owned_since=known.owned_since if known and own else serial + 1,
        prevent_destroy=any(link.spec.lifecycle.prevent_destroy for link in target.links),
        on_destroy=target.links[0].spec.lifecycle.on_destroy,
        on_exit=on_exit_of(target, known),
        baseline=_baseline(course, target),
        committed=True,
        known_offset=_offset(course),
        last_full=now if course.op in FULL or known is None else known.last_full,
        last_commit=now,
        last_write=known.last_write if known and not course.create else None,
        inputs=inputs,
        once_done=tuple(sorted(link.address for link in target.links if _once(link))),
    )


def protecting(state: State, changes: Iterable[Change]) -> State:
    """The state with what documents say of how a target ends, where the rest of its change is refused: it protects from
    the day it is declared, not only from the next commit."""
    found = []
    for change in changes:
        known = state.targets.get(change.key)
        if change.refused is None or change.state is None or known is None:
            continue
        ends = {name: getattr(change.state, name) for name in ENDS}
        if ends != {name: getattr(known, name) for name in ENDS}:
            found.append(known.model_copy(update=ends))
    return state.with_targets(found) if found else state


def changed_settings(known: TargetState | None, after: TargetState) -> tuple[str, ...]:
    """``prevent_destroy: false → true`` for each setting that differs; nothing for a target that is new."""
    if known is None:
        return ()
    before, then = known.model_dump(include=set(SETTINGS)), after.model_dump(include=set(SETTINGS))
    return tuple(line for name in SETTINGS if before[name] != then[name] for line in _explained(name, before, then))


def _explained(name: str, before: dict[str, object], then: dict[str, object]) -> list[str]:
    """One line per difference; of key references only that they differ."""
    if name == "keys":
        return ["key references changed"]
    # Imported late: deepdiff costs more to import than the rest of a plan that changes no setting.
    from deepdiff import DeepDiff

    sides = {name: before[name]}, {name: then[name]}
    found = DeepDiff(*sides, verbose_level=2, view="tree", threshold_to_diff_deeper=0)
    levels = [level for kind in sorted(found) for level in found[kind]]
    return sorted(_line(level.path(output_format="list"), _text(level.t1), _text(level.t2)) for level in levels)


def _line(path: list[object], before: str, then: str) -> str:
    if path[0] == "on_exit" and then == _NOTHING:
        return f"{path[1]} is not sent any more; it stays on the profiles (on_exit: keep)"
    return f"{'.'.join(map(str, path))}: {before} → {then}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else _NOTHING


def _keys(destination: Destination) -> dict[str, str]:
    """References by role, never keys."""
    keys = {"rest": destination.rest_api_key, "live": destination.live_api_key, "project": destination.project_key}
    return {role: str(reference) for role, reference in keys.items() if reference}


def on_exit_of(target: Target, known: TargetState | None) -> dict[str, Literal["keep", "unset"]]:
    """Per attribute; one link that unsets is enough. Of attributes that no link sets any more only those stay recorded
    which are to be unset."""
    if not target.key.is_profiles:
        return {}
    found = {name: rule for name, rule in (known.on_exit if known else {}).items() if rule == "unset"}
    now_set: dict[str, Literal["keep", "unset"]] = {}
    for link in target.links:
        for attribute in link.attributes:
            unset = link.action.on_exit == "unset" or now_set.get(attribute.name) == "unset"
            now_set[attribute.name] = "unset" if unset else "keep"
    return dict(sorted({**found, **now_set}.items()))


def _baseline(course: Course, target: Target) -> Baseline:
    """Types are remembered for ever; the identifier digest only changes when everybody was sent."""
    told = course.known.baseline if course.known else Baseline()
    types = {**told.attributes, **{attribute.name: attribute.type for attribute in target.attributes}}
    return told.model_copy(
        update={
            "attributes": dict(sorted(types.items())),
            "identifier": identifier_digest(target) if course.everybody or not told.identifier else told.identifier,
            "trusted": course.everybody or told.trusted,
        }
    )


def _offset(course: Course) -> int:
    """A full upload that answers a count difference commits it: seen once more, it is Batch's own arithmetic."""
    known, observed = course.known, course.observed
    if course.repairs is not None:
        return course.repairs
    if known is None or course.void or (observed is not None and observed.nb_ids == known.baseline.count):
        return 0
    return known.known_offset


def _once(link: Link) -> bool:
    return link.spec.refresh is not None and link.spec.refresh.every == "once"
