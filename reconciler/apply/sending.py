"""Batches of one delta file → requests: barriers, acknowledgements, and halving of what Batch refuses as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.apply.part import Part
from reconciler.apply.proof import Holds
from reconciler.apply.sent import Sent
from reconciler.apply.sent import batch as request
from reconciler.apply.work import Vanished, Work
from reconciler.batch.client import Written
from reconciler.batch.transport import Cancelled
from reconciler.data.bodies import Bodies
from reconciler.data.refusals import IN_PART
from reconciler.errors import BatchctlError, BatchError, Locked, Refused4xx, StateError
from reconciler.plan import Change
from reconciler.state.ack import Ack, Sending
from reconciler.state.acks import AckLog
from reconciler.state.standing import merged, subtract, without
from reconciler.state.state import Batch

REFUSALS_AT_MOST = 400
"""Refused requests after which halving stops, unless more rows were accepted than refused: then it is single rows.
Enough to find each of the 200 rows of one request of profiles."""
REMOVALS = frozenset({"consent", "remove", "reset"})
POINTLESS = 32
"""Planned requests that were given up, without a single accepted row: the others are not tried."""


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Sends the batches of one change."""

    work: Work
    bodies: Bodies
    second_item: str
    """See `items.replacement_of`."""
    log: AckLog
    holds: Holds
    in_flight: bool = False
    """A request of an earlier run of the same plan was never answered."""

    @property
    def change(self) -> Change:
        """What is carried out."""
        return self.work.change

    @property
    def sent(self) -> Sent:
        """What became of it so far."""
        return self.work.sent

    def send(self) -> None:
        """All batches in order, less the rows acknowledged already; raises BatchError when it cannot go on, and in the
        end when rows of a batch were given up, so that they stop nobody in the others."""
        given_up: list[Refused4xx] = []
        for number, batch in enumerate(self.change.batches):
            todo = subtract(((batch.start, batch.stop),), merged(self.sent.accepted))
            if not todo:
                continue
            self.sent.doing = request(number)
            if batch.barrier:
                self.work.barrier()
            given_up += [why for start, stop in todo for why in self._slices(batch, start, stop)]
            if given_up and (batch.replace or (len(given_up) >= POINTLESS and not self.sent.told)):
                break
            if batch.replace and not self._begun(batch):
                audience = self.change.target_key.audience
                raise BatchError(
                    f"audience {audience}: Batch refused every row that was to replace its members",
                    why=self.sent.refused[-1][1] if self.sent.refused else "",
                    fix="batchctl rejects lists them",
                )
            self.work.step("sending")
        if given_up:
            raise given_up[0]

    def _slices(self, batch: Batch, start: int, stop: int) -> list[Refused4xx]:
        step = self.sent.largest or stop - start
        ends = [self._range(batch, at, min(at + step, stop)) for at in range(start, stop, step)]
        return [why for why in ends if why is not None]

    def _rest(self, batch: Batch) -> Batch:
        """Once part of a *replace* has gone through, before a cut perhaps, the rest is added to it."""
        if not batch.replace or not self._begun(batch):
            return batch
        self.work.barrier()
        return batch.model_copy(update={"replace": False})

    def _begun(self, batch: Batch) -> bool:
        whole = ((batch.start, batch.stop),)
        told = without(merged(self.sent.accepted), [row for row, _ in self.sent.refused])
        return subtract(whole, told) != whole

    def _range(self, batch: Batch, start: int, stop: int) -> Refused4xx | None:
        """One request, and as many more as Batch's refusals make of it: halves, from the left.

        Where that becomes pointless it is given up, and says why, only after every range not tried yet was refused as a
        whole.
        """
        parts, later = [Part(start, stop)], list[Part]()
        refusal: Refused4xx | None = None
        while parts:
            batch = self._rest(batch)
            halves, error = self._part(batch, parts.pop())
            later, refusal = [*later, *halves], error or refusal
            if refusal is None or not self._pointless:
                parts, later = [*parts, *reversed(later)], []
        if later and refusal is not None:
            self.sent.failed += [(part.start, part.stop) for part in later]
            return refusal
        return None

    def _part(self, batch: Batch, part: Part) -> tuple[tuple[Part, ...], Refused4xx | None]:
        """One request; its halves where Batch refuses it, and the refusal."""
        start, stop = part.start, part.stop
        if self.work.tools.cancel.is_set():
            raise Cancelled
        if self.sent.last_at is not None and not self.sent.tokens:
            self.work.barrier()  # without tokens writes cannot be told apart: one in flight at a time
        written = self._asked(start, stop, lambda: self._request(batch, start, stop))
        if isinstance(written, Refused4xx):
            return self._refused(batch, part, written), written
        if stop - start > 1 and any(not 0 <= error.index < stop - start for error in written.errors):
            self.sent.requests_refused += 1
            self._wrote(written)
            self.sent.unknown.append((start, stop))  # Batch does not say which rows it means, and took the others
            self.work.barrier()
            self.sent.unknown.pop()  # the halves will tell
            return part.halves(lost=True), None
        self._accepted(start, stop, written)
        part.twins.append(stop - start)
        if len(part.twins) == 2:
            self.sent.largest = min(part.twins)  # neither half was refused: the size was the matter
        return (), None

    def _asked(self, start: int, stop: int, request: Callable[[], Written]) -> Written | Refused4xx:
        """One request, or Batch's refusal of its rows; raises what stops the target.

        A line of the log says that it starts. Where nobody knows whether it was processed no other follows, and its
        rows are unknown.
        """
        self.log.append(Sending(start=start, stop=stop, at=self.work.tools.clock()))
        try:
            return request()
        except Refused4xx as error:
            if not error.forbidden:
                self._answered(start, start)
                return error
            self._stopped(start, stop, error)
            raise
        except BatchctlError as error:
            self._stopped(start, stop, error)
            raise
        except Exception:
            self.sent.unknown.append((start, stop))  # it may have been sent
            raise

    def _stopped(self, start: int, stop: int, error: BatchctlError) -> None:
        if error.maybe_processed:
            self.sent.unknown.append((start, stop))
        elif not isinstance(error, Locked):  # it was not sent, and without the lock nothing is written either
            self._answered(start, start)
            self.sent.failed += [] if isinstance(error, Cancelled) else [(start, stop)]

    def _answered(
        self, start: int, stop: int, token: str | None = None, refused: tuple[tuple[int, str], ...] = ()
    ) -> None:
        at = self.work.tools.clock()
        self.log.append(Ack(start=start, stop=stop, token=token, at=at, refused=refused))

    def _request(self, batch: Batch, start: int, stop: int) -> Written:
        change = self.change
        if batch.replace:
            return self.work.client.replace(
                change.target_key.audience, self.bodies.take(start, stop, item=self.second_item)
            )
        items = self.bodies.take(start, stop)
        if change.target_key.is_profiles:
            return self.work.client.write_profiles(change.route, items, stop - start)
        return self.work.client.update(change.target_key.audience, change.id_type, items)

    def _accepted(self, start: int, stop: int, written: Written) -> None:
        words: dict[int, str] = {}
        for error in written.errors:
            words_of = error.reason or error.category or "refused"
            between = IN_PART if self.change.target_key.is_profiles else ": "
            text = f"{error.attribute}{between}{words_of}" if error.attribute else words_of
            words.setdefault(start + (error.index if stop - start > 1 else 0), text)
        refused = tuple(sorted(words.items()))
        self._took(start, stop, written.token, refused)
        self._wrote(written)

    def _wrote(self, written: Written) -> None:
        """Batch accepted a write: it is indexed before anything else touches its identifiers."""
        self.sent.last_at = self.work.tools.clock()
        if written.token:
            self.sent.tokens.append(written.token)

    def _took(self, start: int, stop: int, token: str | None = None, refused: tuple[tuple[int, str], ...] = ()) -> None:
        """Writes down what Batch took, less the refused rows of which it may hold something: after a kill those are
        uncertain. Where that fails the next run will not know, and this report says so."""
        unsure = self.bodies.unsure(start, stop) if refused else set()
        doubtful = [row for row, words in refused if row in unsure or IN_PART in words]
        try:
            for first, last in without(((start, stop),), doubtful) or ((start, start),):
                self._answered(first, last, token, tuple(one for one in refused if first <= one[0] < last))
        except StateError:
            self.sent.unknown.append((start, stop))
            raise
        self.sent.took(start, stop)
        self.sent.refused += refused

    def _refused(self, batch: Batch, part: Part, error: Refused4xx) -> tuple[Part, ...]:
        """What remains to be tried: halves, or nothing of a single row."""
        start, stop, lost = part.start, part.stop, part.lost or error.maybe_processed
        self.sent.requests_refused += 1
        if not self.change.target_key.is_profiles and self._gone():
            self.sent.failed.append((start, stop))
            raise Vanished(self.change.target_key.audience, why=error.what) from None
        if not part.half and not batch.replace and self._removes(start, stop) and self.holds(start, stop):
            self._took(start, stop)
            return ()
        if stop - start == 1:
            self._single(start, error, lost=lost)
            return ()
        if error.status == 413:
            self.sent.largest = (start + stop) // 2 - start
        else:
            self.work.step("halving")
        return part.halves(lost=lost)

    @property
    def _pointless(self) -> bool:
        """It seems that something is wrong with all rows, not with some."""
        return self.sent.requests_refused > REFUSALS_AT_MOST and self.sent.told <= len(self.sent.refused)

    def _gone(self) -> bool:
        return self.work.client.view(self.change.target_key.audience, self.change.id_type) is None

    def _removes(self, start: int, stop: int) -> bool:
        return not self.change.target_key.is_profiles and bool(REMOVALS & set(self.bodies.kinds(start, stop)))

    def _single(self, row: int, error: Refused4xx, *, lost: bool) -> None:
        """A row refused alone. Who may be gone already is taken for gone (U33): where their removal may have been sent
        before, or Batch counts fewer than were told. Anybody else stays in the books.

        Of a profile whose nulls may be the reason (U62) the values still go out; what is told stays as it was.
        """
        refused: tuple[tuple[int, str], ...] = ((row, error.why or error.what),)
        if self._removes(row, row + 1) and (lost or self.in_flight or self._unsure(row) or self.holds.fewer()):
            refused = ()
        if self.change.route == "custom_data" and self._unsets(row):
            written = self._asked(row, row + 1, lambda: self._values_alone(row))
            if isinstance(written, Refused4xx):
                self.sent.requests_refused += 1
            else:
                refused = ((row, f"removing values{IN_PART}{error.why or error.what}"),)
        self._took(row, row + 1, refused=refused)

    def _values_alone(self, row: int) -> Written:
        items = self.bodies.take(row, row + 1, item=self.second_item)
        return self.work.client.write_profiles(self.change.route, items, 1)

    def _unsure(self, row: int) -> bool:
        return row in self.bodies.unsure(row, row + 1)

    def _unsets(self, row: int) -> bool:
        """A row with values as well as nulls."""
        return self.bodies.kinds(row, row + 1) == ["add"] and self.bodies.take(row, row + 1) != self.bodies.take(
            row, row + 1, item=self.second_item
        )
