"""Progress on standard error: a live display on a terminal, plain lines elsewhere, JSON lines when asked.

Whatever lasts longer than a second is shown. In plain lines a step speaks after one second, then ever more rarely, and
each target once when it is done. All of it is safe from any thread.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from reconciler.cli.watched import FIRST, LONGEST, QUIET, Line, lasting
from reconciler.render.words import counted, plain

if TYPE_CHECKING:
    from reconciler.apply import Progress
    from reconciler.batch.transport import Attempt
    from reconciler.cli.live import Live
    from reconciler.plan import Change

BROKEN = {
    "connect": "found no connection",
    "timeout": "was not answered in time",
    "broken": "was cut off",
    "page": "was answered with a web page",
}
"""Requests without an answer."""
STAGE, ALL = "", "*"
"""Lines that are no target's."""


class Reporter:
    """Says what a command is doing; safe to call from any thread. As a context manager it always cleans up."""

    def __init__(self, *, json_lines: bool = False) -> None:
        self.json_lines = json_lines
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not json_lines
        self._mutex = threading.RLock()
        self._lines: dict[str, Line] = {}
        self._labels: dict[str, str] = {}
        self._over = 0
        self._live: Live | None = None
        self._stop: threading.Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def expect(self, changes: Iterable[Change]) -> None:
        """What will be applied: targets get the names they have on the plan's screen, and are counted."""
        from reconciler.plan import Op
        from reconciler.render.lines import label_of

        moving = [one for one in changes if one.op is not Op.NONE and (one.refused is None or one.consent_only)]
        with self._mutex:
            self._labels = {change.address: f"{plain(change.destination)}  {label_of(change)}" for change in moving}
            rows = sum(change.rows.planned - change.rows.refused for change in moving)
            if len(moving) > 1 and rows and not self.json_lines:
                now = time.monotonic()
                self._lines[ALL] = Line(
                    label=f"all {len(moving):,} targets", begun=now, started=now, step="sending", total=rows
                )
                self._lines[ALL].due, self._lines[ALL].pause = now + FIRST, FIRST

    def stage(self, text: str) -> None:
        """One step of planning."""
        with self._mutex:
            if self.json_lines:
                self._write({"event": "stage", "text": text})
                return
            now = time.monotonic()
            self._lines[STAGE] = Line(label="", begun=now, started=now, step=plain(text), due=now + QUIET, pause=FIRST)
            self._show()

    def progress(self, step: Progress) -> None:
        """One step of applying."""
        with self._mutex:
            now = time.monotonic()
            self._lines.pop(STAGE, None)
            line = self._line(step, now)
            if line.final:
                self._lines.pop(step.address, None)
            if self.json_lines:
                self._event(step.address, line, now)
            elif self._terminal:
                self._show()
            elif line.final:
                self._finished(line, now)
            else:
                self._beat()

    def attempt(self, attempt: Attempt) -> None:
        """A request that will be tried again: silence would look like a hang."""
        if attempt.retry_wait is None:
            return
        why = f"answered {attempt.status}" if attempt.status else BROKEN.get(attempt.error, attempt.error)
        soon = max(round(attempt.retry_wait), 1)
        text = f"{attempt.destination}  {attempt.method} {attempt.route} {why}; trying again in {soon} s"
        with self._mutex:
            if self.json_lines:
                wait = round(attempt.retry_wait, 1)
                self._write({"event": "retry", "destination": attempt.destination, "why": why, "wait": wait})
            else:
                self._print(plain(text))

    def note(self, event: str, text: str) -> None:
        """Something that stays, above what is drawn."""
        with self._mutex:
            if self.json_lines:
                self._write({"event": event, "text": text})
            else:
                self._print(text)

    def close(self) -> None:
        """Clears the live display; the next event opens it again."""
        with self._mutex:
            live, self._live = self._live, None
            stop, self._stop = self._stop, None
            self._lines.clear()
        if live is not None:
            live.stop()
        if stop is not None:
            stop.set()

    def _line(self, step: Progress, now: float) -> Line:
        line = self._lines.get(step.address)
        if line is None:
            label = self._labels.get(step.address) or f"{plain(step.destination)}  {plain(step.address)}"
            line = self._lines[step.address] = Line(label=label, begun=now, started=now)
        self._count(line.took(step, now), now)
        return line

    def _count(self, more: int, now: float) -> None:
        everything = self._lines.get(ALL)
        if everything is not None:
            everything.done += more
            everything.measure(now, paused=any(line.halving for line in self._lines.values()))
            if everything.done >= everything.total:
                del self._lines[ALL]

    def _finished(self, line: Line, now: float) -> None:
        """``[3/6]  shop-ios  audience vips  done  22,270 rows in 4 s``; that one is indexed, the report says."""
        if line.step == "indexed":
            return
        self._over += 1
        place = f"[{self._over}/{len(self._labels)}]  " if self._labels else ""
        numbers = line.numbers(now) or (counted(line.total, "row") if line.total else "")
        took = f" in {lasting(now - line.started)}" if numbers and now - line.started >= 1 else ""
        self._print(f"{place}{line.text}" + (f"  {numbers}{took}" if numbers else ""))

    def _event(self, address: str, line: Line, now: float) -> None:
        often = line.begun < now if line.halving else line.step == "sending" and line.done < line.total
        if often and now < line.due:
            return
        line.due = now + FIRST
        fields = {"address": address, "step": line.step, "done": line.done, "total": line.total}
        if line.refused:
            fields["refused"] = line.refused
        self._write({"event": "progress", **fields, "rows_per_second": round(line.rate(now))})

    def _show(self) -> None:
        """On a terminal the display draws itself again and again; elsewhere the beat says what lasts."""
        if not self._terminal:
            self._beat()
            return
        if self._live is None:
            from reconciler.cli.live import Live  # late: rich is slow to import, and only needed on a terminal

            self._live = Live()
        self._live.show({name: self._lines[name] for name in sorted(self._lines, key=ALL.__eq__)})

    def _beat(self) -> None:
        if self._stop is None:
            self._stop = threading.Event()
            with suppress(RuntimeError):  # the system starts no more threads: then less is said
                threading.Thread(target=self._beats, args=(self._stop,), name="progress", daemon=True).start()

    def _beats(self, stop: threading.Event) -> None:
        while not stop.wait(0.25):
            with self._mutex:
                if stop.is_set():
                    return
                now = time.monotonic()
                for line in self._lines.values():
                    if now >= line.due:
                        line.due, line.pause = now + line.pause, min(2 * line.pause, LONGEST)
                        self._print(_lasting(line, now))

    def _print(self, text: str) -> None:
        if self._live is not None:
            self._live.print(text)
        else:
            _whole_line(text)

    def _write(self, event: dict[str, object]) -> None:
        _whole_line(json.dumps(event))


def _lasting(line: Line, now: float) -> str:
    numbers = line.numbers(now) if line.done else ""
    return line.text + (f"  {numbers}" if numbers else f"  ({lasting(now - line.begun)})")


def _whole_line(text: str) -> None:
    """Written at once: what a signal says in between stands on a line of its own."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
