"""One change being carried out: what it may send, and waiting until Batch has indexed it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from reconciler.apply.sent import Sent
from reconciler.apply.tools import Progress, Tools
from reconciler.batch import barrier
from reconciler.batch.client import Client
from reconciler.errors import BatchError
from reconciler.plan import Change, Op
from reconciler.plan.indexing import ASK, HELD, is_late, when


class Vanished(BatchError):
    """The audience is not there any more."""

    def __init__(self, audience: str, *, why: str = "") -> None:
        super().__init__(
            f"audience {audience} is not there any more",
            why=why or "it was deleted after the plan was made",
            fix="run batchctl plan: it shows what creating it again would do",
        )


class NotIndexed(BatchError):
    """Batch accepted a write but did not report it as indexed before the deadline."""


class Overwritten(BatchError):
    """A replace that is not ours: what Batch holds is not known any more."""


def let_through(change: Change) -> Change:
    """What a guard leaves of a refused change: a delta of its removals for consent, which says nothing else of the
    target. Of any other change all of it."""
    if not change.consent_only:
        return change
    no = dict.fromkeys(("create", "recreate", "full", "void", "forget"), False)
    return change.model_copy(update={**no, "op": Op.DELTA, "batches": change.consent_batches, "repairs": None})


@dataclass(slots=True)
class Work:
    """One change being carried out."""

    change: Change
    """What of it may be done, see `let_through`."""
    tools: Tools
    sent: Sent
    file: Path | None = None
    """The delta file being sent, on this machine."""
    total: int = field(init=False)
    """Rows to be sent."""
    _waited_for: set[str] = field(default_factory=set)
    _client: Client | None = None

    def __post_init__(self) -> None:
        self.total = sum(batch.stop - batch.start for batch in self.change.batches)

    @property
    def client(self) -> Client:
        """Of the target's account; opened by the first request. ConfigurationError where nobody holds its keys."""
        if self._client is None:
            self._client = self.tools.client_of(self.change).watched(self.sent.saw)
        return self._client

    def step(self, name: str) -> None:
        """Tells whoever watches."""
        self.tools.progress(
            Progress(
                address=self.change.address,
                destination=self.change.destination,
                step=name,
                done=sum(stop - start for start, stop in self.sent.accepted),
                total=self.total,
                refused=len(self.sent.refused),
            )
        )

    def wait_for(self, token: str | None, *, replaced_ok: bool = False, sent_at: datetime | None = None) -> None:
        """Waits until the write of `token` (None: the last one) is APPLIED; raises BatchError when that does not come.

        With `replaced_ok` REPLACED is as good: a later replace of ours explains it. `sent_at`: when an earlier run sent
        that write; None for one of this run.
        """
        name, deadline = self.change.target_key.audience, self.tools.deadline
        seen = barrier.wait_applied(
            self.client, name, self.change.id_type, token, deadline=deadline, cancel=self.tools.cancel
        )
        if seen is None:
            raise Vanished(name)
        if seen.indexing == "REPLACED" and not replaced_ok:
            raise Overwritten(
                f"audience {name}: somebody else replaced its members",
                why="Batch reports our last write as REPLACED",
                fix="run batchctl apply again: it writes everybody anew; and find out who writes to this audience",
            )
        if seen.indexing not in ("APPLIED", "REPLACED"):
            raise self._not_indexed(sent_at or self.sent.last_at)

    def _not_indexed(self, sent_at: datetime | None) -> NotIndexed:
        name, now = self.change.target_key.audience, self.tools.clock()
        if sent_at is not None and is_late(sent_at, now):
            what = f"audience {name}: Batch does not index what it accepted at {when(sent_at, now)}"
            return NotIndexed(what, why=HELD, fix=ASK)
        accepted = f"accepted at {when(sent_at, now)}; " if sent_at is not None else ""
        return NotIndexed(
            f"audience {name}: Batch has not indexed an earlier write yet",
            why=f"{accepted}it did not report APPLIED within {self.tools.deadline:.0f} s",
            fix="run batchctl apply again later; what was accepted is written down",
        )

    def barrier(self) -> None:
        """Waits for every write of this run that was not waited for yet."""
        if self.change.target_key.is_profiles or self.sent.last_at is None:
            return
        self.step("indexing")
        todo = [token for token in self.sent.tokens if token not in self._waited_for]
        for token in todo:
            self.wait_for(token)
        if not todo:
            self.wait_for(None)
        self._waited_for.update(todo)

    def wait_indexed(self) -> None:
        """Waits for every write of this run."""
        self.step("indexing")
        for number, token in enumerate(self.sent.tokens, 1):
            self.wait_for(token, replaced_ok=number < len(self.sent.tokens))
        if not self.sent.tokens:
            self.wait_for(None)
