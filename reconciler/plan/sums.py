"""What a plan adds up to: requests, least seconds, and planned = done + failed + not attempted + refused + unknown.

Numbers are of what *will be sent*: a refused change costs nothing, except the consent removals it still sends.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.plan.slices import minimum
from reconciler.plan.values import Change, Op, Outcome, Plan, Totals
from reconciler.state.state import Batch


def with_sums(plan: Plan) -> Plan:
    """The plan with the numbers of every change brought up to date; for plans not yet applied."""
    return plan.model_copy(update={"changes": tuple(_summed(change) for change in plan.changes)})


def sendable(change: Change) -> tuple[Batch, ...]:
    """The batches that will be sent: all, the consent removals only, or none."""
    if change.refused is None:
        return change.batches
    return change.consent_batches if change.consent_only else ()


def rows_in(batches: Iterable[Batch]) -> int:
    """Rows of some batches."""
    return sum(batch.stop - batch.start for batch in batches)


def beside(change: Change) -> int:
    """Requests of consent removals alone that are none of those which the whole change takes."""
    whole = {(batch.start, batch.stop) for batch in change.batches}
    return sum((batch.start, batch.stop) not in whole for batch in change.consent_batches)


def seconds_of(*, requests: int, ids: int, change: Change) -> float:
    """Least seconds on its own: the slower of requests at their rate and profile IDs at theirs."""
    writing = max(0, ids - change.burst) / change.write_rate if change.write_rate else 0.0
    return max(requests / change.rate, writing)


def _extra_requests(change: Change) -> int:
    """Requests that carry no rows: create, delete, or both."""
    return (2 if change.recreate else int(change.create)) + int(change.op is Op.DELETE)


def _summed(change: Change) -> Change:
    if change.op is Op.NONE and not (change.refused or change.batches or change.consent_batches or change.kinds):
        at_rest = {"outcome": Outcome.NONE, "requests_why": ""}
        return change if change.outcome is Outcome.NONE else change.model_copy(update=at_rest)
    sent = sendable(change)
    rows, planned_rows = rows_in(sent), change.planned_rows
    extra = 0 if change.refused else _extra_requests(change)
    requests, least = len(sent) + extra, minimum(rows, change.limit) + extra
    kept_back = change.consent_refused and not change.refused
    apart = beside(change) if change.consent_only or kept_back else 0
    planned = len(change.batches) + _extra_requests(change) + apart
    return change.model_copy(
        update={
            "outcome": _outcome(change),
            "requests": requests,
            "minimum": least,
            "requests_why": change.requests_why if requests > least else "",
            "seconds": seconds_of(requests=requests, ids=rows, change=change),
            "rows": Totals(planned=planned_rows, not_attempted=rows, refused=planned_rows - rows),
            "request_totals": Totals(planned=planned, not_attempted=requests, refused=planned - requests),
        }
    )


def _outcome(change: Change) -> Outcome:
    if change.refused is not None:
        return Outcome.REFUSED
    return Outcome.NONE if change.op is Op.NONE else Outcome.PLANNED
