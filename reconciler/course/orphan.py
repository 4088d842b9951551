"""Orphans: targets of the state which no link names any more. Only what is provably ours is touched.

    | in Batch                      | lifecycle                 | course                                            |
    |-------------------------------|---------------------------|---------------------------------------------------|
    | nobody has keys of its account| anything                  | none, warning `account`, kept in state            |
    | absent                        | anything                  | forget                                            |
    | another `created`, or a create| anything                  | forget: not ours any more (or never was)          |
    |   of ours that met its members|                           |                                                   |
    | exists                        | `prevent_destroy`         | refused `prevent_destroy`, consent removals go out|
    |                               |                           |   where a link is left that fed it                |
    | exists                        | `on_destroy: keep`        | forget                                            |
    | exists                        | `on_destroy: empty`       | delta that removes everybody told, then given up  |
    |                               |   and nobody was told     | forget                                            |
    | exists                        | `on_destroy: delete`      | delete                                            |
    | profiles                      | `on_exit: unset` anywhere | delta that unsets for everybody, then given up    |
    | profiles                      | `on_exit: keep` only      | forget                                            |

The lifecycle is that of the links which fed it, as long as one of them is in the project, renamed perhaps; after that
what the state says of them. What the state protects is free only once every such link says `prevent_destroy: false`.
`--no-delete` and the number of deletions are policy: they refuse what is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from reconciler.course.ours import is_ours
from reconciler.link import Link
from reconciler.observed import Inventory, Observed
from reconciler.plan.course import Course
from reconciler.plan.values import Op, Refusal
from reconciler.state.state import TargetState


def orphan_course(
    known: TargetState, inventory: Inventory | None, *, former: Sequence[Link] = (), prefix: str = ""
) -> Course:
    """The course of one orphan; `inventory` is None when nobody holds keys of its account.

    `former` are links of the project that fed it, `prefix` is what the environment puts in front of names.
    """
    if inventory is None:
        lost = f"nobody has the keys of account {known.account} any more; nothing is deleted there"
        warnings = (lost, *consent_waits(known, "those keys are set again"))
        return Course(key=known.key, op=Op.NONE, known=known, reason="account without keys", warnings=warnings)
    if former:
        known = known.model_copy(update=_lifecycle(known, former))
    observed = inventory.audiences.get(known.audience)
    if not known.key.is_profiles:
        if observed is None:
            return _forget(known, "gone from Batch")
        if not is_ours(observed, known):
            return _forget(known, "not ours any more: somebody else created it", observed)
    course = _profiles(known) if observed is None else _destroyed(known, observed)
    return _protected(course, known, former, prefix) if known.prevent_destroy else course


def consent_waits(known: TargetState, until: str = "it may be deleted or emptied") -> tuple[str, ...]:
    """A warning where somebody may be left whom nothing will remove when they withdraw consent."""
    if not known.may_hold:
        return ()
    if known.key.is_profiles:
        return (f"what was told of people who withdraw consent stays until {until}",)
    return (f"people who withdraw consent stay in it until {until}",)


def _lifecycle(known: TargetState, former: Sequence[Link]) -> dict[str, object]:
    protected = any(
        link.spec.lifecycle.prevent_destroy or (known.prevent_destroy and not _lifts(link)) for link in former
    )
    return {"prevent_destroy": protected, "on_destroy": former[0].spec.lifecycle.on_destroy}


def _lifts(link: Link) -> bool:
    """Protection is not lost with its lines: it is lifted by a word."""
    said = link.spec.lifecycle
    return "prevent_destroy" in said.model_fields_set and not said.prevent_destroy


def _destroyed(known: TargetState, observed: Observed) -> Course:
    nobody = known.baseline.count == 0 and not known.may_hold
    match known.on_destroy:
        case "keep":
            return _forget(known, "no link names it; on_destroy: keep", observed)
        case "empty" if nobody:
            return _forget(known, "no link names it; nobody to remove", observed)
        case "empty":
            return _emptied(known, "no link names it; on_destroy: empty", observed)
        case "delete":
            reason = f"no link names it; owned since serial {known.owned_since}"
            return Course(key=known.key, op=Op.DELETE, known=known, observed=observed, reason=reason)
    assert_never(known.on_destroy)


def _profiles(known: TargetState) -> Course:
    if known.may_hold and "unset" in known.on_exit.values():
        return _emptied(known, "no link feeds it; on_exit: unset", None)
    return _forget(known, "no link feeds it; on_exit: keep")


def _emptied(known: TargetState, reason: str, observed: Observed | None) -> Course:
    return Course(key=known.key, op=Op.DELTA, known=known, observed=observed, reason=reason, forget=True)


def _forget(known: TargetState, reason: str, observed: Observed | None = None) -> Course:
    return Course(key=known.key, op=Op.FORGET, known=known, observed=observed, reason=reason)


def _protected(course: Course, known: TargetState, former: Sequence[Link], prefix: str) -> Course:
    """Refused. Whose consent counts is known while every link that fed it is in the project."""
    lost = len(former) < len(known.links) or not former
    return replace(
        course,
        former=tuple(former),
        refused=_by_its_links(known, former) if former else _by_the_state(known, prefix),
        warnings=consent_waits(known) if lost else (),
    )


def _by_its_links(known: TargetState, former: Sequence[Link]) -> Refusal:
    more = f", on_destroy: {known.on_destroy}" if known.on_destroy != "delete" else ""
    return Refusal(
        rule="prevent_destroy",
        detail="protected by prevent_destroy",
        where=", ".join(link.address for link in former if not _lifts(link)),
        override=f"lifecycle: {{prevent_destroy: false{more}}}  # for one apply",
    )


def _by_the_state(known: TargetState, prefix: str) -> Refusal:
    """No document takes an override: a link has to come back for it, or the state gives the target up."""
    named = known.audience.removeprefix(prefix)
    which = "that feeds them" if known.key.is_profiles else f"with audience: {{name: {named}}}"
    back = f"bring back a link {which} and lifecycle: {{prevent_destroy: false}}, apply, and remove the link again"
    lost = "protected by prevent_destroy, and no link that fed it is left"
    return Refusal(
        rule="prevent_destroy",
        detail=f"{lost}; to allow it, {back}" if known.audience.startswith(prefix) else lost,
        override=f"batchctl state rm {known.account}/{known.space}/{known.audience or 'profiles'}",
    )
