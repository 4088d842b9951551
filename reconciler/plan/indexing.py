"""What is said of a write that Batch has accepted and does not report as indexed: since when, and what to do. Pure.

Indexing has no time limit and no failure state (https://doc.batch.com/developer/api/cep/audiences/view): nobody but
Batch can tell one that is slow from one that never ends.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from reconciler.observed import Observed
from reconciler.state.state import TargetState

LATE = timedelta(hours=24)
"""From then on waiting is no advice any more."""
HELD = (
    "nothing more is sent to this audience until Batch reports that write as indexed, removals for consent included: "
    "a later write could be carried out before it"
)
ASK = (
    "ask Batch's support why, with the audience's name and that time; a link with another audience name fills a new one"
)


def is_late(sent_at: datetime, now: datetime) -> bool:
    """Whether a write should have been indexed long since."""
    return now - sent_at >= LATE


def when(sent_at: datetime, now: datetime) -> str:
    """``2026-11-26 06:00 UTC, 3 days ago``; a clock that was set back makes it now."""
    minutes = max(int((now - sent_at).total_seconds() // 60), 0)
    for size, word in ((24 * 60, "days"), (60, "hours")):
        if minutes >= 2 * size:
            return f"{_moment(sent_at)}, {minutes // size:,} {word} ago"
    return f"{_moment(sent_at)}, {minutes} {'minute' if minutes == 1 else 'minutes'} ago"


def unindexed(known: TargetState | None, observed: Observed | None, now: datetime) -> tuple[str, ...]:
    """A warning where Batch says that the last write of ours is not indexed: a run has waited for it in vain, or it is
    late whether anybody waits or not."""
    last = known.last_write if known is not None else None
    if known is None or last is None or last.applied or observed is None or observed.indexing != "IN_PROGRESS":
        return ()
    if is_late(last.sent_at, now):
        return (f"indexing: Batch does not index what it accepted at {when(last.sent_at, now)}; {ASK}",)
    if known.pending is None:
        return ()
    return (
        f"indexing: Batch has not indexed yet what it accepted at {when(last.sent_at, now)}; apply waits for it first",
    )


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
