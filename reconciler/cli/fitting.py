"""Whether a saved plan still fits: the project, the specs and the state it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import Stale
from reconciler.plan import Op

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.plan import Change, Plan
    from reconciler.state.state import State


def check_fits(plan: Plan, state: State | None, session: Session) -> None:
    """A saved plan fits the state it was made from, or the state its own interrupted apply left."""
    again = "make a new plan: batchctl plan --out FILE"
    if plan.project != session.project.name or plan.environment != (session.common.env or ""):
        raise Stale("the saved plan belongs to another project or environment", fix="check -C and --env")
    if plan.specs != session.loaded.digest:
        raise Stale("the specs have changed since the plan was saved", fix=again)
    if state is not None and state.applying == plan.digest:
        lost = [change.key for change in plan.changes if _continues(change) and change.key not in state.targets]
        if lost:
            why = "the plan sends what differs from members that the state says nothing of"
            raise Stale(f"{lost[0]} is not in the state any more", why=why, fix=again)
        return
    if state is None:
        if plan.lineage:
            raise Stale("the state the plan was made from is gone", fix=again)
    elif (plan.lineage, plan.serial) != (state.lineage, state.serial):
        raise Stale(
            "the state has changed since the plan was saved",
            why=f"the plan was made at serial {plan.serial}, the state is at {state.serial}",
            fix=again,
        )


def _continues(change: Change) -> bool:
    """It was made from what the state said of its target, which therefore is still there."""
    gone = change.forget or change.op in (Op.NONE, Op.DELETE, Op.FORGET)
    return not gone and (change.committed or change.op is Op.DELTA)


def moved(plan: Plan, root: Path) -> list[str]:
    """A warning where sources are not what they were when the plan was saved: it is applied as it is all the same."""
    changed = sorted(name for name, print_ in plan.sources.items() if _print(root / name) != print_)
    if not changed:
        return []
    more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
    what = f"{changed[0]}{more}: not the data that the plan was made from, whose rows are sent as they were"
    return [f"{what}; whoever took consent back since then is removed by the next plan only"]


def _print(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size}:{found.st_mtime_ns}"
