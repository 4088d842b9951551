"""Progress on standard error: a live display on a terminal, plain lines elsewhere, JSON lines when asked."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from reconciler.render.words import plain

if TYPE_CHECKING:
    from reconciler.apply import Progress
    from reconciler.batch.transport import Attempt

EVERY = 5.0
"""Seconds between two plain lines of one target."""


class Reporter:
    """Says what a command is doing; safe to call from any thread."""

    def __init__(self, *, json_lines: bool = False, quiet_before: float = 1.0) -> None:
        """Nothing is said before `quiet_before` seconds on a step that is over by then."""
        self._json = json_lines
        self._mutex = threading.Lock()
        self._started = time.monotonic()
        self._begun: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._live = sys.stderr.isatty() and not json_lines
        self._width = 0
        self._quiet = quiet_before

    def stage(self, text: str) -> None:
        """One step of planning."""
        self._say("stage", text, {"text": text})

    def progress(self, step: Progress) -> None:
        """One step of applying."""
        now = time.monotonic()
        begun = self._begun.setdefault(step.address, now)
        final = step.step in ("done", "failed", "refused")
        if not final and not self._live and now - self._said.get(step.address, 0.0) < EVERY and step.step == "sending":
            return
        self._said[step.address] = now
        rate = step.done / (now - begun) if now > begun and step.done else 0.0
        left = (step.total - step.done) / rate if rate and step.total > step.done else 0.0
        text = f"{step.destination}  {step.address}  {step.step}"
        if step.total:
            text += f"  {step.done:,} of {step.total:,}"
        if rate and not final:
            text += f"  {rate:,.0f} rows/s" + (f", {left:,.0f} s left" if left >= 1 else "")
        fields = {
            "address": step.address,
            "step": step.step,
            "done": step.done,
            "total": step.total,
            "rows_per_second": round(rate),
        }
        self._say("progress", text, fields)

    def attempt(self, attempt: Attempt) -> None:
        """A request that will be tried again: silence would look like a hang."""
        if attempt.retry_wait is None:
            return
        why = str(attempt.status) if attempt.status else attempt.error
        again = f"again in {attempt.retry_wait:.0f} s"
        text = f"{attempt.destination}  {attempt.method} {attempt.route} answered {why}; {again}"
        self._say("retry", text, {"destination": attempt.destination, "why": why, "wait": round(attempt.retry_wait, 1)})

    def close(self) -> None:
        """Clears the live line."""
        with self._mutex:
            self._clear()

    def _say(self, kind: str, text: str, fields: dict[str, object]) -> None:
        with self._mutex:
            if self._json:
                print(json.dumps({"event": kind, **fields}), file=sys.stderr, flush=True)
            elif self._live:
                self._clear()
                shown = plain(text)[:110]
                self._width = len(shown)
                print(shown, end="\r", file=sys.stderr, flush=True)
            elif kind != "stage" or time.monotonic() - self._started > self._quiet:
                print(plain(text), file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._live and self._width:
            print(" " * self._width, end="\r", file=sys.stderr, flush=True)
            self._width = 0


Say = Callable[[str], None]
