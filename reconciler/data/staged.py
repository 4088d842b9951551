"""What `diff` leaves behind: counts for the plan and one immutable delta file for apply. Pure values.

Columns of a delta file, in this order: ``id VARCHAR``, ``cased BOOLEAN`` (the identifier is not what it is in lower case;
files without it may hold any), ``kind VARCHAR``, ``k UUID`` (md5 of the person's key; NULL: the identifier is the key),
``held VARCHAR[]`` (attribute names an uncertain row may hold beyond its own; folded files lack it), then one column per
attribute named ``a:<name>`` holding the normalised value (VARCHAR, BIGINT, DOUBLE, BOOLEAN, DATE, TIMESTAMP in UTC, VARCHAR[]).
Rows are ordered: consent, remove, reset, add, put.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class RowKind(StrEnum):
    """What a row of a delta file does."""

    CONSENT = "consent"
    """Removal because of consent, suppression or forget: first, under its own limit."""
    REMOVE = "remove"
    RESET = "reset"
    """First half of R11: removed so that an attribute key can be dropped; its `put` row follows after a barrier."""
    ADD = "add"
    """New member, changed attributes or re-asserted row: the complete attribute set."""
    PUT = "put"
    """Second half of R11."""


UNKNOWN_KEY = "key not in the catalogue"
"""Reason to reject what a `query` returned and nobody has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectCount:
    """How many rows of a link were not sent, and why. Never an identifier."""

    link: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows and people of one diff. `added`, `removed`, `changed` are what guards look at; re-asserted rows are not."""

    members: int = 0
    """Identifiers (profiles: people) that belong to the target now."""
    rows_read: int = 0
    """Member rows before checks: denominator of `max_reject_percent`."""
    broken: int = 0
    """Rejects that are rows of a source of which nobody can say whether they are members: they are not in `rows_read`."""
    broken_most: int = 0
    """Those of them in the source with the largest share of such rows, and its rows."""
    broken_of: int = 0
    source_rows: int = 0
    """Rows of the smallest source that feeds the target: 0 is the empty-source guard."""
    added: int = 0
    resumed: int = 0
    """Of those added, whom an interrupted run was about to add: no change for guards."""
    removed: int = 0
    changed: int = 0
    cleared: int = 0
    """Profiles: people who lose at least one attribute value."""
    after: int = 0
    """Identifiers (people) Batch will hold once everything planned is accepted."""
    consent: int = 0
    """Removals for consent, suppression or forget."""
    held: int = 0
    shared: int = 0
    reasserted: int = 0
    refused_before: int = 0
    """Wishes Batch refused in an earlier run and which have not changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The result of one diff."""

    file: Path | None = None
    rejects_file: Path | None = None
    """Parquet (link, reason, key, id, row) of every reject; personal data, mode 0600."""
    rows: int = 0
    consent_rows: int = 0
    remove_rows: int = 0
    reset_rows: int = 0
    add_rows: int = 0
    put_rows: int = 0
    bytes: int = 0
    """Bytes of all request bodies."""
    counts: Counts = Counts()
    rejects: tuple[RejectCount, ...] = ()
    suppressed: dict[str, int] = field(default_factory=dict)
    """Rows of each suppression list read."""
    first_uses: tuple[str, ...] = ()
    """Attributes sent for the first time: hidden in Batch's dashboard until enabled there."""
    oldest: dict[str, float] = field(default_factory=dict)
    """Catalogue → age of its data in seconds at the run's now."""
    warnings: tuple[str, ...] = ()
    inputs: str = ""
    """Digest of all the rows were computed from; empty when they have to be computed again whatever it would be."""
