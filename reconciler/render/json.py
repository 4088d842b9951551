"""The plan as JSON, the contract other programs read: `format` is raised when a name or a meaning changes.

The same value serves `plan`, `show` and `apply`; its bytes are a function of the plan alone. Names beyond the contract
may appear, names of the contract never disappear; `planschema` is its JSON Schema. Never an identifier or a key.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

from reconciler.errors import ExitCode
from reconciler.plan import Change, Cost, Plan, Refusal, Totals, Writes

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"


def plan_json(plan: Plan) -> str:
    """The document, indented, ending in a newline."""
    return json.dumps(plan_value(plan), indent=2, ensure_ascii=False) + "\n"


def plan_value(plan: Plan) -> dict[str, Value]:
    """The document as plain values, names in the order of the contract."""
    return {
        "format": plan.format,
        "tool": plan.tool,
        "project": plan.project,
        "environment": plan.environment,
        "state": {"lineage": plan.lineage, "serial": plan.serial},
        "outcome": ExitCode(plan.exit_code).word,
        "exit_code": plan.exit_code,
        "changes": [_change(change) for change in plan.changes],
        "rejects": _rejects(plan.changes),
        "cost": _cost(plan.cost),
        "totals": totals_value(sum((change.rows for change in plan.changes), Totals())),
        "unmanaged": dict(sorted(plan.unmanaged.items())),
        "requests": totals_value(sum((change.request_totals for change in plan.changes), Totals())),
        "writes": _writes(sum((change.writes for change in plan.changes), Writes())),
        "digest": plan.digest,
        "partial": plan.partial,
        "warnings": list(plan.warnings),
    }


def totals_value(totals: Totals) -> dict[str, Value]:
    """planned = done + failed + not_attempted + refused + unknown."""
    return {
        "planned": totals.planned,
        "done": totals.done,
        "failed": totals.failed,
        "not_attempted": totals.not_attempted,
        "refused": totals.refused,
        "unknown": totals.unknown,
    }


def _writes(writes: Writes) -> dict[str, Value]:
    return {"sent": writes.sent, "retries": writes.retries}


def _change(change: Change) -> dict[str, Value]:
    key, counts = change.target_key, change.counts
    return {
        "address": change.address,
        "links": list(change.links),
        "destination": change.destination,
        "account": key.account,
        "target": "profiles" if key.is_profiles else "audience",
        "audience": key.audience or None,
        "op": change.op.value,
        "reason": change.reason,
        "outcome": change.outcome.value,
        "before": {"count": change.before},
        "added": counts.added,
        "removed": counts.removed,
        "changed": counts.changed,
        "held": counts.held,
        "shared": counts.shared,
        "refused": _refusal(change.refused),
        **_beyond(change),
    }


def _beyond(change: Change) -> dict[str, Value]:
    """Names beyond the contract: what the text screen says as well."""
    counts = change.counts
    return {
        "consent": {"removed": counts.consent, "refused": _refusal(change.consent_refusal)},
        "consent_only": change.consent_only,
        "members": counts.members,
        "cleared": counts.cleared,
        "unverified": change.unverified,
        "reasserted": counts.reasserted,
        "removed_again": change.removed_again,
        "refused_before": counts.refused_before,
        "forget": change.forget,
        "settings": list(change.settings),
        "first_uses": list(change.first_uses),
        "warnings": list(change.warnings),
        "rows": totals_value(change.rows),
        "requests": totals_value(change.request_totals),
        "writes": _writes(change.writes),
        "sent": change.sent,
        "accepted": change.accepted,
        "indexed": change.indexed,
        "error": change.error or None,
    }


def _refusal(refusal: Refusal | None) -> dict[str, Value] | None:
    if refusal is None:
        return None
    return {
        "rule": refusal.rule,
        "limit": refusal.limit,
        "actual": refusal.actual,
        "override": refusal.override,
        "where": refusal.where,
        "detail": refusal.detail,
    }


def _rejects(changes: Iterable[Change]) -> list[Value]:
    counted = Counter[tuple[str, str]]()
    for change in changes:
        for reject in change.rejects:
            counted[reject.link, reject.reason] += reject.count
    return [{"link": link, "reason": reason, "count": count} for (link, reason), count in sorted(counted.items())]


def _cost(cost: Cost) -> dict[str, Value]:
    return {
        "requests": cost.requests,
        "minimum": cost.minimum,
        "bytes": cost.bytes,
        "seconds": round(cost.seconds, 3),
        "why": cost.why,
        "endpoints": dict(sorted(cost.endpoints.items())),
    }
