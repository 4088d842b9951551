"""check: the plan with every change that a guard holds back marked as refused. It adds no work and hides nothing.

    order of the rules; the first that holds names the refusal
    ----------------------------------------------------------------------------------------------
    empty_source         a source has no rows; never off, no override
    suppression          a suppression list is empty or shrank by more than 10 %: nothing at all is sent
    freshness            data older than the catalogue allows
    max_reject_percent   rejects ÷ rows read
    max_remove_percent   removed ÷ count at the last commit; of profiles people who lose a value
    max_add_percent      added ÷ count at the last commit; never before a first commit
    no_delete, max_delete_audiences     deletions, and orphans that are emptied; prevent_destroy was judged before

A refused target keeps everything it had, but its removals for consent go out first, within a limit of their own
(`max_consent_percent`, 10 % of the target); beyond that they are refused by themselves and the rest goes on.
Rows asserted again after an interrupted run are not changes and never counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from reconciler.cost import with_cost
from reconciler.link import Target, former_links
from reconciler.plan.slices import Rows, batches
from reconciler.plan.sums import with_sums
from reconciler.plan.values import Change, Op, Plan, Refusal
from reconciler.policy.deletes import refuse_deletes
from reconciler.policy.guards import consent_guard, guard
from reconciler.policy.limits import expired, limits_of
from reconciler.policy.sources import source_guard, stale_warnings, suppression_guard
from reconciler.spec import Project
from reconciler.state.state import Batch, State


def check(
    plan: Plan,
    targets: Iterable[Target],
    *,
    project: Project,
    state: State | None,
    now: datetime,
    no_delete: bool = False,
) -> Plan:
    """The plan with refusals, sums and cost. What was refused before stays refused: checking twice changes nothing."""
    targets = tuple(targets)
    every = {str(target.key): target for target in targets}
    judged = [(change, every.get(change.key) or _kept(change, targets)) for change in plan.changes]
    changes = [_checked(change, target, plan, project, state, now) for change, target in judged]
    changes = refuse_deletes(changes, project=project, state=state, serial=plan.serial, no_delete=no_delete)
    named = [every[change.key] for change in plan.changes if change.key in every]
    warnings = dict.fromkeys([*plan.warnings, *expired(named, now), *stale_warnings(plan, every)])
    return with_cost(with_sums(plan.model_copy(update={"changes": tuple(changes), "warnings": tuple(warnings)})))


def _checked(
    change: Change, target: Target | None, plan: Plan, project: Project, state: State | None, now: datetime
) -> Change:
    if target is None or not _writes(change):
        return change
    limits = limits_of(target, project, now)
    blocked = suppression_guard(target, plan, state)
    if blocked is not None:
        return change.model_copy(update={"refused": change.refused or blocked, "consent_only": False})
    refusal = change.refused or source_guard(change, target) or guard(change, limits)
    return _with_consent(change, refusal, consent_guard(change, limits))


def _kept(change: Change, targets: Iterable[Target]) -> Target | None:
    """An orphan that is kept while its removals for consent go out: the limits of the links that fed it count."""
    links = former_links(targets, change.links) if change.refused is not None and change.consent_batches else ()
    if not links:
        return None
    return Target(
        key=change.target_key, destination=links[0].destination, links=links, id_type=change.id_type, attributes=()
    )


def _writes(change: Change) -> bool:
    return bool(change.kinds) or change.op in (Op.CREATE, Op.ADOPT, Op.FULL)


def _with_consent(change: Change, refusal: Refusal | None, consent: Refusal | None) -> Change:
    """Removals for consent are judged on their own; without them the other rows are cut into requests again."""
    if consent is not None and refusal in (None, consent) and (change.void or _only_consent(change)):
        return change.model_copy(update={"refused": consent, "consent_only": False})
    ours = change.refused is None or change.consent_only
    update: dict[str, object] = {
        "refused": refusal,
        "consent_only": refusal is not None and consent is None and bool(change.consent_batches) and ours,
    }
    if consent is not None:
        update |= {"consent_refused": True, "consent_refusal": consent, "batches": _without_consent(change)}
    return change.model_copy(update=update)


def _only_consent(change: Change) -> bool:
    """Without these removals there would be nothing to do."""
    return change.op is Op.DELTA and sum(change.kinds.values()) == change.kinds.get("consent", 0)


def _without_consent(change: Change) -> tuple[Batch, ...]:
    if change.void:
        return change.batches
    late = change.full and not change.target_key.is_profiles
    return batches(Rows(**change.kinds), limit=change.limit, leftovers_last=late, consent=False)
