"""Orphans: targets of the state which no link names any more. Only what is provably ours is touched.

    | in Batch                      | state says                | course                                            |
    |-------------------------------|---------------------------|---------------------------------------------------|
    | nobody has keys of its account| anything                  | none, warning `account`, kept in state            |
    | absent                        | anything                  | forget                                            |
    | another `created`, or a create| anything                  | forget: not ours any more (or never was)          |
    |   of ours that met its members|                           |                                                   |
    | exists                        | `prevent_destroy`         | refused `prevent_destroy`                         |
    | exists                        | `on_destroy: keep`        | forget                                            |
    | exists                        | `on_destroy: empty`       | delta that removes everybody told, then given up  |
    |                               |   and nobody was told     | forget                                            |
    | exists                        | `on_destroy: delete`      | delete                                            |
    | profiles                      | `on_exit: unset` anywhere | delta that unsets for everybody, then given up    |
    | profiles                      | `on_exit: keep` only      | forget                                            |

`--no-delete` and the number of deletions are policy: they refuse what is decided here.
"""

from __future__ import annotations

from typing import assert_never

from reconciler.course.ours import is_ours
from reconciler.observed import Inventory, Observed
from reconciler.plan.course import Course
from reconciler.plan.values import Op, Refusal
from reconciler.state.state import TargetState


def orphan_course(known: TargetState, inventory: Inventory | None) -> Course:
    """The course of one orphan; `inventory` is None when nobody holds keys of its account."""
    if inventory is None:
        warning = f"nobody has the keys of account {known.account} any more; nothing is deleted there"
        return Course(key=known.key, op=Op.NONE, known=known, reason="account without keys", warnings=(warning,))
    if known.key.is_profiles:
        return _profiles(known)
    observed = inventory.audiences.get(known.audience)
    if observed is None:
        return _forget(known, "gone from Batch")
    if not is_ours(observed, known):
        return _forget(known, "not ours any more: somebody else created it", observed)
    return _audience(known, observed)


def _audience(known: TargetState, observed: Observed) -> Course:
    course = _destroyed(known, observed)
    return _protected(course) if known.prevent_destroy else course


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
        course = _emptied(known, "no link feeds it; on_exit: unset", None)
    else:
        course = _forget(known, "no link feeds it; on_exit: keep")
    return _protected(course) if known.prevent_destroy else course


def _emptied(known: TargetState, reason: str, observed: Observed | None) -> Course:
    return Course(key=known.key, op=Op.DELTA, known=known, observed=observed, reason=reason, forget=True)


def _forget(known: TargetState, reason: str, observed: Observed | None = None) -> Course:
    return Course(key=known.key, op=Op.FORGET, known=known, observed=observed, reason=reason)


def _protected(course: Course) -> Course:
    refused = Refusal(
        rule="prevent_destroy",
        detail="protected by prevent_destroy",
        where=", ".join(course.known.links) if course.known else "",
        override="lifecycle: {prevent_destroy: false}, applied once before the link is removed",
    )
    return Course(
        key=course.key,
        op=course.op,
        known=course.known,
        observed=course.observed,
        reason=course.reason,
        forget=course.forget,
        refused=refused,
    )
