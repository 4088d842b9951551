"""The committing write: the delta file joins the baseline, and the target is at rest again."""

from __future__ import annotations

from pathlib import Path

from reconciler.apply.rejected import kept
from reconciler.apply.sent import Sent
from reconciler.apply.tools import Tools
from reconciler.data import baseline as layers_of
from reconciler.data import refusals
from reconciler.data.checks import RULES
from reconciler.plan import Change
from reconciler.state.standing import intended, last_write, merged, size, without
from reconciler.state.state import MADE, Baseline, DataFile, TargetState

FOLD_SHARE = 0.5
"""Delta files are folded into the base when they exceed this share of its rows."""
FOLD_FILES = 100


def committed(tools: Tools, change: Change, target: TargetState, sent: Sent) -> TargetState:
    """The target after everything intended was accepted; `target` is its state with the intent.

    Removals for consent alone change nothing but who is told: the rest of the change is still to be made.
    """
    assert change.state is not None
    refused = tuple(dict(sent.refused).items())
    told = _told(target, merged(sent.accepted), refused)
    count, refusals = _count_and_refusals(tools, change, target, told, refused)
    if change.consent_only and not target.baseline.trusted:  # not all are known: guards go on from what they had
        count = max(0, target.baseline.count - size(merged(sent.accepted)))
    template = target if change.consent_only or change.forget else change.state
    old, fresh = target.baseline, template.baseline
    base = Baseline(
        files=_folded(tools, change, told, fresh.attributes),
        count=count,
        attributes=fresh.attributes,
        rules=old.rules if change.consent_only or change.made else RULES,
        identifier=fresh.identifier,
        refusals=refusals,
        trusted=old.trusted or change.full,
    )
    return template.model_copy(
        update={
            "baseline": base,
            "created": target.created,
            "owned_since": target.owned_since,
            "pending": None,
            "inputs": "" if change.narrowed or change.forget or refused else _inputs(change, template),
            "uncertain": target.uncertain if change.narrowed else (),
            "last_write": last_write(sent.tokens, sent.last_at) if sent.last_at is not None else target.last_write,
            "once_done": tuple(sorted({*target.once_done, *(() if change.narrowed else template.once_done)})),
            **({} if change.consent_only else {"committed": True, "plan": tools.digest}),
        }
    )


def _inputs(change: Change, template: TargetState) -> str:
    return f"{MADE}{template.inputs}" if change.made and template.inputs else template.inputs


def _told(
    target: TargetState, accepted: tuple[tuple[int, int], ...], refused: tuple[tuple[int, str], ...]
) -> tuple[DataFile, ...]:
    """The layers of the baseline that still say something, the file just sent last."""
    pending = target.pending
    if pending is None or pending.file is None:
        return layers_of.counting(target.baseline.files)
    ranges = without(accepted, [row for row, _ in refused])
    whole = size(ranges) == pending.file.rows
    file = pending.file.model_copy(update={"ranges": None if whole else ranges})
    return layers_of.counting((*target.baseline.files, file))


def _count_and_refusals(
    tools: Tools, change: Change, target: TargetState, told: tuple[DataFile, ...], refused: tuple[tuple[int, str], ...]
) -> tuple[int, DataFile | None]:
    """Members after the commit and the file of refusals; counted anew where not all that was planned was done."""
    before, pending = target.baseline.refusals, target.pending
    if pending is None or pending.file is None:
        return (target.baseline.count if change.narrowed else change.counts.after), before
    if not refused and not change.narrowed and before is None:
        return change.counts.after, None
    store = tools.books.store
    with tools.engines.lent(120) as engine:
        local = engine.path("refusals")
        asserted = None if change.void else intended(pending)  # an audience that starts anew holds nobody else
        sent = layers_of.counted(pending.file.model_copy(update={"ranges": asserted}))
        rows, in_part = refusals.record(
            engine,
            before=store.path_of(before, verify=True) if before else None,
            file=store.path_of(pending.file),
            sent=sent,
            refused=refused,
            to=local,
        )
        known = layers_of.told(engine, told, (), attributes=target.baseline.attributes, path_of=store.path_of)
        count = engine.count(f"SELECT count(*) FROM {known.told}") if known.told else 0
        file = kept(tools, change.target_key, local, rows, in_part)
    return count if refused or change.narrowed else change.counts.after, file


def _folded(
    tools: Tools, change: Change, told: tuple[DataFile, ...], attributes: dict[str, str]
) -> tuple[DataFile, ...]:
    """The same baseline in one file (none for nobody), when its delta files have grown past their share."""
    if len(told) < 2 or (len(told) <= FOLD_FILES and sum(f.rows for f in told[1:]) <= FOLD_SHARE * told[0].rows):
        return told
    store = tools.books.store
    with tools.engines.lent(300) as engine:
        local: Path = engine.path("base")
        rows = layers_of.fold(engine, told, attributes=attributes, path_of=store.path_of, to=local)
        return (tools.books.take(local, change.target_key, "base", rows=rows),) if rows else ()
