"""How many audiences may disappear in one run."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.course import consent_waits
from reconciler.plan.values import Change, Op, Refusal
from reconciler.spec import Project
from reconciler.state.state import State

SHARE = 4
"""A quarter of what is owned may always be deleted."""


def refuse_deletes(
    changes: Sequence[Change], *, project: Project, state: State | None, serial: int, no_delete: bool
) -> list[Change]:
    """Deletions, and orphans to be emptied, beyond the limit are refused; in plan order the first ones go through.
    With `no_delete` recreations are refused too, which begin with a deletion.

    `serial` is that of the state the plan was made from: a plan that goes on is judged as it was at first.
    """
    wanted = [one for one in changes if one.refused is None and (_destroys(one) or (no_delete and one.recreate))]
    limit = 0 if no_delete else max(project.max_delete_audiences, _owned(changes, state, serial) // SHARE)
    over = {change.key for change in wanted[limit:]}
    many = Refusal(
        rule="max_delete_audiences",
        limit=limit,
        actual=len(wanted),
        where=f"project/{project.name}",
        override=f"max_delete_audiences: {len(wanted)}",
        detail=f"{len(wanted)} deletions in one run, limit {limit}",
    )
    none = Refusal(rule="no_delete", detail="--no-delete: nothing is deleted in this run")
    return [_held(change, none if no_delete else many) if change.key in over else change for change in changes]


def _held(change: Change, refusal: Refusal) -> Change:
    consent = bool(change.consent_batches) and not change.consent_refused
    waits = consent_waits(change.state) if change.state is not None and not change.recreate else ()
    update = {"refused": refusal, "consent_only": consent, "warnings": (*change.warnings, *waits)}
    return change.model_copy(update=update)


def _destroys(change: Change) -> bool:
    return change.op is Op.DELETE or change.forget


def _owned(changes: Sequence[Change], state: State | None, serial: int) -> int:
    """Audiences that were owned when the plan was made, those included that it has deleted since."""
    known = state.targets.values() if state else ()
    kept = {str(one.key) for one in known if not one.key.is_profiles and one.owned_since <= serial}
    return len(kept | {change.key for change in changes if _destroys(change) and not change.target_key.is_profiles})
