"""Which route carries a target's rows, how many fit in one request, and how fast they may go.

Limits: 10,000 IDs per audience call (https://doc.batch.com/developer/api/cep/audiences/update) and users per
Custom Data call, 200 operations per profile update and 10,000 per mass-update; 300 custom IDs per second after a
burst of 1,000, against 10,000 without burst (https://doc.batch.com/developer/api/cep/profiles/update).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.address import Space
from reconciler.data.staged import Staged
from reconciler.plan.course import Course
from reconciler.plan.slices import minimum

Route = Literal["audience", "custom_data", "profiles_update", "profiles_mass_update"]
HOST = "https://api.batch.com"
BULK = 10_000
UPDATE_LIMIT, UPDATE_BURST = 200, 1_000
REQUEST_RATE, UPDATE_RATE, MASS_RATE = 1.0, 300.0, 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Route, rows per request, and the budgets they draw on."""

    route: Route
    pool: str
    rate: float
    limit: int = BULK
    write_rate: float = 0.0
    burst: int = 0

    def seconds(self, rows: int) -> float:
        """Least seconds for `rows`, and how many requests that is at this limit."""
        writing = max(0, rows - self.burst) / self.write_rate if self.write_rate else 0.0
        return max(minimum(rows, self.limit) / self.rate, writing)


Budgets = Mapping[str, tuple[float, float]]
"""By pool: requests per second, custom IDs per second of an update."""


def budgets_of(courses: Iterable[Course]) -> Budgets:
    """What the destinations of a plan declare: orphans of the same pool are sent at the same rates."""
    found = [_budget(course, {}) for course in courses if course.target is not None]
    return {pool: (rate, updates) for pool, rate, updates in found}


def pace_of(course: Course, staged: Staged, *, budgets: Budgets | None = None) -> Pace:
    """The route by least seconds, then fewest requests, then the gentler one."""
    pool, rate, updates = _budget(course, budgets or {})
    if not course.key.is_profiles:
        return Pace(route="audience", pool=pool, rate=rate)
    if course.key.space is not Space.CEP:
        return Pace(route="custom_data", pool=pool, rate=rate)
    update = Pace(
        route="profiles_update",
        pool=pool,
        rate=rate,
        limit=UPDATE_LIMIT,
        write_rate=updates,
        burst=UPDATE_BURST,
    )
    mass = Pace(route="profiles_mass_update", pool=pool, rate=rate, write_rate=max(MASS_RATE, updates))
    return min(
        (update, mass), key=lambda pace: (pace.seconds(staged.rows), minimum(staged.rows, pace.limit), -pace.burst)
    )


def _budget(course: Course, budgets: Budgets) -> tuple[str, float, float]:
    """(pool, requests per second, custom IDs per second of an update); an orphan without documents has the defaults."""
    if course.target is None:
        known = course.known
        pool = f"{known.api_url or HOST} {known.keys.get('rest', '')}" if known else HOST
        return pool, *budgets.get(pool, (REQUEST_RATE, UPDATE_RATE))
    destination = course.target.destination
    limits = destination.rate_limits
    pool = f"{destination.api_url or HOST} {destination.rest_api_key}"
    return pool, limits.requests_per_second, limits.profile_updates_per_second
