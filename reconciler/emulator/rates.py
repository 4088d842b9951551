"""Token buckets of the public rate limits: https://doc.batch.com/developer/api/cep/profiles/update and its siblings."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """`rate` units return each second up to `capacity`; `level` is what was left at `at`.

    `slack` units may be owed, so that the jitter of a network is not taken for a client in a hurry.
    """

    rate: float
    capacity: float
    level: float
    at: float
    slack: float = 0.0

    def take(self, cost: float, now: float) -> bool:
        """Take `cost` units, or nothing and False when there is not enough."""
        self.level = min(self.capacity, self.level + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.level + self.slack < cost:
            return False
        self.level -= cost
        return True


JITTER = 0.05  # seconds
LIMITS = {  # units per second, capacity
    "requests": (1.0, 1.0),
    "profiles": (300.0, 1000.0),
    "mass_profiles": (10_000.0, 10_000.0),
    "segment_exports": (5 / 3600, 10.0),
}


class Rates:
    """Buckets by name and owner. `scale` multiplies every rate; 0 turns limits off."""

    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.buckets: dict[tuple[str, str], Bucket] = {}

    def take(self, name: str, owner: str, cost: float, now: float) -> bool:
        """True when the pace of `owner` allows `cost` more units of the limit `name`."""
        if self.scale == 0:
            return True
        rate, capacity = LIMITS[name]
        bucket = self.buckets.get((name, owner))
        if bucket is None:
            bucket = self.buckets[name, owner] = Bucket(
                rate * self.scale, capacity, capacity, now, slack=min(0.5, JITTER * rate * self.scale)
            )
        return bucket.take(cost, now)
