"""When a full upload is due: the life span of a link, and `delta_upload: false`. Times are given, never asked for."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from reconciler.link import Link, Target
from reconciler.state.state import TargetState

JITTER = 0.1
"""A thousand targets created together must not expire in one night: each up to a tenth earlier."""
DAY = timedelta(days=1)
EARLY = 0.05
"""A nightly job that starts a little earlier than yesterday is still due."""
UNITS = {"h": timedelta(hours=1), "d": DAY, "w": timedelta(weeks=1), "mo": timedelta(days=28)}


def ttl_over(target: Target, known: TargetState, now: datetime) -> bool:
    """True when the shortest `full_refresh_every` of the target's links is over, jitter included."""
    spans = [link.spec.full_refresh_every for link in target.links if link.spec.full_refresh_every is not None]
    if not spans or known.last_full is None:
        return False
    return now - known.last_full >= min(spans) * (1 - JITTER * fraction(str(target.key)))


def full_upload_due(target: Target, known: TargetState, now: datetime) -> bool:
    """True when a link without delta upload has come to its next refresh; without a schedule that is once a day."""
    spans = [_interval(link.spec.refresh.every if link.spec.refresh else "1d") for link in _without_delta(target)]
    if not spans:
        return False
    return known.last_full is None or now - known.last_full >= min(spans) * (1 - EARLY)


def fraction(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def _without_delta(target: Target) -> list[Link]:
    return [link for link in target.links if not link.action.delta_upload]


def _interval(every: str) -> timedelta:
    """``6h``, ``1d``, ``2w``, ``1mo`` (four weeks); `once` is never due again."""
    if every == "once":
        return timedelta.max / 2
    number, unit = (every[:-2], every[-2:]) if every.endswith("mo") else (every[:-1], every[-1:])
    return int(number) * UNITS[unit]
