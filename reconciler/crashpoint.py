"""Named points at which a test may kill the process outright, as a power cut would; inert unless armed."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class _Fuse:
    left: int | None = None
    name: str = ""
    log: Path | None = None
    mutex: threading.Lock = field(default_factory=threading.Lock)


_FUSE = _Fuse()


def arm(n: int, log: Path | None = None, *, name: str = "") -> None:
    """Kills the process (SIGKILL) at the `n`-th point passed from now on, of those of this `name` if one is given, in
    whatever thread; 0 never does.

    Every point passed is written to `log`, one name a line, so that a run with 0 tells how many there are.
    """
    with _FUSE.mutex:
        _FUSE.left, _FUSE.log, _FUSE.name = n, log, name


def point(name: str) -> None:
    """Passes a point; costs one comparison unless armed."""
    if _FUSE.left is not None:
        _pass(name)


def _pass(name: str) -> None:
    with _FUSE.mutex:
        left = _FUSE.left or 0
        if _FUSE.log is not None:
            with _FUSE.log.open("a", encoding="utf-8") as log:
                log.write(f"{name}\n")
        if _FUSE.name not in ("", name):
            return
        if left == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        _FUSE.left = max(left - 1, 0)
