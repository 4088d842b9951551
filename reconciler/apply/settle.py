"""`--wait`: until Batch reports every write as APPLIED, and counts what we count (rules R7 and R8).

Those of runs before that nobody saw indexed count as those of this one; what was seen is remembered, and asked no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.apply.tools import Progress, Tools
from reconciler.batch import barrier
from reconciler.batch.transport import Cancelled
from reconciler.errors import BatchError
from reconciler.observed import Observed
from reconciler.plan import Change, Op, Outcome, Plan
from reconciler.state.state import State
from reconciler.unforeseen import unforeseen

SETTLE = 20.0
"""Seconds a count may lag behind APPLIED before a difference is believed."""


def settle(changes: Sequence[Change], tools: Tools) -> tuple[Change, ...]:
    """Each audience written to, now or before, with the number Batch has indexed; past the deadline it stays None."""
    out = []
    applied: dict[str, int] = {}
    for change in changes:
        waited = _waits(change) or (_still(change) and _unseen(change, tools.books.state))
        out.append(_settled(change, tools) if waited else change)
        if waited and out[-1].indexed is None:
            out[-1] = out[-1].model_copy(update={"awaited": True})
        if waited:
            tools.progress(Progress(address=change.address, destination=change.destination, step="indexed"))
        indexed = out[-1].indexed
        if waited and indexed is not None:
            applied[change.key] = indexed
    if applied:
        tools.books.change(lambda state: _seen(state, applied))
    return tuple(out)


def left_to_see(plan: Plan, state: State) -> bool:
    """Whether nobody has seen the last write to an audience of the plan indexed."""
    return any(_unseen(change, state) for change in plan.changes)


def _still(change: Change) -> bool:
    """Nothing was sent, and nothing is left to be sent."""
    return change.outcome in (Outcome.NONE, Outcome.REFUSED)


def _unseen(change: Change, state: State) -> bool:
    known = state.target(change.target_key)
    if change.is_orphan or change.target_key.is_profiles:
        return False
    last = known.last_write if known is not None and known.pending is None else None
    return last is not None and not last.applied


def _waits(change: Change) -> bool:
    written = change.outcome is Outcome.DONE or (change.consent_only and change.accepted > 0)
    stays = change.consent_only or change.op not in (Op.DELETE, Op.FORGET, Op.NONE)
    return written and stays and not change.target_key.is_profiles


def _settled(change: Change, tools: Tools) -> Change:
    tools.progress(Progress(address=change.address, destination=change.destination, step="indexing"))
    known = tools.books.state.target(change.target_key)
    if known is None:
        return change
    client, name = tools.client_of(change), change.target_key.audience
    last = known.last_write
    seen: Observed | None = None
    try:
        tokens = (*(last.earlier if last else ()), last.token if last else None)
        for number, token in enumerate(tokens, 1):
            seen = barrier.wait_applied(
                client, name, change.id_type, token, deadline=tools.deadline, cancel=tools.cancel
            )
            good = ("APPLIED", "REPLACED") if number < len(tokens) else ("APPLIED",)
            if seen is None or seen.indexing not in good:
                return change.model_copy(update={"warnings": (*change.warnings, _late(name, seen, tools.deadline))})
        told = known.baseline.count
        expected = {told, told + known.known_offset}
        seen = barrier.settled_count(
            client, name, change.id_type, expected=expected, deadline=SETTLE, cancel=tools.cancel
        )
    except Cancelled:
        return change
    except BatchError as error:
        return change.model_copy(update={"warnings": (*change.warnings, f"audience {name}: {error.what}")})
    except Exception as fault:  # noqa: BLE001
        tools.noticed(fault)
        return change.model_copy(update={"warnings": (*change.warnings, f"audience {name}: {unforeseen(fault).what}")})
    if seen is None or seen.nb_ids is None:
        return change
    warnings = change.warnings
    if seen.nb_ids not in expected:
        warnings = (
            *warnings,
            f"audience {name}: Batch counts {seen.nb_ids:,}, told {told:,}; the next plan repairs it",
        )
    return change.model_copy(update={"indexed": seen.nb_ids, "warnings": warnings})


def _late(name: str, seen: Observed | None, deadline: float) -> str:
    if seen is None:
        return f"audience {name}: accepted, but it is not there any more"
    if seen.indexing == "REPLACED":
        return f"audience {name}: accepted, but somebody else replaced its members since"
    return f"audience {name}: accepted, but not reported as indexed within {deadline:.0f} s"


def _seen(state: State, applied: Mapping[str, int]) -> State:
    """Nothing is in flight any more; a known offset that is gone is forgotten."""
    found = []
    for key, indexed in applied.items():
        known = state.targets.get(key)
        if known is not None and known.last_write is not None:
            update: dict[str, object] = {
                "last_write": known.last_write.model_copy(update={"applied": True, "earlier": ()})
            }
            if indexed == known.baseline.count:
                update["known_offset"] = 0
            found.append(known.model_copy(update=update))
    return state.with_targets(found)
