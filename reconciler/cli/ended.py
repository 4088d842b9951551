"""SIGINT and SIGTERM while no command looks after them: nothing was sent, and the exit code is the documented one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_first: list[int] = []


class Ended(KeyboardInterrupt):
    """A signal came. Of a KeyboardInterrupt itself, raised within `exec`, the interpreter makes another exit code."""


def at_once() -> None:
    """From now on signals end the process: nothing is begun yet that would have to be put away."""
    _handled_by(lambda number, _: os._exit(128 + number))


def in_order() -> None:
    """From now on signals raise Ended, so that what was begun is put away."""
    _handled_by(_raised)


def not_any_more() -> None:
    """From now on signals change nothing: all is done and said, and the exit code is known."""
    _handled_by(lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # the interpreter takes its handlers away before it ends


def code() -> int:
    """The exit code after it: 143 where the first signal was SIGTERM, else 130."""
    return 128 + (_first[0] if _first else signal.SIGINT)


def _raised(number: int, _: FrameType | None) -> None:
    _first.append(number)
    raise Ended


def _handled_by(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # by whoever started it: nohup
            signal.signal(number, handler)
