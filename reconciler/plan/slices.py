"""Rows of a delta file cut into requests: as few as the limit allows, with a barrier where order matters.

A delta file is ordered ``consent | remove | reset | add | put``. Requests are slices across those kinds, so their
number is ⌈rows ÷ limit⌉, with two exceptions that the cost line explains:

* A `reset` row and its `put` row (an attribute key is dropped: remove, barrier, add again) never share a request. One
  request more only where no cut between the last reset and the first put keeps the number.
* A *replace* holds members only and stands between barriers
  (https://doc.batch.com/developer/api/cep/audiences/replace).
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.data.staged import Staged
from reconciler.state.state import Batch

KINDS = ("consent", "remove", "reset", "add", "put")
RESET_WHY = "attribute keys dropped: second call after a barrier"
REPLACE_WHY = "a replace stands alone between barriers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """How many rows of each kind a delta file holds, in file order."""

    consent: int = 0
    remove: int = 0
    reset: int = 0
    add: int = 0
    put: int = 0

    @classmethod
    def of(cls, staged: Staged) -> Rows:
        """Counted by the diff."""
        return cls(
            consent=staged.consent_rows,
            remove=staged.remove_rows,
            reset=staged.reset_rows,
            add=staged.add_rows,
            put=staged.put_rows,
        )

    @property
    def total(self) -> int:
        """All rows."""
        return self.consent + self.remove + self.reset + self.add + self.put

    @property
    def first_reset(self) -> int:
        """Where resets start."""
        return self.consent + self.remove

    @property
    def first_add(self) -> int:
        """Where adds start, and resets end."""
        return self.first_reset + self.reset

    @property
    def first_put(self) -> int:
        """Where puts start, and adds end."""
        return self.first_add + self.add


def minimum(rows: int, limit: int) -> int:
    """Fewest requests: ⌈rows ÷ limit⌉."""
    return -(-rows // limit)


def cut(start: int, stop: int, limit: int) -> list[Batch]:
    """Rows [start, stop) in slices of `limit`, the last one shorter."""
    return [Batch(start=at, stop=min(at + limit, stop)) for at in range(start, stop, limit)]


def consent_batches(rows: Rows, limit: int) -> tuple[Batch, ...]:
    """What is still sent when the rest of a target is refused."""
    return tuple(cut(0, rows.consent, limit))


def batches(
    rows: Rows,
    *,
    limit: int,
    replace: bool = False,
    leftovers_last: bool = False,
    consent: bool = True,
    removals: bool = True,
) -> tuple[Batch, ...]:
    """Every row of the file in exactly one batch, in sending order.

    `consent=False` leaves the consent prefix out, `removals=False` those who leave as well.
    """
    start = 0 if consent and removals else rows.consent if removals else rows.first_reset
    if replace and rows.add:
        return _replacing(rows, start, limit)
    sent = _resetting(rows, start, limit) if rows.reset and rows.put else cut(start, rows.total, limit)
    return tuple(_leftovers_last(sent, rows) if leftovers_last else sent)


def _replacing(rows: Rows, start: int, limit: int) -> tuple[Batch, ...]:
    """Replace → barrier → the other members; what `start` leaves of the removals goes out around them."""
    head = min(rows.first_add + limit, rows.total)
    first = Batch(start=rows.first_add, stop=head, replace=True, barrier=True)
    rest = [*cut(head, rows.total, limit), *cut(max(start, rows.consent), rows.first_add, limit)]
    return (*cut(start, rows.consent, limit), first, *_behind_barrier(rest))


def _resetting(rows: Rows, start: int, limit: int) -> list[Batch]:
    """Two runs of slices with a barrier between resets and puts."""
    at = _best_cut(rows, start, limit)
    return [*cut(start, at, limit), *_behind_barrier(cut(at, rows.total, limit))]


def _best_cut(rows: Rows, start: int, limit: int) -> int:
    """The row between the last reset and the first put where a cut costs least.

    Only the last put position and the last whole slice before it can be best: between them the number never falls.
    """
    low, high = rows.first_add, rows.first_put
    whole = start + (high - start) // limit * limit
    options = [high, whole] if whole >= low else [high]
    return min(options, key=lambda at: minimum(at - start, limit) + minimum(rows.total - at, limit))


def _behind_barrier(sent: list[Batch]) -> list[Batch]:
    return [sent[0].model_copy(update={"barrier": True}), *sent[1:]] if sent else []


def _leftovers_last(sent: list[Batch], rows: Rows) -> list[Batch]:
    """Slices of removals only after everybody was added again: campaigns never see a shrunken audience.

    Consent removals stay first, and resets stay before their puts.
    """
    late = [batch for batch in sent if _is_leftover(batch, rows)]
    early = [batch for batch in sent if not _is_leftover(batch, rows)]
    return [*early, *reversed(late)]


def _is_leftover(batch: Batch, rows: Rows) -> bool:
    removes = batch.start < rows.first_reset
    return removes and batch.start >= rows.consent and (not rows.reset or batch.stop <= rows.first_reset)
