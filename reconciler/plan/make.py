"""make_plan: courses and staged deltas become changes, each with everything apply needs. A pure function."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.address import TargetKey
from reconciler.data.staged import Counts, RowKind, Staged
from reconciler.plan.course import Course
from reconciler.plan.pace import Budgets, Pace, budgets_of, pace_of
from reconciler.plan.slices import (
    REPLACE_WHY,
    RESET_WHY,
    Rows,
    batches,
    consent_batches,
)
from reconciler.plan.sums import with_sums
from reconciler.plan.target_state import changed_settings, state_after
from reconciler.plan.values import Change, Op, Plan
from reconciler.spec import Project
from reconciler.state.state import Batch, DataFile, State, TargetState

UNSIGNED = {"digest", "created", "exit_code", "cost", "warnings", "given"}
"""Fields of a plan that its digest does not cover: sums, and what differs between two equal plans."""
SIGNED = {
    *("address", "key", "links", "destination", "op", "reason", "create", "recreate", "full", "void", "begun_anew"),
    *("forget", "file", "kinds", "route", "limit", "counts", "settings", "after"),
}
"""Fields of a change that its plan's digest covers: all that policy does not decide anew."""


def make_plan(
    courses: Iterable[Course],
    staged: Mapping[TargetKey, Staged],
    *,
    state: State | None,
    project: Project,
    environment: str,
    tool: str,
    now: datetime,
    specs_digest: str,
    sources: Mapping[str, str],
    partial: bool = False,
    unmanaged: Mapping[str, int] | None = None,
    files: Mapping[TargetKey, DataFile] | None = None,
) -> Plan:
    """The plan before policy, in the order of `courses`.

    A course without an entry in `staged` has no rows. `files` names the delta files as apply will find them, with
    their digests; without it the name in `Staged.file` is used.
    """
    serial = state.serial if state else 0
    found = files or {}
    courses = tuple(courses)
    budgets = budgets_of(courses)
    changes = tuple(
        _change(one, staged.get(one.key) or _unmoved(one), found.get(one.key), serial=serial, now=now, budgets=budgets)
        for one in courses
    )
    suppressed = {name: rows for one in staged.values() for name, rows in one.suppressed.items()}
    plan = Plan(
        tool=tool,
        project=project.name,
        environment=environment,
        lineage=state.lineage if state else "",
        serial=serial,
        created=now,
        specs=specs_digest,
        sources=dict(sorted(sources.items())),
        changes=changes,
        unmanaged=dict(sorted((unmanaged or {}).items())),
        suppressed=dict(sorted(suppressed.items())),
        warnings=_other_titles(courses),
        partial=partial,
    )
    return with_sums(plan.model_copy(update={"digest": digest_of(plan)}))


def _other_titles(courses: Sequence[Course]) -> tuple[str, ...]:
    """One warning of all audiences that Batch shows under another display name or description than the specs (U10)."""
    found = [
        f"{one.key.audience} ({shown!r} instead of {meant!r})"
        for one in courses
        if one.known is not None and one.observed is not None and one.target is not None and not one.create
        if (shown := one.observed.text.strip())
        and (meant := (one.target.display_name or "").strip())
        and shown != meant
    ]
    if not found:
        return ()
    named = ", ".join(found[:3]) + (f" and {len(found) - 3:,} more" if len(found) > 3 else "")
    why = "not updatable, Batch sets it only when an audience is created"
    return (f"display_name: {why}: {named}; a link with another audience name fills a new one",)


def digest_of(plan: Plan) -> str:
    """sha256 of what a plan is about: the same before and after policy, and whenever it was made."""
    head = plan.model_dump_json(exclude={*UNSIGNED, "changes"})
    parts = [change.model_dump_json(include=SIGNED) for change in plan.changes]
    return hashlib.sha256("\n".join([head, *parts]).encode()).hexdigest()


def _change(
    course: Course, staged: Staged, file: DataFile | None, *, serial: int, now: datetime, budgets: Budgets
) -> Change:
    course = _without_nobody(course, staged)
    after = state_after(course, serial=serial, now=now, inputs=staged.inputs)
    settings = _settings(course, after)
    change = Change(
        address=_address(course),
        key=str(course.key),
        links=_links(course),
        destination=_destination(course),
        op=_op(course, staged, settings),
        reason=course.reason,
        id_type=after.id_type,
        create=course.create,
        recreate=course.recreate,
        full=course.everybody,
        void=course.void,
        begun_anew=course.begun_anew,
        forget=course.forget,
        made=course.made,
        repairs=course.repairs,
        settings=settings,
        before=_before(course),
        committed=course.known.committed if course.known else False,
        refused=course.refused,
        state=after,
        warnings=(*course.warnings, *staged.warnings),
    )
    return change.model_copy(update={**_of_target(course), **_of_rows(course, staged, file, budgets)})


