"""The limits a target is held to: guards of its links over those of the project, raised by a valid `allow`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil

from reconciler.link import Link, Target
from reconciler.spec import Project

CONSENT_PERCENT = 10.0
"""Removals for consent above this share of a target are refused by themselves."""
GRACE = timedelta(days=7)
"""How long a proposed override lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Percentages of the count at the last commit; `where` names the strictest link of each."""

    remove: float
    add: float
    consent: float
    min_existing: int
    remove_where: str
    add_where: str
    until: date
    """Last day of an override proposed now."""

    def override(self, field: str, actual: float) -> str:
        """The line to write: ``allow: {remove_percent: 47, until: 2026-11-30, reason: …}``."""
        most = min(100, ceil(actual)) if field == "remove_percent" else ceil(actual)
        return f"allow: {{{field}: {most}, until: {self.until.isoformat()}, reason: …}}"


def limits_of(target: Target, project: Project, now: datetime) -> Limits:
    """Of several links the strictest guard counts, and any valid `allow` among them raises it."""
    today = now.date()
    removes = sorted((_guard(link, project, "max_remove_percent"), link.address) for link in target.links)
    adds = sorted((_guard(link, project, "max_add_percent"), link.address) for link in target.links)
    remove, add = _allowed(target, "remove_percent", today), _allowed(target, "add_percent", today)
    return Limits(
        remove=max(removes[0][0], remove),
        add=max(adds[0][0], add),
        consent=max(CONSENT_PERCENT, remove),
        min_existing=int(min(_guard(link, project, "min_existing") for link in target.links)),
        remove_where=removes[0][1],
        add_where=adds[0][1],
        until=today + GRACE,
    )


def expired(targets: Iterable[Target], now: datetime) -> list[str]:
    """A warning for each `allow` that is over: it counts as absent."""
    return [
        f"allow on {link.address} ended on {link.spec.allow.until.isoformat()} and counts as absent; remove it"
        for target in targets
        for link in target.links
        if link.spec.allow is not None and link.spec.allow.until < now.date()
    ]


def _guard(link: Link, project: Project, field: str) -> float:
    """The link's own limit, else the project's."""
    own = getattr(link.spec.guards, field) if link.spec.guards is not None else None
    return float(getattr(project.guards, field) if own is None else own)


def _allowed(target: Target, field: str, today: date) -> float:
    valid = [link.spec.allow for link in target.links if link.spec.allow is not None and link.spec.allow.until >= today]
    return max([0.0, *(float(getattr(allow, field) or 0) for allow in valid)])
