"""What is known of one target while it is worked on, and how fast that goes; read and drawn by the displays."""

from __future__ import annotations

from dataclasses import dataclass

FINAL = ("done", "failed", "refused", "stopped", "indexed")
WORDS = {"waiting": "waiting for Batch", "indexing": "waiting for Batch to index it"}
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
    due: float = 0.0
    """When it speaks next where there is no terminal, ..."""
    pause: float = 0.0
    """... and how long it is silent afterwards."""

    @property
    def final(self) -> bool:
        """Nothing more is to come."""
        return self.step in FINAL

    @property
    def text(self) -> str:
        """``shop-ios  audience vips  sending``; of a stage what is done."""
        word = WORDS.get(self.step, self.step)
        return f"{self.label}  {word}" if self.label else word

    def rate(self, now: float) -> float:
        """Rows per second since the first request was prepared."""
        sending = self.step == "sending" and self.done and now > self.started
        return self.done / (now - self.started) if sending else 0.0

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
