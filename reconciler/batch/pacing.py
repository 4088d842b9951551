"""Token buckets shared by all destinations of a run, so that Batch's rate limits are kept before it has to say so.

Requests: 1 per second and company (see `limits`). Profile writes: custom IDs per second and project, 300 after a burst
of 1,000 for updates (https://doc.batch.com/developer/api/cep/profiles/update), 10,000 for mass-updates
(https://doc.batch.com/developer/api/cep/profiles/mass-update-profile); they take nothing from the request bucket.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Literal

from reconciler.batch import limits
from reconciler.batch.clock import Clock

ProfileRoute = Literal["profiles_update", "profiles_mass_update"]

MARGIN = 0.99
"""Share of a rate that is used: a network that carries two requests a little closer together must not cost a 429.

A run should take at most 2 % longer than its requests at the full rate; half of that is for all that comes before.
"""
SLOWEST, RECOVERY = 1 / 16, 0.1


class Bucket:
    """`rate` units a second, `capacity` of them at once; waits are handed out first come, first served. Thread-safe."""

    def __init__(self, rate: float, *, capacity: float, clock: Clock) -> None:
        self._rate, self._capacity, self._clock = rate, capacity, clock
        self._level, self._at, self._pace = capacity, clock.monotonic(), 1.0
        self._lock = threading.Lock()

    @property
    def rate(self) -> float:
        """Units a second at present: less than asked for after a 429."""
        with self._lock:
            return self._rate * MARGIN * self._pace

    def limit(self, rate: float) -> None:
        """Another destination shares the bucket: the lowest rate asked for counts."""
        with self._lock:
            self._refill()
            self._rate = min(self._rate, rate)

    def reserve(self, units: float = 1.0) -> float:
        """Take `units`, now or in the future; seconds to wait before using them. Later calls wait behind earlier."""
        with self._lock:
            self._refill()
            self._level -= units
            return max(0.0, -self._level / (self._rate * MARGIN * self._pace))

    def take(self, units: float, cancel: threading.Event) -> bool:
        """Reserve and wait; False when the wait was cancelled."""
        return not self._clock.wait(self.reserve(units), cancel)

    def slow_down(self) -> None:
        """After a 429: half the pace, and nothing left of a burst."""
        with self._lock:
            self._refill()
            self._level = min(self._level, 0.0)
            self._pace = max(SLOWEST, self._pace / 2)

    def recover(self) -> None:
        """After an accepted request: a tenth of the full pace back."""
        with self._lock:
            self._refill()
            self._pace = min(1.0, self._pace + RECOVERY)

    def _refill(self) -> None:
        now = self._clock.monotonic()
        returned = max(0.0, now - self._at) * self._rate * MARGIN * self._pace
        self._level, self._at = min(self._capacity, self._level + returned), now


class Pacers:
    """The buckets of one run, by host and REST key (of which only a digest is kept)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self._lock = threading.Lock()

    def requests(self, host: str, rest_key: str, *, rate: float = limits.REQUESTS_PER_SECOND) -> Bucket:
        """The bucket of every request of a company but profile writes."""
        owner = hashlib.sha256(rest_key.encode()).hexdigest()
        return self._bucket((host, owner, "requests"), rate, capacity=1.0)

    def profiles(self, host: str, account: str, route: ProfileRoute, *, rate: float | None = None) -> Bucket:
        """The bucket of one project's profile writes; its unit is the custom ID."""
        if route == "profiles_update":
            wanted = rate or limits.PROFILE_UPDATES_PER_SECOND
            return self._bucket((host, account, route), wanted, capacity=limits.PROFILE_UPDATES_BURST)
        return self._bucket((host, account, route), limits.MASS_UPDATES_PER_SECOND, capacity=limits.MASS_UPDATES_BURST)

    def _bucket(self, key: tuple[str, str, str], rate: float, *, capacity: float) -> Bucket:
        with self._lock:
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = Bucket(rate, capacity=capacity, clock=self._clock)
        bucket.limit(rate)
        return bucket
