"""Batches of one delta file → requests: barriers, acknowledgements, and halving of what Batch refuses as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.apply.tools import Progress, Tools
from reconciler.batch.client import Client, Written
from reconciler.data.bodies import Bodies
from reconciler.errors import BatchError, Locked, Refused4xx
from reconciler.plan import Change
from reconciler.state.acks import SENDING, Ack, AckLog
from reconciler.state.standing import Ranges, subtract
from reconciler.state.state import Batch

REFUSALS_AT_MOST = 300
"""Refused requests of one target after which halving stops: something is wrong with all rows, not with some."""
POINTLESS = 32
"""Refused requests without a single accepted row: not a question of single rows."""


class Vanished(BatchError):
    """The audience is not there any more."""


@dataclass(slots=True)
class Sent:
    """What became of the rows of one target; ranges of its delta file."""

    accepted: list[tuple[int, int]] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    unknown: list[tuple[int, int]] = field(default_factory=list)
    failed: list[tuple[int, int]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    last_at: datetime | None = None
    requests: int = 0
    requests_refused: int = 0
    largest: int = 0
    """Rows of the largest request after a 413; 0 = no such limit met."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Sends the batches of one change."""

    change: Change
    tools: Tools
    client: Client
    bodies: Bodies
    replace_item: str
    log: AckLog
    sent: Sent
    barrier: Callable[[Sent], None]
    """Waits until everything sent so far is APPLIED; raises BatchError at the deadline."""

    def send(self, batches: tuple[Batch, ...], already: Ranges) -> None:
        """All batches in order, less the rows acknowledged already; raises BatchError when it cannot go on."""
        for number, batch in enumerate(batches):
            todo = subtract(((batch.start, batch.stop),), already)
            if not todo:
                continue
            if batch.barrier:
                self.barrier(self.sent)
            for start, stop in todo:
                self._slices(number, batch, start, stop)
            self._report()

    def _slices(self, number: int, batch: Batch, start: int, stop: int) -> None:
        step = self.sent.largest or stop - start
        for at in range(start, stop, step):
            self._range(number, batch, at, min(at + step, stop))

    def _range(self, number: int, batch: Batch, start: int, stop: int) -> None:
        if self.sent.last_at is not None and not self.sent.tokens:
            self.barrier(self.sent)  # without tokens writes cannot be told apart: one in flight at a time
        self.log.append(Ack(batch=SENDING, start=start, stop=stop, token=None, at=self.tools.clock()))
        self.sent.requests += 1
        try:
            written = self._request(batch, start, stop)
        except Refused4xx as error:
            self._refused(number, batch, start, stop, error)
            return
        except (BatchError, Locked) as error:
            maybe = getattr(error, "maybe_processed", True)
            (self.sent.unknown if maybe else self.sent.failed).append((start, stop))
            raise
        self._accepted(number, start, stop, written)

    def _request(self, batch: Batch, start: int, stop: int) -> Written:
        change = self.change
        if batch.replace:
            return self.client.replace(
                change.target_key.audience, self.bodies.take(start, stop, item=self.replace_item)
            )
        items = self.bodies.take(start, stop)
        if change.target_key.is_profiles:
            return self.client.write_profiles(change.route, items, stop - start)
        return self.client.update(change.target_key.audience, change.id_type, items)

    def _accepted(self, number: int, start: int, stop: int, written: Written) -> None:
        words: dict[int, str] = {}
        for error in written.errors:
            words_of = error.reason or error.category or "refused"
            text = f"{error.attribute}: {words_of}" if error.attribute else words_of
            meant = range(start, stop)[error.index : error.index + 1]
            for row in meant:
                words.setdefault(row, text)
        at = self.tools.clock()
        refused = tuple(sorted(words.items()))
        self.log.append(Ack(batch=number, start=start, stop=stop, token=written.token, at=at, refused=refused))
        self.sent.accepted.append((start, stop))
        self.sent.refused += refused
        self.sent.last_at = at
        if written.token:
            self.sent.tokens.append(written.token)

    def _refused(self, number: int, batch: Batch, start: int, stop: int, error: Refused4xx) -> None:
        self.sent.requests_refused += 1
        pointless = self.sent.requests_refused >= POINTLESS and not self.sent.accepted
        if error.status in (401, 403) or batch.replace or pointless or self.sent.requests_refused > REFUSALS_AT_MOST:
            self.sent.failed.append((start, stop))
            raise error
        if not self.change.target_key.is_profiles and self._gone():
            self.sent.failed.append((start, stop))
            raise Vanished(
                f"audience {self.change.target_key.audience} is not there any more",
                why=error.what,
                fix="run batchctl plan: it shows what creating it again would do",
            ) from None
        if stop - start == 1:
            self._single(number, start, error)
            return
        middle = (start + stop) // 2
        if error.status == 413:
            self.sent.largest = middle - start
        before = len(self.sent.refused)
        self._range(number, batch, start, middle)
        self._range(number, batch, middle, stop)
        if len(self.sent.refused) == before and not self.sent.failed:
            self.sent.largest = max(middle - start, 1)

    def _gone(self) -> bool:
        return self.client.view(self.change.target_key.audience, self.change.id_type) is None

    def _single(self, number: int, row: int, error: Refused4xx) -> None:
        """A row refused alone. A removal that Batch refuses means that the identifier was not there (U33)."""
        (kind,) = self.bodies.kinds(row, row + 1)
        gone = kind in ("consent", "remove", "reset") and not self.change.target_key.is_profiles
        refused = () if gone else ((row, error.why or error.what),)
        at = self.tools.clock()
        self.log.append(Ack(batch=number, start=row, stop=row + 1, token=None, at=at, refused=refused))
        self.sent.accepted.append((row, row + 1))
        self.sent.refused += refused

    def _report(self) -> None:
        done = sum(stop - start for start, stop in self.sent.accepted)
        total = sum(batch.stop - batch.start for batch in self.change.batches)
        change = self.change
        self.tools.progress(
            Progress(address=change.address, destination=change.destination, step="sending", done=done, total=total)
        )
