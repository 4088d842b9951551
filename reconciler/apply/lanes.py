"""Destinations side by side; targets of one begun in the order of their keys, a few at a time, so that its request
budget is used while Batch indexes; serial segments one after another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from reconciler.apply.outcome import judged, lost, untouched
from reconciler.apply.rejected import with_rejects
from reconciler.apply.sent import Sent
from reconciler.apply.settle import settle
from reconciler.apply.target import carry_out
from reconciler.apply.tools import Progress, Tools
from reconciler.apply.work import Work, let_through
from reconciler.batch.transport import Cancelled
from reconciler.errors import BatchctlError
from reconciler.plan import Change, Op, Outcome, Plan, Totals
from reconciler.plan.sums import beside
from reconciler.unforeseen import unforeseen

WIDTH = 4
"""Targets of one destination under way at a time; requests wait in one line, first come, first served."""


@dataclass(slots=True)
class _Gate:
    """Opens when a target's outcome is known; `good` says whether those after it may start: what it sent is indexed."""

    opened: threading.Event = field(default_factory=threading.Event)
    good: bool = False


def apply(plan: Plan, tools: Tools) -> Plan:
    """Carries the plan out; the same plan with outcomes, every planned row and request accounted for.

    Nothing raised inside one target stops the others, but a signal does; what nobody foresaw is that target's failure.
    A state that cannot be written when all is sent is told to `tools.late`.
    Targets only wait for targets of smaller keys, which are begun before them: somebody can always go on.
    """
    gates = {change.key: _Gate() for change in plan.changes}
    awaited = {key for change in plan.changes for key in change.after}
    lanes: dict[str, list[Change]] = {}
    for change in plan.changes:
        lanes.setdefault(change.destination, []).append(change)
    done: dict[str, Change] = {}

    def run(change: Change) -> None:
        try:
            done[change.key] = _one(change, tools, gates, awaited=change.key in awaited)
        except Exception as fault:  # noqa: BLE001
            tools.noticed(fault)
            done[change.key] = lost(change, unforeseen(fault))

    _side_by_side([sorted(lane, key=lambda one: one.target_key) for lane in lanes.values()], run)
    changes = tuple(done[change.key] for change in plan.changes)
    try:
        if tools.wait and not tools.cancel.is_set():
            changes = settle(changes, tools)
    except BatchctlError as error:
        tools.late(error)
    except Exception as fault:  # noqa: BLE001
        tools.noticed(fault)
        tools.late(unforeseen(fault))
    return plan.model_copy(update={"changes": changes})


def _side_by_side(lanes: Iterable[Sequence[Change]], run: Callable[[Change], None]) -> None:
    """Runs the changes of all lanes, WIDTH of each lane at a time, begun in their order.

    Where the system starts no more threads, those of a lane do that are there; lanes without one are run by this one.
    """
    threads, alone = list[threading.Thread](), list[Change]()

    def work(waiting: deque[Change]) -> None:
        while True:
            try:
                change = waiting.popleft()
            except IndexError:
                return
            run(change)

    for lane in lanes:
        waiting = deque(lane)
        begun = [one for _ in lane[:WIDTH] if (one := _started(partial(work, waiting))) is not None]
        threads += begun
        alone += () if begun else lane
    for change in sorted(alone, key=lambda one: one.target_key):
        run(change)
    for thread in threads:
        thread.join()


def _started(work: Callable[[], None]) -> threading.Thread | None:
    thread = threading.Thread(target=work, name="lane")
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread


def _one(change: Change, tools: Tools, gates: dict[str, _Gate], *, awaited: bool) -> Change:
    gate = gates[change.key]
    try:
        if change.refused is not None and not change.consent_only:
            result = untouched(change, Outcome.REFUSED)
            gate.good = True
        elif _may_start(change, tools, gates):
            result = _carried_out(change, change, tools, awaited=awaited)
            gate.good = result.outcome in (Outcome.DONE, Outcome.NONE, Outcome.REFUSED)
        else:
            result = _consent_alone(change, tools, awaited=awaited)
            if not tools.cancel.is_set():
                result = result.model_copy(update={"error": result.error or _waits(change, gates)})
        return result
    finally:
        gate.opened.set()


def _consent_alone(change: Change, tools: Tools, *, awaited: bool) -> Change:
    """Of a target that may not start because of one before it: whoever withdraws consent waits for nobody."""
    if tools.cancel.is_set() or not change.consent_batches or change.consent_refused:
        return untouched(change, Outcome.NOT_ATTEMPTED)
    part = change.model_copy(update={"consent_only": True})
    if not change.consent_only:  # nothing of the change is done by it, but for requests that are the same
        rows = change.rows.model_copy(update={"planned": part.planned_rows})
        requests = change.request_totals + Totals(planned=beside(change))
        change = change.model_copy(update={"rows": rows, "request_totals": requests})
    return _carried_out(change, part, tools, awaited=awaited)


def _waits(change: Change, gates: dict[str, _Gate]) -> str:
    names = [key.rpartition("/")[2] for key in change.after if key in gates and not gates[key].good]
    return f"waits for {', '.join(names)}, which is not done (activation: serial); removals for consent wait for nobody"


def _may_start(change: Change, tools: Tools, gates: dict[str, _Gate]) -> bool:
    for key in change.after:
        gate = gates.get(key)
        while gate is not None and not gate.opened.wait(0.2):
            if tools.cancel.is_set():
                return False
        if gate is not None and not gate.good:
            return False
    return not tools.cancel.is_set()


def _carried_out(change: Change, part: Change, tools: Tools, *, awaited: bool) -> Change:
    """The change that was planned with what became of it, of which a `part` is carried out, perhaps all."""
    if change.op is Op.NONE:
        return untouched(change, Outcome.NONE)
    sent = Sent()
    work = Work(change=let_through(part), tools=tools, sent=sent)
    error: BatchctlError | None = None
    try:
        carry_out(work, awaited=awaited)
    except BatchctlError as stopped:
        error = stopped
    except Exception as fault:  # noqa: BLE001
        tools.noticed(fault)
        error = unforeseen(fault)
    result = with_rejects(judged(change, work, error), work)
    words = {Outcome.DONE: "done", Outcome.REFUSED: "refused", Outcome.NOT_ATTEMPTED: "stopped"}
    word = "stopped" if isinstance(error, Cancelled) else words.get(result.outcome, "failed")
    tools.progress(
        Progress(
            address=change.address,
            destination=change.destination,
            step=word,
            done=result.accepted,
            total=result.rows.planned,
        )
    )
    return result
