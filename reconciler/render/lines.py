"""The lines of one change on the plan screen: symbol, target, verb, numbers, and what a reader must know below."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from reconciler.plan import Change, Op, Refusal
from reconciler.render.fit import fitted
from reconciler.render.style import Tone, paint
from reconciler.render.words import counted, joined, percent, plain, signed

LABEL, WHAT, VERB = 37, 31, 11
"""Least widths of the columns: target, verb with counts, the verb alone."""
GAP = "  "
"""Least distance between what is done and its detail."""
SHOWN = 60
"""A label longer than this, or than half a terminal, does not widen the column of the others."""
BELOW = "      "


@dataclass(frozen=True, slots=True)
class Line:
    """One change as columns, before they are aligned."""

    symbol: str
    tone: Tone
    label: str
    what: str
    detail: str
    below: tuple[str, ...] = ()


def label_of(change: Change) -> str:
    """``audience vip_fr_custom_ids`` or ``profiles``."""
    key = change.target_key
    return "profiles" if key.is_profiles else f"audience {plain(key.audience)}"


@dataclass(frozen=True, slots=True)
class Widths:
    """The columns of a screen, the same in every block of it."""

    label: int
    what: int
    columns: int | None
    """Of the terminal; None for a file or a pipe."""


def widths_of(lines: list[Line], *, what: int = WHAT, columns: int | None) -> Widths:
    """The least widths, and more where a label is longer; on a terminal where a count is, too, and where some line
    would be too long no more than is needed."""
    longest = SHOWN if columns is None else min(SHOWN, columns // 2)
    label = max((len(line.label) + 1 for line in lines if len(line.label) <= longest), default=1)
    roomy = Widths(max(LABEL, label), what, columns)
    if columns is None:
        return roomy
    tight = Widths(label, max((len(line.what) + len(GAP) for line in lines if line.detail), default=0), columns)
    roomy = Widths(roomy.label, max(what, tight.what), columns)
    fits = all(len(_whole(_beside(line, roomy), roomy)) <= columns for line in lines)
    return roomy if fits else tight


def laid_out(line: Line, widths: Widths, *, colour: bool) -> list[str]:
    """The line, and the lines below it; on a terminal a label beyond its column stands alone, and a detail that does
    not fit beside the rest is the first of those below."""
    columns, below, beside = widths.columns, line.below, _beside(line, widths)
    if columns is not None and line.detail and len(_whole(beside, widths)) > columns:
        below, beside = (line.detail, *below), replace(beside, detail="")
    rows = [_whole(beside, widths)] if beside.label else [f"  {line.symbol} {line.label}", _whole(beside, widths)]
    shown = [row for text in rows for row in fitted(text, columns, hang=len(BELOW))]
    shown[0] = shown[0].replace(line.symbol, paint(line.symbol, line.tone, colour=colour), 1)
    hang = len(BELOW) + 2
    return [*shown, *(row for text in below for row in fitted(BELOW + text, columns, hang=hang))]


def _beside(line: Line, widths: Widths) -> Line:
    """The line as it stands in its columns: on a terminal without a label that is too long for them."""
    alone = widths.columns is not None and len(line.label) >= widths.label
    return replace(line, symbol=" ", label="") if alone else line


def _whole(line: Line, widths: Widths) -> str:
    what = f"{line.what:<{widths.what}}" if len(line.what) + len(GAP) <= widths.what else line.what + GAP
    return f"  {line.symbol} {line.label:<{widths.label}} {what}{line.detail}".rstrip()


def line_of(change: Change) -> Line:
    """A planned change that is not `none`."""
    symbol, tone = _symbol(change)
    what, detail = _refused(change) if change.refused else _planned(change)
    return Line(symbol, tone, label_of(change), what, detail, tuple(_below(change)))


def _symbol(change: Change) -> tuple[str, Tone]:
    if change.refused is not None:
        return "!", "refuse"
    match change.op:
        case Op.CREATE | Op.ADOPT:
            return "+", "add"
        case Op.DELETE | Op.FORGET:
            return "-", "remove"
        case Op.DELTA | Op.FULL | Op.NONE:
            return ("-", "remove") if change.forget else ("~", "change")
    assert_never(change.op)


def counts_of(change: Change) -> str:
    """``+1,210 −845 ~90``; of profiles the people."""
    if change.target_key.is_profiles:
        return ", ".join(_people(change))
    counts = change.counts
    return joined([signed(counts.added, "+"), signed(_leaving(change), "-"), signed(counts.changed, "~")])


def _leaving(change: Change) -> int:
    """Removals, those for consent included unless they are refused by themselves."""
    return change.counts.removed + (0 if change.consent_refused else change.counts.consent)


def _people(change: Change) -> list[str]:
    people = counted(change.planned_rows, "person", "people")
    return [people, counted(len(change.attributes), "attribute")] if change.attributes else [people]


def _planned(change: Change) -> tuple[str, str]:
    match change.op:
        case Op.CREATE | Op.ADOPT:
            return _first_upload(change)
        case Op.DELTA | Op.FULL:
            return _upload(change)
        case Op.DELETE:
            since = change.state.owned_since if change.state else 0
            return f"delete, owned since serial {since}; campaigns using it will reach nobody", ""
        case Op.FORGET:
            return f"forget, {plain(change.reason)}; nothing is changed in Batch", ""
        case Op.NONE:
            return "no change", ""
    assert_never(change.op)


def _first_upload(change: Change) -> tuple[str, str]:
    how = "full upload" if change.create or change.op is Op.ADOPT else "upload continued"
    who = "Batch holds" if change.op is Op.ADOPT else "it held"
    before = f"  ({who} {change.before:,})" if change.before is not None else ""
    return f"{change.op.value}, {how}", (counts_of(change) or "nobody yet") + before


def _upload(change: Change) -> tuple[str, str]:
    if change.forget:
        return f"{'unset' if change.target_key.is_profiles else 'empty'}, then forget", counts_of(change)
    if not change.kinds:
        return "state only", plain("; ".join(change.settings))
    if change.target_key.is_profiles:
        links = ", ".join(plain(link.partition("/")[2]) for link in change.links)
        return counts_of(change), f"({'link' if len(change.links) == 1 else 'links'} {links})"
    return f"{change.op.value:<{VERB}}{counts_of(change)}", _share(change)


def _share(change: Change) -> str:
    if change.before is None:
        return ""
    if not change.committed:
        return f"(Batch holds {change.before:,})"
    counts = change.counts
    moves = {"+": counts.added, "-": _leaving(change)}
    shares = [f"{signed(1, sign)[0]}{percent(n / change.before)}" for sign, n in moves.items() if n and change.before]
    return f"of {change.before:,}" + (f"  ({' '.join(shares)})" if shares else "")


def _refused(change: Change) -> tuple[str, str]:
    counts = counts_of(change) if change.kinds else ""
    what = counts if change.target_key.is_profiles and counts else f"{change.op.value:<{VERB}}{counts}".rstrip()
    return what, f"refused: {plain(change.refused.detail or change.refused.rule)}" if change.refused else ""


def _below(change: Change) -> list[str]:
    below = [*override_lines(change.refused)]
    if change.consent_refusal is not None:
        below += [f"refused: {plain(change.consent_refusal.detail)}", *override_lines(change.consent_refusal)]
    if change.refused is not None and change.consent_only:
        below.append(f"{counted(change.consent_rows, 'removal')} for consent go out all the same")
    if _unusual(change):
        full = "deleted and created again, full upload" if change.recreate else "full upload"
        below.append(f"{full if change.op is Op.FULL else change.op}: {plain(change.reason)}{_rows(change)}")
    if change.settings and change.kinds:
        below.append(f"in state: {plain('; '.join(change.settings))}")
    return below + _asides(change)


def _unusual(change: Change) -> bool:
    """A full upload, or a creation that is not simply new, says why."""
    first = change.op in (Op.CREATE, Op.ADOPT) and change.reason not in ("new", "adopt: true")
    return change.refused is None and (change.op is Op.FULL or first)


def _rows(change: Change) -> str:
    """How much a full upload of an audience sends; of profiles the line says it."""
    rows = change.planned_rows
    shown = rows and change.op is Op.FULL and not change.target_key.is_profiles
    return f"; {counted(rows, 'row')} to send" if shown else ""


def _asides(change: Change) -> list[str]:
    """Numbers that explain a count: rows held back, identifiers of several people, rows sent again."""
    counts = change.counts
    asides = [
        counts.held and f"{counts.held:,} held (their rows cannot be trusted, so they stay)",
        counts.shared and f"{counted(counts.shared, 'identifier')} shared by several people",
        _again(change),
        counts.refused_before and f"{counts.refused_before:,} refused by Batch before (--retry-rejects tries again)",
        unverified(change),
    ]
    found = [aside for aside in asides if aside]
    return ["; ".join(found)] if found else []


def _again(change: Change) -> str:
    """A full upload sends every row anyway, and is not expected to remove anybody."""
    rows, removed = change.counts.reasserted, change.removed_again
    if change.op is Op.FULL:
        return f"{counted(removed, 'uncertain row')} removed" if removed else ""
    among = f", {counted(removed, 'removal')} among them" if removed else ""
    return f"{counted(rows, 'uncertain row')} asserted again{among}" if rows else ""


def unverified(change: Change) -> str:
    """Who loses a value: Batch accepts it, and cannot be asked whether it forgot the value."""
    one, many = ("person", "people") if change.target_key.is_profiles else ("member", "members")
    if not change.unverified:
        return ""
    losing = f"{counted(change.unverified, one, many)} {'loses' if change.unverified == 1 else 'lose'} a value"
    return f"{losing} (Batch cannot be asked whether it is gone)"


_LEADS = {"prevent_destroy": "to leave it in Batch as it is and give it up"}
"""What a command is for, by the rule that it answers; the others take an audience over."""


def override_lines(refusal: Refusal | None) -> list[str]:
    """The exact command, or the exact YAML and where to write it."""
    if refusal is None or not refusal.override:
        return []
    override = plain(refusal.override)
    if override.startswith("batchctl "):
        return [f"{_LEADS.get(refusal.rule, 'to take it over')}:  {override}"]
    once = "once, " if override.startswith("allow:") else ""
    return [f"to allow it {once}write on {plain(refusal.where)}:  {override}".replace("it write", "it, write")]
