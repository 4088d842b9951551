"""What an apply did: sent, accepted and indexed per target, the sum that adds up, requests against their minimum.

*Accepted* is what Batch answered, *indexed* what it reports afterwards; they are never mixed.
"""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from reconciler.plan import Change, Op, Outcome, Plan, Totals, Writes
from reconciler.render.given import placed_plan
from reconciler.render.lines import Line, label_of, laid_out, override_lines, unverified, widths_of
from reconciler.render.style import Tone, paint
from reconciler.render.text import grouped, header, is_quiet, note_rows, rejects_note, title, verb_of, warnings
from reconciler.render.words import counted, placed, plain

PAST = {"create": "created", "adopt": "adopted", "update": "updated", "delete": "deleted", "forget": "forgotten"}


OUTCOME = 17
"""Width of the outcome's column."""


def report(
    plan: Plan,
    *,
    colour: bool = False,
    columns: int | None = None,
    again: str = "batchctl apply",
    waited: bool = False,
    given: str = "",
) -> str:
    """The screen after an apply, ending in a newline; quiet targets are only counted.

    `again` is the command that goes on, `waited` whether Batch was given time to index; for `given` see `text`.
    """
    plan = placed_plan(plan, given)
    loud = [change for change in plan.changes if not is_quiet(change)]
    widths = widths_of([_line(change) for change in loud], what=OUTCOME, columns=columns)
    lines = [header(plan, colour=colour), ""]
    for place, changes in grouped(loud):
        lines.append(paint(title(place), "strong", colour=colour))
        for change in changes:
            lines += laid_out(_line(change), widths, colour=colour)
    refused = rejects_note(plan) if any(change.refused_rows for change in plan.changes) else []
    ending = [*refused, *_sums(plan), paint(_summary(plan), "strong", colour=colour)]
    for notes in (warnings(plan, colour=colour), [*ending, *_next(plan, again=again, waited=waited)]):
        rows = [row for note in notes for row in note_rows(placed(note, given), columns)]
        lines += ["", *rows] if rows else []
    return "\n".join(lines) + "\n"


def _line(change: Change) -> Line:
    symbol, tone, word = _outcome(change)
    return Line(symbol, tone, label_of(change), word, _numbers(change), tuple(_below(change)))


def _outcome(change: Change) -> tuple[str, Tone, str]:
    match change.outcome:
        case Outcome.DONE | Outcome.NONE:
            return "\N{CHECK MARK}", "add", PAST.get(verb_of(change), "unchanged")
        case Outcome.FAILED:
            return "x", "remove", "failed"
        case Outcome.REFUSED:
            return "!", "refuse", "refused"
        case Outcome.UNKNOWN:
            return "?", "refuse", "outcome unknown"
        case Outcome.NOT_ATTEMPTED | Outcome.PLANNED:
            return ".", "quiet", "stopped" if _is_begun(change) else "not attempted"
    assert_never(change.outcome)


def _is_begun(change: Change) -> bool:
    """Something of it went out, or had been done before."""
    return bool(change.writes.sent or change.request_totals.done)


def _numbers(change: Change) -> str:
    if not change.rows.planned or (change.refused is not None and not change.sent):
        return ""
    indexed = "" if change.target_key.is_profiles or not change.accepted else f", {_indexed(change.indexed)}"
    return f"sent {change.sent:,}, accepted {change.accepted:,}{indexed}"


def is_awaited(change: Change) -> bool:
    """Accepted, by an earlier run perhaps, and not reported as indexed."""
    return (bool(change.accepted) or change.awaited) and not change.target_key.is_profiles and change.indexed is None


def _indexed(number: int | None) -> str:
    return "indexed not yet known" if number is None else f"indexed ({number:,} in Batch)"


def _below(change: Change) -> list[str]:
    below = [plain(line) for line in change.error.splitlines() if line.strip()]
    for refusal in (change.refused, change.consent_refusal):
        if refusal is not None:
            below += [f"refused: {plain(refusal.detail or refusal.rule)}", *override_lines(refusal)]
    if change.rows.planned and change.rows.done != change.rows.planned:
        below.append(f"rows: {_sum(change.rows)}")
    if change.accepted and (unsure := unverified(change)):
        below.append(unsure)
    return below


def _sums(plan: Plan) -> list[str]:
    rows = sum((change.rows for change in plan.changes), Totals())
    requests = sum((change.request_totals for change in plan.changes), Totals())
    lines = [f"rows     {_sum(rows)}"] if rows.planned else []
    return lines + ([f"requests {requests_sum(plan, requests)}"] if requests.planned else [])


def _sum(totals: Totals) -> str:
    """``planned 61,000 = done 14,000 + refused 47,000``: only the parts that are not zero."""
    parts = {
        "done": totals.done,
        "failed": totals.failed,
        "not attempted": totals.not_attempted,
        "refused": totals.refused,
        "unknown": totals.unknown,
    }
    found = [f"{name} {number:,}" for name, number in parts.items() if number]
    return f"planned {totals.planned:,} = {' + '.join(found) or 'done 0'}"


def requests_sum(plan: Plan, requests: Totals) -> str:
    """``planned 14, minimum 14, sent 15 = 11 + 4 retries, 3 not attempted``, in the words of `Writes`.

    What a guard holds back was not planned to be sent.
    """
    writes = sum((change.writes for change in plan.changes), Writes())
    again = f" = {writes.begun:,} + {counted(writes.retries, 'retry', 'retries')}" if writes.retries else ""
    parts = {
        "not attempted": requests.not_attempted,
        "done before": writes.spared,
        "without a connection": writes.unconnected,
    }
    left = "".join(f", {number:,} {name}" for name, number in parts.items() if number)
    planned = requests.planned - requests.refused
    return f"planned {planned:,}, minimum {plan.cost.minimum:,}, sent {writes.sent:,}{again}{left}"


def _summary(plan: Plan) -> str:
    """``Apply: 3 done, 1 failed, 1 refused, 4 unchanged.``"""
    words = Counter(
        "unchanged" if change.op is Op.NONE and not change.refused else _word(change) for change in plan.changes
    )
    shown = ("done", "failed", "stopped", "not attempted", "refused", "unknown", "unchanged")
    parts = [f"{words[word]:,} {word}" for word in shown if words[word] or word == "done"]
    return f"Apply: {', '.join(parts)}."


def _word(change: Change) -> str:
    """What the summary counts it as."""
    if change.outcome in (Outcome.NOT_ATTEMPTED, Outcome.PLANNED):
        return _outcome(change)[2]
    return change.outcome.value


def _next(plan: Plan, *, again: str, waited: bool) -> list[str]:
    """How to go on, when something is left: each with what helps, and nothing else."""
    outcomes = {change.outcome for change in plan.changes if not is_quiet(change)}
    lines = []
    if outcomes & {Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_ATTEMPTED, Outcome.PLANNED}:
        lines.append(
            f"Nothing is lost: run `{again}` again. What was acknowledged is not sent twice, "
            "what is uncertain is asserted again."
        )
    if any(change.refused_rows for change in plan.changes):
        lines.append(
            "Rows that Batch refused are sent again when they change, or with `batchctl apply --retry-rejects`."
        )
    if waited and any(is_awaited(change) for change in plan.changes):
        lines.append(
            "What Batch accepted and has not indexed yet needs time, not another apply; the next one that changes it "
            "waits for it."
        )
    if Outcome.REFUSED in outcomes:
        lines.append("Refused targets keep everything they had; the lines above say what would allow them.")
    return lines
