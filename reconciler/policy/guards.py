"""Percent guards of one change: how many of those a target had leave it or join it."""

from __future__ import annotations

from reconciler.plan.values import Change, Refusal
from reconciler.policy.limits import Limits


def guard(change: Change, limits: Limits) -> Refusal | None:
    """The first percent guard that a change breaks."""
    if change.before is None or change.before < max(1, limits.min_existing):
        return None
    return _removals(change, change.before, limits) or _additions(change, change.before, limits)


def consent_guard(change: Change, limits: Limits) -> Refusal | None:
    """Removals for consent beyond their own limit."""
    if change.before is None or change.before < max(1, limits.min_existing):
        return None
    actual = share(change.counts.consent, change.before)
    if actual <= limits.consent:
        return None
    return Refusal(
        rule="max_consent_percent",
        limit=limits.consent,
        actual=actual,
        where=limits.remove_where,
        override=limits.override("remove_percent", actual),
        detail=f"{change.counts.consent:,} removals for consent or suppression, {_percent(actual, limits.consent)}",
    )


def share(part: int, whole: int) -> float:
    """Percent."""
    return 100.0 * part / whole


def removed(change: Change, before: int) -> int:
    """Who leaves: of profiles people who lose a value.

    An audience that starts anew may hold people nobody told us of: what it shrinks by has left it, if that is more.
    """
    counts = change.counts
    if change.target_key.is_profiles:
        return counts.cleared
    stay = max(counts.members, counts.after) + counts.consent
    return max(counts.removed, before - stay) if change.void or change.begun_anew else counts.removed


def added(change: Change, before: int) -> int:
    """Who joins, measured alike; whom an interrupted run was about to add was judged then."""
    counts = change.counts
    return max(0, counts.members - before) if change.void else counts.added - counts.resumed


def _removals(change: Change, before: int, limits: Limits) -> Refusal | None:
    actual = share(removed(change, before), before)
    if actual <= limits.remove:
        return None
    verb = "clears" if change.target_key.is_profiles else "removes"
    return Refusal(
        rule="max_remove_percent",
        limit=limits.remove,
        actual=actual,
        where=limits.remove_where,
        override=limits.override("remove_percent", actual),
        detail=f"{verb} {_percent(actual, limits.remove)}",
    )


def _additions(change: Change, before: int, limits: Limits) -> Refusal | None:
    actual = share(added(change, before), before)
    if not change.committed or actual <= limits.add:
        return None
    return Refusal(
        rule="max_add_percent",
        limit=limits.add,
        actual=actual,
        where=limits.add_where,
        override=limits.override("add_percent", actual),
        detail=f"adds {_percent(actual, limits.add)}",
    )


def _percent(actual: float, limit: float) -> str:
    """``46.1 %, limit 30 %``; never rounded down to the limit itself."""
    shown = f"{actual:,.1f}"
    return f"{shown if float(shown.replace(',', '')) > limit else f'{actual:g}'} %, limit {limit:,g} %"
