"""Who holds a lock, for whoever has to wait. Names a process, never a person."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A run that holds the lock."""

    text: str
    """What it does, e.g. ``apply``."""
    started: datetime
    run: str = ""
    """Address of the CI run, when there is one."""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)

    def __str__(self) -> str:
        if not self.text:
            return "an unknown holder"
        run = f", {self.run}" if self.run else ""
        return f"{self.text} (process {self.pid} on {self.host}, since {self.started:%Y-%m-%d %H:%M:%S} UTC{run})"


UNKNOWN = Holder(text="", started=datetime.fromtimestamp(0, UTC), pid=0, host="")
"""Holds the lock and has not said who it is, or not so that it can be read."""


def holder_fields(holder: Holder) -> dict[str, Any]:
    """The holder as JSON values."""
    return asdict(holder)


def decode_holder(fields: dict[str, Any]) -> Holder:
    """Inverse of `holder_fields`, its words fit for a terminal. Raises KeyError, ValueError or TypeError."""
    words = {name: _plain(str(fields[name])) for name in ("text", "run", "host")}
    return Holder(**words, pid=int(fields["pid"]), started=datetime.fromisoformat(fields["started"]))


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:300]
