"""Targets that links name.

An audience, by what Batch lists and what the state says (first line that fits):

| in Batch             | state                          | link          | course                                       |
|----------------------|--------------------------------|---------------|----------------------------------------------|
| gone, not ours       | every link a `once` that ran   |               | none                                         |
| ours                 | every link a `once` that ran   |               | delta of removals for consent                |
| absent               | unknown, or pending create     |               | create + everybody, void                     |
| absent               | ours, deleted by us perhaps    |               | create + everybody, void; the last count     |
|                      |                                |               | still feeds the guards                       |
| exists, other type   | anything                       |               | refused `type`; of ours consent removals     |
|                      |                                |               | go out                                       |
| exists               | unknown                        | `adopt: true` | adopt: replace + everybody, void             |
|                      |                                |               | (MEP 1.0: everybody, nothing known to remove)|
| exists               | unknown                        |               | refused `exists`                             |
| exists, other created| ours                           | `adopt: true` | adopt                                        |
| exists, other created| ours                           |               | refused `recreated`                          |
| exists, same created | ours, or a create of ours that |               | see `steady`: create (resumed), full, delta  |
|   or nobody in it    |   never got further            |               |                                              |

Profiles always exist: a first full upload when unknown, then as `steady`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from reconciler.address import IdType, Space
from reconciler.course.ours import is_ours, rewritable
from reconciler.course.steady import steady_course
from reconciler.link import Target
from reconciler.observed import Observed
from reconciler.plan.course import Course
from reconciler.plan.values import Op, Refusal
from reconciler.state.state import TargetState


def profiles_course(target: Target, known: TargetState | None, now: datetime) -> Course:
    """The course of a destination's profiles."""
    if known is None:
        return Course(key=target.key, op=Op.FULL, target=target, reason="first upload", everybody=True, void=True)
    if done_once(target, known):
        return _made(target, known, None)
    return steady_course(target, known, None, now)


def audience_course(target: Target, observed: Observed | None, known: TargetState | None, now: datetime) -> Course:
    """The course of one audience that a link names."""
    if known is not None and done_once(target, known):
        return _made(target, known, observed)
    if observed is None:
        return _create(target, known)
    if _type_differs(target, observed):
        return _refused(target, observed, known, _type_refusal(target, observed))
    course = _existing(target, observed, known, now)
    if observed.id_type is None:
        warning = f"type: Batch spells the type of {observed.name} in a way batchctl does not know; taken as right"
        course = replace(course, warnings=(*course.warnings, warning))
    return course


def done_once(target: Target, known: TargetState) -> bool:
    """Every link of the target is a one-time push which has been made to its end, under its former address perhaps."""
    return all(
        link.spec.refresh is not None
        and link.spec.refresh.every == "once"
        and not {link.address, link.spec.moved_from}.isdisjoint(known.once_done)
        for link in target.links
    )


def adopts(target: Target) -> bool:
    """Whether the link says `audience: {adopt: true}`."""
    return any(link.spec.audience is not None and link.spec.audience.adopt for link in target.links)


def _existing(target: Target, observed: Observed, known: TargetState | None, now: datetime) -> Course:
    if known is not None and is_ours(observed, known):
        return steady_course(target, known, observed, now)
    if adopts(target):
        return _adopt(target, observed, known)
    recreated = known is not None and known.created is not None
    refusal = _recreated_refusal(target, observed) if recreated else _exists_refusal(target, observed)
    return _refused(target, observed, known, refusal)


def _made(target: Target, known: TargetState, observed: Observed | None) -> Course:
    reason = "refresh: once, already done"
    ours = target.key.is_profiles or (observed is not None and is_ours(observed, known))
    op = Op.DELTA if ours else Op.NONE
    return Course(key=target.key, op=op, target=target, known=known, observed=observed, reason=reason, made=ours)


def _create(target: Target, known: TargetState | None) -> Course:
    if known is None:
        reason = "new"
    elif known.pending is not None and known.pending.op == "delete":
        reason = "deleted by an earlier run"
    elif known.created is None and not known.committed:
        reason = "new; an earlier create was cut off"
    else:
        reason = "vanished from Batch"
    return Course(
        key=target.key, op=Op.CREATE, target=target, known=known, reason=reason, create=True, everybody=True, void=True
    )


def _adopt(target: Target, observed: Observed, known: TargetState | None) -> Course:
    rewrites = rewritable(target.key.space)
    blind = "MEP 1.0 has no replace, so members somebody else added cannot be seen and stay"
    return Course(
        key=target.key,
        op=Op.ADOPT,
        target=target,
        known=known,
        observed=observed,
        reason="adopt: true",
        replace=rewrites,
        everybody=True,
        void=True,
        repairs=None if rewrites else 0,
        warnings=() if rewrites else (blind,),
    )


def _type_differs(target: Target, observed: Observed) -> bool:
    """Custom IDs and advertising IDs live in MEP 1.0, install IDs in MEP 1.1: the space shows the type as well."""
    if observed.id_type is None:
        mep11 = observed.space is Space.MEP11
        return observed.space is not Space.CEP and mep11 != (target.id_type is IdType.INSTALL)
    return observed.id_type is not target.id_type


def _type_refusal(target: Target, observed: Observed) -> Refusal:
    held = observed.id_type or observed.space
    return Refusal(
        rule="type",
        detail=f"holds {held} in Batch, the link sends {target.id_type}; a type cannot be changed",
        where=target.links[0].address,
        override="audience: {name: another_name}",
    )


def _exists_refusal(target: Target, observed: Observed) -> Refusal:
    address = target.links[0].address
    return Refusal(
        rule="exists",
        detail="exists in Batch and is not ours",
        where=address,
        override=f"batchctl import {address} {observed.name}",
    )


def _recreated_refusal(target: Target, observed: Observed) -> Refusal:
    return Refusal(
        rule="recreated",
        detail=f"somebody deleted it and created it again ({observed.created}), so it is not ours any more",
        where=target.links[0].address,
        override="audience: {adopt: true}",
    )


def _refused(target: Target, observed: Observed, known: TargetState | None, refusal: Refusal) -> Course:
    """One that is ours all the same is kept as an orphan is: whoever withdraws consent leaves it."""
    op = Op.DELTA if known is not None else Op.ADOPT
    ours = known is not None and is_ours(observed, known)
    return Course(
        key=target.key,
        op=op,
        target=None if ours else target,
        former=target.links if ours else (),
        known=known,
        observed=observed,
        reason=refusal.rule,
        void=not ours,
        refused=refusal,
    )
