"""What became of a change: its rows and requests, each counted exactly once. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.apply.work import Work
from reconciler.batch.transport import Cancelled
from reconciler.errors import BatchctlError
from reconciler.plan import Change, Op, Outcome, Totals
from reconciler.state.standing import Ranges, merged, size, subtract


def untouched(change: Change, outcome: Outcome) -> Change:
    """A change nothing was sent for; a plan's sums already say so."""
    return change.model_copy(update={"outcome": outcome})


def judged(work: Work, error: BatchctlError | None) -> Change:
    """The change with its outcome, sums and, if it stopped, why."""
    change, sent = work.change, work.sent
    accepted = merged(sent.accepted)
    rows = Totals(
        planned=change.rows.planned,
        done=size(accepted) - len(sent.refused),
        refused=change.rows.refused + len(sent.refused),
        failed=size(merged(sent.failed)),
        unknown=size(merged(sent.unknown)),
    )
    rows = rows.model_copy(
        update={"not_attempted": rows.planned - rows.done - rows.refused - rows.failed - rows.unknown}
    )
    return change.model_copy(
        update={
            "outcome": _outcome(work, error),
            "rows": rows,
            "request_totals": _requests(work, accepted, error),
            "requests_sent": sent.requests,
            "sent": size(merged([*accepted, *sent.failed, *sent.unknown])),
            "accepted": size(accepted) - len(sent.refused),
            "refused_rows": len(sent.refused),
            "error": str(error) if error is not None and not isinstance(error, Cancelled) else "",
        }
    )


def _outcome(work: Work, error: BatchctlError | None) -> Outcome:
    if error is None:
        return Outcome.REFUSED if work.change.consent_only else Outcome.DONE
    if work.sent.uncertain:
        return Outcome.UNKNOWN
    return Outcome.NOT_ATTEMPTED if isinstance(error, Cancelled) else Outcome.FAILED


def _requests(work: Work, accepted: Ranges, error: BatchctlError | None) -> Totals:
    """Planned requests by what became of their rows; creations and deletions by how they ended themselves."""
    change, sent = work.change, work.sent
    counted = dict.fromkeys(("done", "failed", "unknown", "not_attempted"), 0)
    for batch in work.batches:
        whole = ((batch.start, batch.stop),)
        if not subtract(whole, accepted):
            counted["done"] += 1
        elif _meets(whole, sent.unknown):
            counted["unknown"] += 1
        elif _meets(whole, sent.failed):
            counted["failed"] += 1
        else:
            counted["not_attempted"] += 1
    alone = (2 if change.recreate else int(change.create)) + int(change.op is Op.DELETE)
    alone = min(alone, change.request_totals.planned - change.request_totals.refused - len(work.batches))
    if alone > 0:
        ends = ["done"] * alone if error is None else sent.alone[:alone]
        for end in (*ends, *["not_attempted"] * (alone - len(ends))):
            counted[end] += 1
    return Totals(planned=change.request_totals.planned, refused=change.request_totals.refused, **counted)


def _meets(whole: Ranges, others: Iterable[tuple[int, int]]) -> bool:
    return subtract(whole, merged(others)) != whole
