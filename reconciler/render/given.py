"""Commands that a plan suggests, with the options that say which project: pasted, they must mean the same. Pure."""

from __future__ import annotations

from reconciler.plan import Change, Plan, Refusal
from reconciler.render.words import placed


def placed_plan(plan: Plan, given: str) -> Plan:
    """The plan with `given` behind every command it suggests; see `words.placed`."""
    if not given:
        return plan
    warnings = tuple(placed(text, given) for text in plan.warnings)
    return plan.model_copy(
        update={"warnings": warnings, "changes": tuple(_placed_change(change, given) for change in plan.changes)}
    )


def _placed_change(change: Change, given: str) -> Change:
    return change.model_copy(
        update={
            "refused": _placed_refusal(change.refused, given),
            "consent_refusal": _placed_refusal(change.consent_refusal, given),
            "error": placed(change.error, given),
            "warnings": tuple(placed(text, given) for text in change.warnings),
        }
    )


def _placed_refusal(refusal: Refusal | None, given: str) -> Refusal | None:
    return refusal.model_copy(update={"override": placed(refusal.override, given)}) if refusal is not None else None
