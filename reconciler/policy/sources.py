"""Whether the data behind a change can be believed: not empty, fresh, few rejects, a whole suppression list."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from reconciler.data.staged import UNKNOWN_KEY
from reconciler.link import Link, Target
from reconciler.plan.values import Change, Op, Plan, Refusal
from reconciler.policy.guards import share
from reconciler.spec import Catalogue, Source
from reconciler.state.state import State

SHRINKAGE = 10.0
"""Percent a suppression list may lose between two runs."""
NEARLY = 90.0
"""Percent of rows without somebody in the catalogue from which on a query selects another column than the key."""


def catalogues_of(target: Target) -> list[Catalogue]:
    """Each catalogue that feeds the target once, by name."""
    found = {link.catalogue.name: link.catalogue for link in target.links}
    return [found[name] for name in sorted(found)]


def source_guard(change: Change, target: Target) -> Refusal | None:
    """The first fault of the data."""
    return _empty(change, target) or _stale(change, target) or _rejects(change, target)


def suppression_guard(target: Target, plan: Plan, state: State | None) -> Refusal | None:
    """A list that is empty or lost more than a tenth: whom it protected is not known, so nothing at all is sent."""
    for catalogue in catalogues_of(target):
        rows = plan.suppressed.get(catalogue.name)
        before = state.suppressed.get(catalogue.name, 0) if state else 0
        if rows is None or _believed(rows, before):
            continue
        lost = f"shrank from {before:,} to {rows:,} rows" if before and rows else "is empty"
        way = "restore it, or take at most a tenth off per run" if rows else "restore it"
        return Refusal(
            rule="suppression",
            limit=SHRINKAGE,
            actual=share(before - rows, before) if before else 100.0,
            detail=f"the suppression list of catalogue/{catalogue.name} {lost}; {way}",
        )
    return None


def lists_believed(plan: Plan, state: State) -> dict[str, int]:
    """Rows of each suppression list as the last plan that believed it read them: the measure of the next one."""
    read = {name: rows for name, rows in plan.suppressed.items() if _believed(rows, state.suppressed.get(name, 0))}
    return {**state.suppressed, **read}


def _believed(rows: int, before: int) -> bool:
    return rows > 0 and share(before - rows, before or 1) <= SHRINKAGE


def stale_warnings(plan: Plan, targets: Mapping[str, Target]) -> list[str]:
    """Old data of targets that do not change is worth a warning, there is nothing to refuse."""
    found = [
        f"freshness: {refusal.detail}"
        for change in plan.changes
        if change.op is Op.NONE and change.key in targets
        for refusal in [_stale(change, targets[change.key])]
        if refusal is not None
    ]
    return list(dict.fromkeys(found))


def _empty(change: Change, target: Target) -> Refusal | None:
    if change.counts.source_rows > 0:
        return None
    places = [f"{_place(catalogue.source)} (catalogue/{catalogue.name})" for catalogue in catalogues_of(target)]
    which = "no rows in " if len(places) == 1 else "no rows in one of "
    return Refusal(rule="empty_source", limit=1, actual=0, detail=which + ", ".join(places))


def _place(source: Source) -> str:
    return source.path or f"{source.table or 'the query'} of {source.database}"


def _stale(change: Change, target: Target) -> Refusal | None:
    for catalogue in catalogues_of(target):
        age, most = change.oldest.get(catalogue.name), freshness_seconds(catalogue)
        if age is None or most is None or age <= most:
            continue
        limit = most / 3600
        return Refusal(
            rule="freshness",
            limit=limit,
            actual=round(age / 3600, 1),
            where=f"catalogue/{catalogue.name}",
            override=f"freshness: {_form(catalogue, _roomy(age / 3600))}",
            detail=f"data of catalogue/{catalogue.name} is {age / 3600:,.1f} h old, limit {limit:,g} h",
        )
    return None


def _rejects(change: Change, target: Target) -> Refusal | None:
    """Faults of the data; what Batch refused in an earlier run says nothing about today's and blocks nobody.

    Rows of a source that belong to nobody who can be named are measured by the source, all others by those of the
    segment: a damaged row in a thousand of the source is no tenth of a small segment.
    """
    counts = change.counts
    strictest = min(catalogues_of(target), key=lambda catalogue: (catalogue.max_reject_percent, catalogue.name))
    limit = float(strictest.max_reject_percent)
    count = sum(reject.count for reject in change.rejects) - counts.refused_before - counts.broken
    sides = [(counts.broken_most, counts.broken_of, "rows of the source"), (count, counts.rows_read, "rows")]
    for number, among, what in sides:
        rows = max(among, number, 1)
        actual = share(number, rows)
        if actual > limit:
            detail = f"{number:,} of {rows:,} {what} rejected, {actual:,.1f} %, limit {limit:g} %"
            return _too_many(change, target, strictest, actual, detail)
    return None


def _too_many(change: Change, target: Target, strictest: Catalogue, actual: float, detail: str) -> Refusal:
    strange = _of_another_column(change, target)
    where, override = f"catalogue/{strictest.name}", f"max_reject_percent: {ceil(actual)}"
    if strange is not None:
        where, override = f"segment/{strange.segment.name}", f"query: SELECT {strange.catalogue.key} FROM …"
    limit = float(strictest.max_reject_percent)
    return Refusal(rule="max_reject_percent", limit=limit, actual=actual, where=where, override=override, detail=detail)


def _of_another_column(change: Change, target: Target) -> Link | None:
    """The link whose query returns what hardly anybody has as key: of `NEARLY` all that it returns, or more."""
    known = change.counts.rows_read
    unknown = {one.link: one.count for one in change.rejects if one.reason == UNKNOWN_KEY}
    strange = {address for address, count in unknown.items() if share(count, known + count) >= NEARLY}
    return next((link for link in target.links if link.address in strange), None)


def freshness_seconds(catalogue: Catalogue) -> float | None:
    """Oldest data the catalogue accepts."""
    return catalogue.freshness.max_age.total_seconds() if catalogue.freshness else None


def _roomy(hours: float) -> str:
    """An age that data of `hours` does not reach at once: a tenth more, in steps of 6 h, beyond 48 h of days."""
    wanted = hours * 1.1
    return f"{ceil(wanted / 6) * 6}h" if wanted <= 48 else f"{ceil(wanted / 24)}d"


def _form(catalogue: Catalogue, age: str) -> str:
    """The short form of YAML, or the long one where a field dates the data."""
    field = catalogue.freshness.field if catalogue.freshness else None
    return f"{{max_age: {age}, field: {field}}}" if field else age
