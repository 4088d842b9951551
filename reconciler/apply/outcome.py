"""What became of a change: its rows and requests, each counted exactly once. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from reconciler.apply.sent import Sent, batch, single
from reconciler.apply.work import Work
from reconciler.batch.transport import Cancelled
from reconciler.errors import BatchctlError
from reconciler.plan import Change, Outcome, Totals, Writes
from reconciler.state.standing import Ranges, merged, size, subtract
from reconciler.state.state import Batch


def untouched(change: Change, outcome: Outcome) -> Change:
    """A change nothing was sent for; a plan's sums already say so."""
    return change.model_copy(update={"outcome": outcome})


def lost(change: Change, error: BatchctlError) -> Change:
    """A change of which nobody can say what became: all of it that no guard held back is unknown."""

    def unknown(planned: Totals) -> Totals:
        return Totals(planned=planned.planned, refused=planned.refused, unknown=planned.planned - planned.refused)

    return change.model_copy(
        update={
            "outcome": Outcome.UNKNOWN,
            "rows": unknown(change.rows),
            "request_totals": unknown(change.request_totals),
            "error": str(error),
        }
    )


def judged(change: Change, work: Work, error: BatchctlError | None) -> Change:
    """The change that was planned with the outcome of what was carried out of it, sums and, if it stopped, why."""
    sent = work.sent
    accepted = merged(sent.accepted)
    requests, writes = _requests(change, work, accepted, error)
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
            "outcome": _outcome(change, work, error),
            "rows": rows,
            "request_totals": requests,
            "writes": writes,
            "sent": size(merged([*accepted, *sent.failed, *sent.unknown])),
            "accepted": size(accepted) - len(sent.refused),
            "refused_rows": len(sent.refused),
            "error": str(error) if error is not None and not isinstance(error, Cancelled) else "",
        }
    )


def _outcome(change: Change, work: Work, error: BatchctlError | None) -> Outcome:
    if error is None and work.change.consent_only:
        return Outcome.REFUSED if change.consent_only else Outcome.NOT_ATTEMPTED
    if error is None:
        return Outcome.DONE
    if work.sent.uncertain:
        return Outcome.UNKNOWN
    return Outcome.NOT_ATTEMPTED if isinstance(error, Cancelled) else Outcome.FAILED


def _requests(change: Change, work: Work, accepted: Ranges, error: BatchctlError | None) -> tuple[Totals, Writes]:
    """What became of the planned requests, by their rows, creations and deletions by themselves; and what went out."""
    sent, batches = work.sent, work.change.batches
    ends = {batch(n): _end(one, batch(n), sent, accepted) for n, one in enumerate(batches)}
    alone = change.request_totals.planned - change.request_totals.refused - len(batches)
    whole = error is None and work.change.consent_only == change.consent_only
    for number in range(alone):
        known = number < len(sent.alone)
        ends[single(number)] = "done" if whole else sent.alone[number] if known else "not_attempted"
    begun = sent.begun & set(ends)
    still = Counter(end for name, end in ends.items() if name not in begun)
    totals = Totals(
        planned=change.request_totals.planned, refused=change.request_totals.refused, **Counter(ends.values())
    )
    return totals, Writes(
        sent=sent.requests, begun=len(begun), spared=still["done"], unconnected=still["failed"] + still["unknown"]
    )


def _end(planned: Batch, name: str, sent: Sent, accepted: Ranges) -> str:
    whole = ((planned.start, planned.stop),)
    if not subtract(whole, accepted):
        return "done"
    if _meets(whole, sent.unknown):
        return "unknown"
    return "failed" if name in sent.begun or _meets(whole, sent.failed) else "not_attempted"


def _meets(whole: Ranges, others: Iterable[tuple[int, int]]) -> bool:
    return subtract(whole, merged(others)) != whole
