"""Where a target stands once its acknowledgements are read: what counts as told, and what nobody knows. Pure.

Rows of the pending delta that are acknowledged are told, or refused by Batch; all its other rows are uncertain. There
is no other recovery: the next plan compares against *baseline ⊕ acknowledged* and asserts what is uncertain again.

*Uncertain* is what the state keeps so; *unsure* adds the open rows of the pending intent; *doubtful* adds the refusals
of which Batch may hold a part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.state.state import DataFile, LastWrite, Pending, TargetState

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked:
    """What the acknowledgement log of one intent says; rows are of its delta file."""

    accepted: Ranges = ()
    refused: tuple[tuple[int, str], ...] = ()
    """(row, Batch's words): of these Batch holds what it held before."""
    tokens: tuple[str, ...] = ()
    at: datetime | None = None
    in_flight: datetime | None = None
    """When a request was started that was never answered."""

    @property
    def told(self) -> Ranges:
        """Rows Batch accepted."""
        return without(self.accepted, [row for row, _ in self.refused])


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One target as the next plan sees it."""

    known: TargetState
    """With `trusted` and `last_write` as the acknowledgements leave them."""
    layers: tuple[DataFile, ...]
    """Base first, newest last: what Batch has been told."""
    unsure: tuple[DataFile, ...]
    """Rows whose fate is unknown."""
    acked: Acked

    @property
    def folded(self) -> TargetState:
        """`known` at rest: what was acknowledged is told, all else of the pending intent is uncertain."""
        told = self.known.baseline.model_copy(update={"files": self.layers})
        return self.known.model_copy(update={"baseline": told, "uncertain": self.unsure, "pending": None})

    @property
    def doubtful(self) -> tuple[DataFile, ...]:
        """`unsure`, and before it the refused rows of which Batch may hold something: profiles refused in part, and
        identifiers that were uncertain when they were refused."""
        refused = self.known.baseline.refusals
        return ((refused,) if refused is not None and refused.ranges else ()) + self.unsure


def stand(known: TargetState, acked: Acked) -> Standing:
    """Folds the acknowledgements of a pending intent into what is known of its target."""
    pending = known.pending
    if pending is not None and pending.create and known.created is None:  # nobody saw the end of the creation
        begun = LastWrite(token=None, sent_at=pending.started, applied=False)
        known = known.model_copy(update={"last_write": begun})
    if pending is None or pending.file is None:
        return Standing(known=known, layers=known.baseline.files, unsure=known.uncertain, acked=acked)
    layers = known.baseline.files
    if acked.told:
        layers = (*layers, pending.file.model_copy(update={"ranges": acked.told}))
    open_rows = subtract(intended(pending), acked.accepted)
    replaced = _replaced(pending, acked)
    unsure = known.uncertain if not replaced else ()
    if open_rows:
        unsure = (*unsure, pending.file.model_copy(update={"ranges": open_rows}))
    baseline = known.baseline.model_copy(update={"trusted": known.baseline.trusted or replaced})
    last = known.last_write
    if acked.at is not None:
        last = last_write(acked.tokens, acked.at)
    if acked.in_flight is not None:
        last = LastWrite(token=None, sent_at=acked.in_flight, applied=False, earlier=acked.tokens, unanswered=True)
    return Standing(
        known=known.model_copy(update={"baseline": baseline, "last_write": last}),
        layers=layers,
        unsure=unsure,
        acked=acked,
    )


def _replaced(pending: Pending, acked: Acked) -> bool:
    """A *replace* has gone through in whole, with at least one row: before it nothing is known."""
    batch = next((batch for batch in pending.batches if batch.replace), None)
    if batch is None or not covers(acked.accepted, batch.start, batch.stop):
        return False
    return subtract(((batch.start, batch.stop),), acked.told) != ((batch.start, batch.stop),)


def last_write(tokens: Sequence[str], at: datetime) -> LastWrite:
    """The last write of a run, with the tokens of the others."""
    return LastWrite(token=tokens[-1] if tokens else None, sent_at=at, applied=False, earlier=tuple(tokens[:-1]))


def intended(pending: Pending) -> Ranges:
    """The rows an intent set out to send."""
    return merged((batch.start, batch.stop) for batch in pending.batches)


def merged(ranges: Iterable[Sequence[int]]) -> Ranges:
    """The same rows in as few ranges as possible, in order."""
    out: list[tuple[int, int]] = []
    for start, stop in sorted((int(a), int(b)) for a, b in ranges):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        elif start < stop:
            out.append((start, stop))
    return tuple(out)


def subtract(whole: Ranges, gone: Ranges) -> Ranges:
    """Rows of `whole` that are not in `gone`."""
    out: list[tuple[int, int]] = []
    taken = merged(gone)
    for start, stop in merged(whole):
        at = start
        for low, high in taken:
            if high <= at or low >= stop:
                continue
            if low > at:
                out.append((at, low))
            at = max(at, high)
        if at < stop:
            out.append((at, stop))
    return tuple(out)


def without(ranges: Ranges, rows: Iterable[int]) -> Ranges:
    """`ranges` less single rows."""
    return subtract(ranges, merged((row, row + 1) for row in rows))


def covers(ranges: Ranges, start: int, stop: int) -> bool:
    """Whether every row of [start, stop) is in `ranges`."""
    return not subtract(((start, stop),), ranges)


def size(ranges: Ranges) -> int:
    """How many rows."""
    return sum(stop - start for start, stop in merged(ranges))
