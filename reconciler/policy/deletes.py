"""How many audiences may disappear in one run, and under which protections."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.plan.values import Change, Op, Refusal
from reconciler.spec import Project
from reconciler.state.state import State

SHARE = 4
"""A quarter of what is owned may always be deleted."""


def refuse_deletes(
    changes: Sequence[Change], *, project: Project, state: State | None, serial: int, no_delete: bool
) -> list[Change]:
    """Deletions, and orphans to be emptied, beyond the limit are refused; in plan order the first ones go through.

    `serial` is that of the state the plan was made from: a plan that goes on is judged as it was at first.
    """
    wanted = [change for change in changes if _destroys(change) and change.refused is None]
    limit = max(project.max_delete_audiences, _owned(changes, state, serial) // SHARE)
    free = [change for change in wanted if _protection(change, no_delete=no_delete) is None]
    over = {change.key for change in free[limit:]}
    many = Refusal(
        rule="max_delete_audiences",
        limit=limit,
        actual=len(free),
        where=f"project/{project.name}",
        override=f"max_delete_audiences: {len(free)}",
        detail=f"{len(free)} deletions in one run, limit {limit}",
    )
    held = {change.key: _protection(change, no_delete=no_delete) or many for change in wanted}
    refused = {key: why for key, why in held.items() if why is not many or key in over}
    return [
        change.model_copy(update={"refused": refused[change.key]}) if change.key in refused else change
        for change in changes
    ]


def _destroys(change: Change) -> bool:
    return change.op is Op.DELETE or change.forget


def _owned(changes: Sequence[Change], state: State | None, serial: int) -> int:
    """Audiences that were owned when the plan was made, those included that it has deleted since."""
    known = state.targets.values() if state else ()
    kept = {str(one.key) for one in known if not one.key.is_profiles and one.owned_since <= serial}
    return len(kept | {change.key for change in changes if _destroys(change) and not change.target_key.is_profiles})


def _protection(change: Change, *, no_delete: bool) -> Refusal | None:
    if change.state is not None and change.state.prevent_destroy:
        override = "lifecycle: {prevent_destroy: false}, applied once before the link is removed"
        where = ", ".join(change.links)
        return Refusal(rule="prevent_destroy", detail="protected by prevent_destroy", where=where, override=override)
    if no_delete:
        return Refusal(rule="no_delete", detail="--no-delete: nothing is deleted in this run")
    return None
