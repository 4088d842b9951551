"""The plan on a screen: who changes in which account, what is refused and how to allow it, what it costs.

Keys and identifiers never appear; text from Batch or YAML is escaped. Unchanged targets are only counted, so a plan of
a thousand targets is as long as its changes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from reconciler.address import Space
from reconciler.plan import Change, Cost, Op, Plan
from reconciler.render.fit import fitted
from reconciler.render.given import placed_plan
from reconciler.render.lines import laid_out, line_of, widths_of
from reconciler.render.style import paint
from reconciler.render.words import brief, counted, duration, placed, plain, size

REASONS = 5
"""Reject reasons named on the screen, or one more if that is all; `batchctl rejects` lists them, ..."""
REASON = 72
"""... and has the words of Batch that are longer."""

NOTE = 9
"""Where the text of a note begins, after its word."""
_WORD = re.compile(r"(\x1b\[[0-9;]*m)?(new|warning|rejected|cost|rows|requests)\b")


def text(plan: Plan, *, colour: bool = False, columns: int | None = None, given: str = "") -> str:
    """The screen, ending in a newline. ANSI styles only with `colour`; no line beyond `columns`.

    Commands are suggested with `given`, the options that say which project.
    """
    plan = placed_plan(plan, given)
    below = [row for note in notes(plan, colour=colour) for row in note_rows(placed(note, given), columns)]
    parts = [[header(plan, colour=colour)], *blocks(plan, colour=colour, columns=columns), below]
    return "\n\n".join("\n".join(part) for part in _joined(parts) if part) + "\n"


def note_rows(note: str, columns: int | None) -> list[str]:
    """A note fitted to the screen: text hangs below text, sentences do not hang."""
    return fitted(note, columns, hang=NOTE if _WORD.match(note) else 0)


def _joined(parts: list[list[str]]) -> list[list[str]]:
    """Header, all blocks without blank lines between them, notes."""
    head, *middle, tail = parts
    return [head, [line for block in middle for line in block], tail]


def header(plan: Plan, *, colour: bool) -> str:
    """``batchctl · shop-crm (prod) · state serial 41``."""
    name = plain(plan.project) + (f" ({plain(plan.environment)})" if plan.environment else "")
    state = f"state serial {plan.serial}" if plan.lineage else "no state yet"
    return f"{paint('batchctl', 'strong', colour=colour)} · {name} · {state}" + (" · a subset" if plan.partial else "")


def is_quiet(change: Change) -> bool:
    """Nothing to do and nothing refused: only counted."""
    return change.op is Op.NONE and change.refused is None


def blocks(plan: Plan, *, colour: bool, columns: int | None = None) -> list[list[str]]:
    """One block per destination and account, in plan order."""
    loud = [change for change in plan.changes if not is_quiet(change)]
    if not loud:
        return []
    widths = widths_of([line_of(change) for change in loud], columns=columns)
    found = []
    for place, changes in grouped(plan.changes):
        shown = [line_of(change) for change in changes if not is_quiet(change)]
        lines = [text for line in shown for text in laid_out(line, widths, colour=colour)]
        rest = _rest(sum(map(is_quiet, changes)), plan.unmanaged.get(place[0], 0), more=bool(lines))
        if lines or rest:
            found.append([paint(title(place), "strong", colour=colour), *lines, *rest])
    return found


Place = tuple[str, str, str]


def grouped(changes: Iterable[Change]) -> list[tuple[Place, list[Change]]]:
    """((destination, account, platform), its changes), in order of first appearance; orphans join their destination."""
    found: dict[Place, list[Change]] = {}
    for place, members in groupby(changes, key=_place):
        found.setdefault(place, []).extend(members)
    return list(found.items())


def _place(change: Change) -> Place:
    key = change.target_key
    return change.destination, key.account, "CEP" if key.space is Space.CEP else "MEP"


def title(place: Place) -> str:
    """``shop-ios  Batch MEP, account 3fa29c01``."""
    destination, account, platform = place
    return f"{plain(destination)}  Batch {platform}, account {account}"


def _rest(unchanged: int, unmanaged: int, *, more: bool) -> list[str]:
    parts = [
        f"{unchanged:,} {'more ' if more else ''}without changes" if unchanged else "",
        f"{counted(unmanaged, 'audience')} not managed here" if unmanaged else "",
    ]
    found = [part for part in parts if part]
    return [f"  {', '.join(found)}"] if found else []


def notes(plan: Plan, *, colour: bool) -> list[str]:
    """Below the blocks: first uses, warnings, rejects, cost and the summary."""
    lines = [*_first_uses(plan), *warnings(plan, colour=colour), *rejects_note(plan)]
    if plan.cost.requests:
        lines.append(cost_line(plan.cost))
    return [*lines, paint(summary(plan), "strong", colour=colour)]


def _first_uses(plan: Plan) -> list[str]:
    """Attributes Batch has never seen stay hidden until they are enabled (https://doc.batch.com/getting-started/)."""
    return [
        f"new      {plain(change.destination)} gets {', '.join(map(plain, change.first_uses))} for the first time; "
        "enable them in Batch's dashboard, Settings, Custom data"
        for change in plan.changes
        if change.first_uses and change.target_key.is_profiles and change.refused is None
    ]


def warnings(plan: Plan, *, colour: bool) -> list[str]:
    """Of the plan, then of its changes, each with what it is about."""
    named = [_about(change, warning) for change in plan.changes for warning in change.warnings]
    return [f"{paint('warning', 'change', colour=colour)}  {plain(warning)}" for warning in (*plan.warnings, *named)]


def _about(change: Change, warning: str) -> str:
    name = change.target_key.audience or change.destination
    return warning if name in warning else f"{name}: {warning}"


def rejects_note(plan: Plan) -> list[str]:
    """``rejected 17 rows: 9 not a UUID, …``; nothing without rejects. Long reasons are cut, and equal then are one."""
    reasons = Counter[str]()
    for change in plan.changes:
        for reject in change.rejects:
            reasons[brief(plain(reject.reason), REASON)] += reject.count
    if not reasons:
        return []
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    shown = len(ordered) if len(ordered) <= REASONS + 1 else REASONS  # one more is as short as what is said of others
    named = [f"{count:,} {reason}" for reason, count in ordered[:shown]]
    others = sum(count for _, count in ordered[shown:])
    named += [f"{others:,} for other reasons"] if others else []
    return [f"rejected {counted(reasons.total(), 'row')}: {', '.join(named)}        (batchctl rejects)"]


def cost_line(cost: Cost) -> str:
    """``cost     6 requests (minimum 6), 1.3 MB, at least 6 s at 1 request/s``; why, if it is more than the minimum."""
    least = f"minimum {cost.minimum:,}" + (f"; {cost.why}" if cost.why else "")
    rate = f" at {cost.rate}" if cost.rate else ""
    requests = counted(cost.requests, "request")
    return f"cost     {requests} ({least}), {size(cost.bytes)}, at least {duration(cost.seconds)}{rate}"


def summary(plan: Plan) -> str:
    """``Plan: 1 to create, 2 to update, 1 to delete, 1 refused, 4 unchanged.``, or ``No changes.``

    Rows that Batch refused before, and that are not sent again, are counted beside either.
    """
    numbers = Counter("refused" if _nothing_allowed(change) else verb_of(change) for change in plan.changes)
    rows = sum(change.counts.refused_before for change in plan.changes)
    if not set(numbers) - {"unchanged"}:
        but = f", but for {counted(rows, 'row')} refused by Batch" if rows else ""
        told = f" {counted(numbers['unchanged'], 'target')} told what the specs say{but}." if plan.changes else ""
        return f"No changes.{told}"
    words = ["create", "adopt", "update", "delete", "forget"]
    always = {"create", "update", "delete"}
    parts = [f"{numbers[word]:,} to {word}" for word in words if numbers[word] or word in always]
    told = f" Left out: {counted(rows, 'row')} refused by Batch before." if rows else ""
    return f"Plan: {', '.join(parts)}, {numbers['refused']:,} refused, {numbers['unchanged']:,} unchanged.{told}"


def verb_of(change: Change) -> str:
    """The summary's word for an operation."""
    words = {Op.CREATE: "create", Op.ADOPT: "adopt", Op.DELETE: "delete", Op.FORGET: "forget", Op.NONE: "unchanged"}
    return "delete" if change.forget else words.get(change.op, "update")


def _nothing_allowed(change: Change) -> bool:
    """Refused as a whole, or all there is to do are refused removals for consent."""
    return change.refused is not None or (change.consent_refused and not change.batches)