def _unmoved(course: Course) -> Staged:
    """Of what nobody compared: a target that stays holds as many as it did."""
    stays = course.known is not None and course.op not in (Op.DELETE, Op.FORGET)
    return Staged(counts=Counts(after=course.known.baseline.count if stays and course.known else 0))


def _of_target(course: Course) -> dict[str, object]:
    """What a target's documents say; an orphan has none."""
    if course.target is None:
        return {}
    return {
        "display_name": course.target.display_name,
        "attributes": tuple(attribute.name for attribute in course.target.attributes),
        "after": tuple(str(key) for key in course.target.after),
    }


def _of_rows(course: Course, staged: Staged, file: DataFile | None, budgets: Budgets) -> dict[str, object]:
    """The delta file, cut into requests for its route."""
    pace, rows = pace_of(course, staged, budgets=budgets), Rows.of(staged)
    return {
        "file": file or _file(staged),
        "batches": _batches(course, rows, pace),
        "consent_batches": consent_batches(rows, pace.limit),
        "consent_only": course.consent and rows.consent > 0,
        "route": pace.route,
        "limit": pace.limit,
        "pool": pace.pool,
        "rate": pace.rate,
        "write_rate": pace.write_rate,
        "burst": pace.burst,
        "kinds": _kinds(course, rows),
        "counts": staged.counts,
        "oldest": dict(sorted(staged.oldest.items())),
        "rejects": tuple(sorted(staged.rejects, key=lambda reject: (reject.link, reject.reason))),
        "bytes": staged.bytes,
        "requests_why": REPLACE_WHY if course.replace else RESET_WHY,
        "first_uses": tuple(sorted(staged.first_uses)),
    }


def _batches(course: Course, rows: Rows, pace: Pace) -> tuple[Batch, ...]:
    return batches(
        rows,
        limit=pace.limit,
        replace=course.replace,
        leftovers_last=course.everybody and not course.replace and not course.key.is_profiles,
        removals=not course.void,
    )


def _kinds(course: Course, rows: Rows) -> dict[str, int]:
    """What of the file is sent; an audience that starts anew needs no removals: they wait for a refusal."""
    needed = [kind for kind in RowKind if not course.void or kind not in (RowKind.CONSENT, RowKind.REMOVE)]
    return {kind.value: getattr(rows, kind.value) for kind in needed if getattr(rows, kind.value)}


def _without_nobody(course: Course, staged: Staged) -> Course:
    """A full upload of nobody is no full upload: nothing becomes known, trusted or new by it."""
    sent = staged.add_rows + staged.put_rows if course.void else staged.rows
    if course.op is not Op.FULL or course.create or course.refused or sent:
        return course
    return replace(course, op=Op.DELTA, everybody=False, replace=False, void=False, repairs=None)


def _settings(course: Course, after: TargetState) -> tuple[str, ...]:
    """What has to be written to state although nobody moves: settings, moves, or acknowledgements never committed."""
    if course.target is None or course.refused:
        return ()
    finished: tuple[str, ...] = ()
    if course.known is not None and course.known.pending is not None:
        finished = ("an interrupted run is completed",)
    elif course.known is not None and course.known.uncertain:
        finished = ("what was uncertain is settled",)
    former = course.known.links if course.known is not None else ()
    moved = tuple(
        f"{link.spec.moved_from} is now {link.address}"
        for link in course.target.links
        if link.spec.moved_from in former
    )
    return (*moved, *changed_settings(course.known, after), *finished)


def _op(course: Course, staged: Staged, settings: tuple[str, ...]) -> Op:
    """None when there are no rows, nothing to create, to own or to record."""
    if course.refused or course.create or course.forget or course.op not in (Op.DELTA, Op.FULL, Op.CREATE, Op.NONE):
        return course.op
    if staged.rows:
        return course.op
    return Op.DELTA if settings else Op.NONE


def _address(course: Course) -> str:
    if course.key.is_profiles:
        return f"destination/{_destination(course)}"
    return course.target.links[0].address if course.target else f"audience/{course.key.audience}"


def _destination(course: Course) -> str:
    if course.target is not None:
        return course.target.destination.name
    return course.known.destination if course.known else ""


def _links(course: Course) -> tuple[str, ...]:
    if course.target is not None:
        return tuple(sorted(link.address for link in course.target.links))
    return course.known.links if course.known else ()


def _file(staged: Staged) -> DataFile | None:
    if staged.file is None:
        return None
    return DataFile(path=staged.file.name, rows=staged.rows, bytes=staged.bytes, sha256="")


def _before(course: Course) -> int | None:
    """Guards measure against the last commit; of what was never committed, against what Batch reports."""
    if course.known is not None and course.known.committed:
        return course.known.baseline.count
    if course.op is Op.ADOPT or (course.known is not None and not course.known.baseline.trusted):
        return course.observed.nb_ids if course.observed else None
    return None
