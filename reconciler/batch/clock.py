"""Time as this room sees it: reading two clocks and waiting in a way that a cancelled run ends at once."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What waits are measured with; tests bring one that does not really wait."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, to read a ``Retry-After`` that is a date."""
        ...

    def wait(self, seconds: float, cancel: threading.Event) -> bool:
        """Wait; True as soon as `cancel` is set."""
        ...


class SystemClock:
    """The clock of the machine."""

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wall(self) -> float:
        """See `Clock`."""
        return time.time()

    def wait(self, seconds: float, cancel: threading.Event) -> bool:
        """See `Clock`."""
        return cancel.wait(seconds) if seconds > 0 else cancel.is_set()
