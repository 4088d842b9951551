"""Progress on standard error: a live display on a terminal, plain lines elsewhere, JSON lines when asked.

Whatever lasts longer than a second is shown; in plain lines each target speaks at most every five seconds, and once
when it is done. All of it is safe from any thread.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from reconciler.render.words import plain

if TYPE_CHECKING:
    from reconciler.apply import Progress
    from reconciler.batch.transport import Attempt
    from reconciler.cli.live import Live

EVERY = 5.0
"""Seconds between two plain lines of one target."""
FINAL = ("done", "failed", "refused")


@dataclass(slots=True)
class Line:
    """What is known of one target, or (address "") of the stage of planning."""

    address: str
    text: str
    begun: float
    """When this step was begun, in seconds of a clock that only counts."""
    sending: float = 0.0
    said: float = 0.0
    done: int = 0
    total: int = 0
    step: str = ""

    @property
    def final(self) -> bool:
        """Nothing more is to come."""
        return self.step in FINAL

    def rate(self, now: float) -> float:
        """Rows per second since the first row was sent."""
        return self.done / (now - self.sending) if self.step == "sending" and now > self.sending else 0.0

    def left(self, now: float) -> float:
        """Seconds left at this rate; 0 when nobody can tell."""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate and self.total > self.done else 0.0


class Reporter:
    """Says what a command is doing; safe to call from any thread. As a context manager it always cleans up."""

    def __init__(self, *, json_lines: bool = False, quiet_before: float = 1.0) -> None:
        """Nothing is said before `quiet_before` seconds on a step that is over by then."""
        self._json = json_lines
        self._quiet = quiet_before
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not json_lines
        self._mutex = threading.RLock()
        self._lines: dict[str, Line] = {}
        self._live: Live | None = None
        self._stop: threading.Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def stage(self, text: str) -> None:
        """One step of planning."""
        with self._mutex:
            if self._json:
                self._write({"event": "stage", "text": text})
                return
            now = time.monotonic()
            self._lines[""] = Line(address="", text=plain(text), begun=now, said=now - EVERY + self._quiet)
            self._show("")

    def progress(self, step: Progress) -> None:
        """One step of applying."""
        with self._mutex:
            now = time.monotonic()
            self._lines.pop("", None)
            line = self._line(step, now)
            due = line.final or step.step != "sending" or now - line.said >= EVERY
            if self._terminal:
                self._show(step.address)
            elif due:
                self._say(line, step, now)
            if not self._json and not self._terminal:
                self._beat()

    def attempt(self, attempt: Attempt) -> None:
        """A request that will be tried again: silence would look like a hang."""
        if attempt.retry_wait is None:
            return
        why = f"answered {attempt.status}" if attempt.status else attempt.error or "was not answered"
        text = f"{attempt.destination}  {attempt.method} {attempt.route} {why}; again in {attempt.retry_wait:.0f} s"
        with self._mutex:
            if self._json:
                wait = round(attempt.retry_wait, 1)
                self._write({"event": "retry", "destination": attempt.destination, "why": why, "wait": wait})
            else:
                self._print(plain(text))

    def close(self) -> None:
        """Clears the live display; the next event opens it again."""
        with self._mutex:
            live, self._live = self._live, None
            stop, self._stop = self._stop, None
            self._lines.pop("", None)
        if live is not None:
            live.stop()
        if stop is not None:
            stop.set()

    def _line(self, step: Progress, now: float) -> Line:
        line = self._lines.get(step.address)
        if line is None:
            line = self._lines[step.address] = Line(address=step.address, text="", begun=now, sending=now)
        line.text = f"{plain(step.destination)}  {plain(step.address)}  {step.step}"
        if line.step != step.step:
            line.step, line.begun = step.step, now
        line.total = step.total or line.total
        line.done = max(line.done, step.done)
        return line

    def _say(self, line: Line, step: Progress, now: float) -> None:
        line.said = now
        if not self._json:
            self._print(_plain_line(line, now))
            return
        fields = {"address": step.address, "step": step.step, "done": line.done, "total": line.total}
        self._write({"event": "progress", **fields, "rows_per_second": round(line.rate(now))})

    def _show(self, address: str) -> None:
        """On a terminal the display draws itself again and again; elsewhere the beat says what lasts."""
        if not self._terminal:
            self._beat()
            return
        if self._live is None:
            from reconciler.cli.live import Live  # late: rich is slow to import, and only needed on a terminal

            self._live = Live()
        self._live.show(self._lines)

    def _beat(self) -> None:
        if self._stop is None:
            self._stop = threading.Event()
            threading.Thread(target=self._beats, args=(self._stop,), name="progress", daemon=True).start()

    def _beats(self, stop: threading.Event) -> None:
        while not stop.wait(0.25):
            with self._mutex:
                if stop.is_set():
                    return
                now = time.monotonic()
                for line in self._lines.values():
                    if not line.final and now - line.said >= EVERY:
                        line.said = now
                        self._print(_plain_line(line, now))

    def _print(self, text: str) -> None:
        if self._live is not None:
            self._live.print(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def _write(self, event: dict[str, object]) -> None:
        print(json.dumps(event), file=sys.stderr, flush=True)


def _plain_line(line: Line, now: float) -> str:
    text = line.text
    if line.total:
        text += f"  {line.done:,} of {line.total:,}"
    if line.final:
        return text
    rate, left = line.rate(now), line.left(now)
    if rate:
        text += f"  {rate:,.0f} rows/s" + (f", {left:,.0f} s left" if left >= 1 else "")
    elif now - line.begun >= 1:
        text += f"  ({now - line.begun:,.0f} s)"
    return text


Say = Callable[[str], None]
