"""Targets that are ours: a delta, or one of the reasons for a full upload.

    | first that holds                                          | course                                           |
    |-----------------------------------------------------------|--------------------------------------------------|
    | an attribute has another type than ever sent              | refused `attribute_type`, consent removals go out|
    | never committed, its upload was cut off                   | create/full resumed: what was acknowledged counts|
    | baseline not trusted (imported), replace exists           | full: replace, void                              |
    | baseline not trusted, MEP 1.0, `allow: {recreate: true}`  | full: delete, create, everybody, void            |
    | baseline not trusted, MEP 1.0 or profiles                 | full: everybody, and everybody told leaves       |
    | `nb_ids` is neither the count nor count + known offset    | full as for a baseline that is not trusted       |
    | identifier kind, catalogue, fields or extension changed   | full: everybody again, then leftovers removed    |
    | `full_refresh_every` is over (up to 10 % early, by target)| full: everybody again, then leftovers removed    |
    | `delta_upload: false` and its refresh is due              | full: everybody again, then leftovers removed    |
    | otherwise                                                 | delta                                            |

A count that differs is acted on once: the full upload that answers it commits the difference as known offset, and the
same difference seen again is only reported.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from reconciler.course.due import full_upload_due, ttl_over
from reconciler.course.ours import rewritable
from reconciler.link import Link, LinkAttribute, Target
from reconciler.observed import Observed
from reconciler.plan.course import Course
from reconciler.plan.identifier import identifier_digest
from reconciler.plan.values import Op, Refusal
from reconciler.state.state import TargetState


def steady_course(target: Target, known: TargetState, observed: Observed | None, now: datetime) -> Course:
    """The course of a target that is ours and exists."""
    ours = Course(key=target.key, op=Op.DELTA, target=target, known=known, observed=observed)
    refusal = _attribute_type(target, known)
    if refusal is not None:
        return replace(ours, refused=refusal, reason=refusal.rule)
    if not known.committed and known.baseline.trusted:
        op = Op.FULL if target.key.is_profiles else Op.CREATE
        return replace(ours, op=op, reason="first upload, continued")
    offset, warnings = _count_check(known, observed)
    if offset is not None:
        return _untrusted(
            ours, target, now, reason=f"Batch holds {_difference(offset)} than it was told", repairs=offset
        )
    if not known.baseline.trusted:
        return _untrusted(ours, target, now, reason="baseline not trusted", repairs=None)
    ours = replace(ours, warnings=(*warnings, *_deletion_cut_off(known)))
    reason = _full_reason(target, known, now)
    return replace(ours, op=Op.FULL, reason=reason, everybody=True) if reason else ours


def _untrusted(ours: Course, target: Target, now: datetime, *, reason: str, repairs: int | None) -> Course:
    seen = ours.observed is not None
    anew = seen and rewritable(target.key.space)
    recreate = seen and not anew and _may_recreate(target, now)
    if seen and not anew and not recreate:
        repairs = repairs or 0  # who else is in it stays, and is counted once everybody of ours is there
    return replace(
        ours,
        op=Op.FULL,
        reason=reason,
        everybody=True,
        replace=anew,
        recreate=recreate,
        create=recreate,
        void=anew or recreate,
        repairs=repairs,
    )


def _may_recreate(target: Target, now: datetime) -> bool:
    return any(
        allow is not None and allow.recreate and allow.until >= now.date()
        for allow in (link.spec.allow for link in target.links)
    )


def _full_reason(target: Target, known: TargetState, now: datetime) -> str:
    told = known.baseline.identifier
    if told and told != identifier_digest(target):
        return "identifier changed"
    if ttl_over(target, known, now):
        return "full_refresh_every is over"
    return "delta_upload: false" if full_upload_due(target, known, now) else ""


def _count_check(known: TargetState, observed: Observed | None) -> tuple[int | None, tuple[str, ...]]:
    """(difference to repair or None, warnings). Only an indexed audience without uncertain rows can be counted."""
    uncertain = known.pending is not None or bool(known.uncertain)
    if observed is None or observed.nb_ids is None or observed.indexing != "APPLIED" or uncertain:
        return None, ()
    offset = observed.nb_ids - known.baseline.count
    if offset == 0:
        return None, ()
    if offset == known.known_offset:
        return None, (f"count: Batch holds {_difference(offset)} than it was told, known since the last full upload",)
    return offset, ()


def _difference(offset: int) -> str:
    return f"{abs(offset):,} {'more' if offset > 0 else 'fewer'} {'identifier' if abs(offset) == 1 else 'identifiers'}"


def _deletion_cut_off(known: TargetState) -> tuple[str, ...]:
    if known.pending is None or known.pending.op != "delete":
        return ()
    return ("a deletion was begun in an earlier run; if Batch still carries it out, the next run creates it again",)


def _attribute_type(target: Target, known: TargetState) -> Refusal | None:
    for link in target.links:
        for attribute in link.attributes:
            told = known.baseline.attributes.get(attribute.name, attribute.type)
            if told != attribute.type:
                return _retype(attribute, told, link)
    return None


def _retype(attribute: LinkAttribute, told: str, link: Link) -> Refusal:
    """Refused, with the entry of the mapping that sends the values under a new name."""
    name, place = retyped(attribute.name, attribute.type), f"destination/{link.destination.name}"
    declared = link.target.is_profiles or attribute.name in link.destination.attributes
    also = f"; {place} has to declare {name}: {attribute.type}, once it exists in Batch" if declared else ""
    steps = [_written(transform, arguments) for transform, arguments in attribute.transforms]
    changed = f", transform: [{', '.join(steps)}]" if steps else ""
    return Refusal(
        rule="attribute_type",
        detail=f"attribute {attribute.name} was sent as {told}, now as {attribute.type}; Batch may drop it{also}",
        where=f"mapping/{link.mapping.name}",
        override=f"attributes: {{{name}: {{field: {attribute.field}, type: {attribute.type}{changed}}}}}",
    )


def _written(name: str, arguments: tuple[object, ...]) -> str:
    """A transform as YAML."""
    given = arguments if len(arguments) > 1 else (*arguments, None)[0]
    return json.dumps({name: given} if arguments else name, ensure_ascii=False)


def retyped(name: str, kind: str) -> str:
    """A new attribute name for a new type: Batch never changes a type in place (30 characters at most)."""
    suffix = "_" + "".join(char for char in kind if char.isalpha())
    return name[: 30 - len(suffix)] + suffix
