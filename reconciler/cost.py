"""What a plan costs: requests per endpoint and their minimum, bytes, and the least time at the rate limit. Pure.

Requests are paced per host and REST key, profile writes per project and custom ID, not per request
(https://doc.batch.com/developer/api/cep/profiles/update). What is refused costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from reconciler.plan.sums import sendable
from reconciler.plan.values import Change, Cost, Op, Plan

ENDPOINTS = {
    "audience": "audience update",
    "custom_data": "custom data",
    "profiles_update": "profiles update",
    "profiles_mass_update": "profiles mass-update",
}


def with_cost(plan: Plan) -> Plan:
    """The plan with its cost line; its changes must have been summed."""
    return plan.model_copy(update={"cost": cost_of(plan.changes)})


def cost_of(changes: Iterable[Change]) -> Cost:
    """Requests, bytes and the least time of all changes together; changes must have been summed."""
    paid = [change for change in changes if change.requests]
    seconds, rate = _least_time(paid)
    return Cost(
        requests=sum(change.requests for change in paid),
        minimum=sum(change.minimum for change in paid),
        bytes=sum(_bytes_sent(change) for change in paid),
        seconds=seconds,
        rate=rate,
        why=_why(paid),
        endpoints=_endpoints(paid),
    )


def _bytes_sent(change: Change) -> int:
    """Body bytes of the rows sent; of a part its share, rounded up."""
    rows, whole = change.rows.not_attempted, change.rows.planned
    return -(-change.bytes * rows // whole) if whole else 0


def _least_time(changes: Iterable[Change]) -> tuple[float, str]:
    """Requests share the budget of their pool, profile IDs that of their project; the slowest budget decides."""
    requests, ids = Counter[tuple[str, float]](), Counter[tuple[str, float, int]]()
    for change in changes:
        requests[change.pool, change.rate] += change.requests
        if change.write_rate:
            ids[change.key, change.write_rate, change.burst] += change.rows.not_attempted
    times = [(number / rate, _per_second(rate, "request")) for (_, rate), number in requests.items()]
    times += [(max(0, number - burst) / rate, _per_second(rate, "ID")) for (_, rate, burst), number in ids.items()]
    return max(times, default=(0.0, ""))


def _per_second(rate: float, unit: str) -> str:
    return f"{rate:,g} {unit}{'' if rate == 1 else 's'}/s" if rate < 1000 else f"{rate:,.0f} {unit}s/s"


def _why(changes: Iterable[Change]) -> str:
    more = Counter[str]()
    for change in changes:
        more[change.requests_why] += change.requests - change.minimum
    return "; ".join(f"{number} more: {why}" for why, number in sorted(more.items()) if number)


def _endpoints(changes: Iterable[Change]) -> dict[str, int]:
    counted = Counter[str]()
    for change in changes:
        counted["audience create"] += int((change.create or change.recreate) and not change.refused)
        counted["audience delete"] += int((change.recreate or change.op is Op.DELETE) and not change.refused)
        for batch in sendable(change):
            counted["audience replace" if batch.replace else ENDPOINTS[change.route]] += 1
    return {name: number for name, number in sorted(counted.items()) if number}
