"""SIGINT and SIGTERM: at once while nothing is sent; later past the request in flight, with everything written down."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from reconciler.errors import ExitCode, Interrupted

if TYPE_CHECKING:
    from reconciler.cli.progress import Reporter

NOTHING_SENT = "nothing was sent"
SHOWN = "\x1b[?25h\r\n"
"""The cursor, on a line of its own."""


@dataclass(slots=True)
class Signals:
    """What a command was told by signals."""

    first: int | None = None
    sending: bool = False
    """Set by the command before its first write: from now on it ends by itself once `cancel` is set."""
    noting: bool = False
    """Set while the lock is taken or let go of, which no signal may cut off: it is noted, for `heed`."""
    left: str = NOTHING_SENT
    """How a command that was interrupted leaves things."""

    @property
    def code(self) -> ExitCode | None:
        """130 or 143; None when no signal came."""
        if self.first is None:
            return None
        return ExitCode.SIGTERM if self.first == signal.SIGTERM else ExitCode.SIGINT

    def heed(self) -> None:
        """Interrupted if a signal came before the command sends anything."""
        if self.code is not None and not self.sending:
            raise Interrupted(self.code, left=self.left)


@contextmanager
def cancelled_by_signals(
    cancel: threading.Event, *, reporter: Reporter | None = None, again: str = "", left: str = NOTHING_SENT
) -> Iterator[Signals]:
    """Sets `cancel` on the first signal; Interrupted, which says what is `left`, unless something is being sent.

    A second one ends the process then, as kill would: whatever is written down by then is enough to go on, with
    `again`. Both are said by the `reporter`, which whoever sends has.
    """
    signals = Signals(left=left)

    def stop(number: int, _frame: FrameType | None) -> None:
        second, signals.first = signals.first is not None, signals.first or number
        code = signals.code or ExitCode.SIGINT
        cancel.set()
        if not signals.noting:
            signals.heed()
        if not signals.sending:
            return
        if second:
            text = f"stopped at once: the request in flight may have reached Batch; {again} goes on from here"
            _last(json.dumps({"event": "stopped", "text": text}) if reporter and reporter.json_lines else text)
            os._exit(int(code))
        if reporter is not None:
            more = "press again" if number == signal.SIGINT else "send the signal again"
            reporter.note("stopping", f"stopping after the request in flight; {more} to stop at once")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    except KeyboardInterrupt:  # what a query that was interrupted ends with, whatever the handler raised
        if signals.code is None:
            raise
        raise Interrupted(signals.code, left=left) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _last(text: str) -> None:
    """A line of a process that ends now: nothing is waited for, and a terminal whose cursor was hidden gets it back."""
    with suppress(OSError):
        os.write(2, f"{SHOWN if os.isatty(2) else ''}{text}\n".encode())
