"""What applying a plan needs: held resources, passed in by the command. Nothing here reads the environment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.apply.books import Books
from reconciler.batch.client import Client
from reconciler.data.engines import Engines
from reconciler.errors import BatchctlError
from reconciler.plan import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step, for whoever watches: rows sent of one target."""

    address: str
    destination: str
    step: str
    """``waiting creating sending deleting``, ``halving`` while rows that Batch refuses are found, ``indexing`` between
    them and after all; then ``done failed refused stopped``, the last by a signal; then perhaps ``indexed``."""
    done: int = 0
    total: int = 0
    refused: int = 0
    """Rows that Batch refused one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Held resources of one apply."""

    books: Books
    staging: Path
    """Folder of the plan's delta files."""
    client_of: Callable[[Change], Client]
    digest: str
    """The plan's identity: the same saved plan applied again continues its own intents."""
    progress: Callable[[Progress], None]
    engines: Engines
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    """Waits, and ends early when `cancel` is set."""
    cancel: threading.Event
    deadline: float = 900.0
    """Seconds a barrier, a creation or `--wait` may take."""
    request_timeout: float = 30.0
    """Seconds after which a request of a killed process cannot be processed any more."""
    wait: bool = False
    late: Callable[[BatchctlError], None] = lambda _: None
    """Told of what failed when everything had been sent: the outcomes are owed all the same."""
    noticed: Callable[[Exception], None] = lambda _: None
    """Told of an exception that nobody foresaw: it stops its target only, and is that target's failure."""
