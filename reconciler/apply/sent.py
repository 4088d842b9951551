"""What became of the requests and rows of one target while it is carried out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from reconciler.batch.request import Attempt
from reconciler.batch.transport import Cancelled
from reconciler.errors import BatchctlError, Locked
from reconciler.state.standing import Acked, merged, size

End = Literal["done", "failed", "unknown"]


def batch(number: int) -> str:
    """Name of a planned request that carries rows."""
    return f"batch {number}"


def single(number: int) -> str:
    """Name of a planned request that carries none: deletions and creations, in order."""
    return f"single {number}"


@dataclass(slots=True)
class Sent:
    """What became of the rows of one target, ranges of its delta file; and of the requests that carry none."""

    accepted: list[tuple[int, int]] = field(default_factory=list)
    """Few ranges, see `took`."""
    refused: list[tuple[int, str]] = field(default_factory=list)
    unknown: list[tuple[int, int]] = field(default_factory=list)
    failed: list[tuple[int, int]] = field(default_factory=list)
    alone: list[End] = field(default_factory=list)
    """How deletions and creations ended, in order; those not tried are missing."""
    tokens: list[str] = field(default_factory=list)
    last_at: datetime | None = None
    requests: int = 0
    """Writes that went out, repetitions and halves included."""
    begun: set[str] = field(default_factory=set)
    """Planned requests (`batch` and `single`) of which at least one write went out."""
    doing: str = ""
    """The planned request under way."""
    requests_refused: int = 0
    largest: int = 0
    """Rows of the largest request after a 413; 0 = no such limit met."""

    @property
    def told(self) -> int:
        """Rows accepted, those excepted that Batch refused one by one."""
        return size(merged(self.accepted)) - len(self.refused)

    @property
    def uncertain(self) -> bool:
        """Something was sent whose fate nobody knows."""
        return bool(self.unknown) or "unknown" in self.alone

    def goes_on(self, acked: Acked) -> None:
        """From what an earlier run of the same saved plan had acknowledged."""
        self.accepted += acked.accepted
        self.refused += acked.refused
        self.tokens += acked.tokens
        self.last_at = acked.at

    def took(self, start: int, stop: int) -> None:
        """Batch has accepted rows. What follows on another range prolongs it: all are looked at after every request."""
        if self.accepted and self.accepted[-1][1] == start:
            start, _ = self.accepted.pop()
        self.accepted.append((start, stop))

    def saw(self, attempt: Attempt) -> None:
        """Counts a write."""
        if attempt.write:
            self.requests += 1
            self.begun.add(self.doing)

    @contextmanager
    def by_itself(self) -> Iterator[None]:
        """A creation or deletion, sent within: how it ended, whatever stops the change afterwards."""
        self.doing = single(len(self.alone))
        try:
            yield
        except BatchctlError as error:
            if error.maybe_processed:
                self.alone.append("unknown")
            elif not isinstance(error, Cancelled | Locked):  # those were not sent
                self.alone.append("failed")
            raise
        except Exception:
            self.alone.append("unknown")  # it may have been sent
            raise
        self.alone.append("done")
