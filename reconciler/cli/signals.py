"""SIGINT and SIGTERM: stop after the request in flight, with everything written down."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from reconciler.errors import ExitCode, Interrupted


@contextmanager
def cancelled_by_signals(cancel: threading.Event) -> Iterator[list[int]]:
    """Sets `cancel` on the first signal and says so; the list holds the signals seen. A second one ends at once."""
    seen: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 1:
            raise Interrupted(code_of(seen))
        cancel.set()
        click.echo("stopping after the request in flight; press again to stop at once", err=True)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def code_of(seen: list[int]) -> ExitCode:
    """130 or 143."""
    return ExitCode.SIGTERM if seen and seen[0] == signal.SIGTERM else ExitCode.SIGINT
