"""`--wait`: until Batch reports every write as APPLIED, and counts what we count (rules R7 and R8)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.apply.tools import Progress, Tools
from reconciler.batch import barrier
from reconciler.batch.transport import Cancelled
from reconciler.errors import BatchError
from reconciler.observed import Observed
from reconciler.plan import Change, Op, Outcome
from reconciler.state.state import State

SETTLE = 20.0
"""Seconds a count may lag behind APPLIED before a difference is believed."""


def settle(changes: Sequence[Change], tools: Tools) -> tuple[Change, ...]:
    """Each written audience with the number Batch has indexed; `indexed` stays None past the deadline."""
    out = []
    applied: list[str] = []
    for change in changes:
        waited = _waits(change)
        out.append(_settled(change, tools) if waited else change)
        if waited:
            tools.progress(Progress(address=change.address, destination=change.destination, step="indexed"))
        if waited and out[-1].indexed is not None:
            applied.append(change.key)
    if applied:
        tools.books.change(lambda state: _seen(state, applied))
    return tuple(out)


def _waits(change: Change) -> bool:
    written = change.outcome is Outcome.DONE or (change.consent_only and change.accepted > 0)
    return written and not change.target_key.is_profiles and change.op not in (Op.DELETE, Op.FORGET, Op.NONE)


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
                client,
                name,
                change.id_type,
                token,
                deadline=tools.deadline,
                cancel=tools.cancel,
                replaced_ok=number < len(tokens),
            )
            if seen is None:
                return change.model_copy(update={"warnings": (*change.warnings, _late(name, tools.deadline))})
        expected = known.baseline.count + known.known_offset
        seen = barrier.settled_count(
            client, name, change.id_type, expected=expected, deadline=SETTLE, cancel=tools.cancel
        )
    except Cancelled:
        return change
    except BatchError as error:
        return change.model_copy(update={"warnings": (*change.warnings, f"audience {name}: {error.what}")})
    if seen is None or seen.nb_ids is None:
        return change
    warnings = change.warnings
    if seen.nb_ids != expected:
        warnings = (
            *warnings,
            f"audience {name}: Batch counts {seen.nb_ids:,}, told {expected:,}; the next plan repairs it",
        )
    return change.model_copy(update={"indexed": seen.nb_ids, "warnings": warnings})


def _late(name: str, deadline: float) -> str:
    return f"audience {name}: accepted, but not reported as indexed within {deadline:.0f} s"


def _seen(state: State, keys: Sequence[str]) -> State:
    for key in keys:
        known = state.targets.get(key)
        if known is not None and known.last_write is not None:
            seen = known.last_write.model_copy(update={"applied": True, "earlier": ()})
            state = state.with_target(known.model_copy(update={"last_write": seen}))
    return state
