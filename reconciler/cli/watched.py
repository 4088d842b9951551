"""What is known of one target while it is worked on, and how fast that goes; read and drawn by the displays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.apply import Progress

QUIET, FIRST, LONGEST = 1.0, 5.0, 60.0
"""Plain lines: seconds before a step speaks, until it speaks again, and at most; each pause is twice the last."""
FINAL = ("done", "failed", "refused", "stopped", "indexed")
WORDS = {"waiting": "waiting for Batch", "indexing": "waiting for Batch to index it", "committing": "writing the state"}
"""Steps as a reader understands them; the others are clear."""


@dataclass(slots=True)
class Line:
    """One target, or (label "") the stage of planning. Moments are seconds of a clock that only counts."""

    label: str
    begun: float
    """When this step was begun."""
    started: float
    """When the target was."""
    step: str = ""
    done: int = 0
    total: int = 0
    refused: int = 0
    """Rows that Batch refused one by one."""
    due: float = 0.0
    """When it speaks next where there is no terminal, ..."""
    pause: float = 0.0
    """... and how long it is silent afterwards."""
    paused: bool = False
    """No rate says anything: requests are refused and halved."""
    base: tuple[int, float] | None = None
    """Rows done, and when, as rows went out undisturbed again: the rate counts from there; None: from the start."""

    @property
    def final(self) -> bool:
        """Nothing more is to come."""
        return self.step in FINAL

    @property
    def halving(self) -> bool:
        """Requests are halved until the rows are found that Batch refuses."""
        return self.step == "halving"

    def took(self, step: Progress, now: float) -> int:
        """What the apply says of this target; how many rows more are done. Halving includes waiting between."""
        if self.step != step.step and not (self.halving and step.step == "indexing"):
            self.step, self.begun, self.due, self.pause = step.step, now, now + QUIET, FIRST
            if step.step == "sending" and not (self.done or step.done):
                self.started = now
        more = max(step.done - self.done, 0)
        self.done += more
        self.total = step.total or self.total
        self.refused = max(step.refused, self.refused)
        self.measure(now, paused=self.halving)
        return more

    def measure(self, now: float, *, paused: bool) -> None:
        """Whether rates say anything now; what was done before they did not is left out of them."""
        if self.paused and not paused:
            self.base = (self.done, now)
        self.paused = paused

    @property
    def text(self) -> str:
        """``shop-ios  audience vips  sending``; of a stage what is done."""
        word = WORDS.get(self.step, self.step)
        if self.halving:
            word = f"finding the rows that Batch refuses, {self.refused:,} so far"
        return f"{self.label}  {word}" if self.label else word

    def rate(self, now: float) -> float:
        """Rows per second since the first request was prepared, or since halving ended."""
        rows, since = self.base or (0, self.started)
        sending = self.step == "sending" and not self.paused and self.done > rows and now > since
        return (self.done - rows) / (now - since) if sending else 0.0

    def left(self, now: float) -> float:
        """Seconds left at this rate; 0 when nobody can tell."""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate and self.total > self.done else 0.0

    def numbers(self, now: float, *, of: str = " of ") -> str:
        """``20,000 of 61,000  10,000 rows/s, 4 s left``, as far as it is known."""
        text = f"{self.done:,}{of}{self.total:,}" if self.total and not (self.final and self.done == self.total) else ""
        rate, left = self.rate(now), self.left(now)
        if rate:
            text += f"  {rate:,.0f} rows/s" + (f", {lasting(left)} left" if left >= 1 else "")
        return text


def lasting(seconds: float) -> str:
    """``8 s``, ``3 min 20 s``, ``1 h 05 min``."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
