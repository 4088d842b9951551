"""Course: which kind of change one target needs, and on what footing its rows are compared. A value."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.address import TargetKey
from reconciler.link import Link, Target
from reconciler.observed import Observed
from reconciler.plan.values import Op, Refusal
from reconciler.state.standing import size
from reconciler.state.state import TargetState


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is to be done with one target, and on what footing its rows are compared."""

    key: TargetKey
    op: Op
    reason: str = ""
    target: Target | None = None
    """None for an orphan: a target of the state which no link names, or whose link sends another type."""
    former: tuple[Link, ...] = ()
    """Of an orphan that is kept: links of the project that fed it. Whom they must not send leaves it."""
    known: TargetState | None = None
    observed: Observed | None = None
    create: bool = False
    recreate: bool = False
    """Delete, wait until absent, create: MEP 1.0 with `allow: {recreate: true}`."""
    replace: bool = False
    """Start with a *replace* of the first rows: CEP and MEP 1.1 when the baseline is not trusted."""
    everybody: bool = False
    """Every member is sent again, not only the changes."""
    void: bool = False
    """The baseline says nothing about what Batch holds (new, replaced or vanished audience)."""
    forget: bool = False
    """Orphan to be emptied: nobody is a member any more, everybody ever told is removed, then it is given up."""
    made: bool = False
    """A one-time push that was made to its end: nobody joins or leaves any more but for want of consent."""
    repairs: int | None = None
    """nb_ids − baseline count which this full upload answers, 0 where members somebody else added stay: what remains of
    it afterwards is the known offset."""
    refused: Refusal | None = None
    warnings: tuple[str, ...] = ()

    @property
    def anew(self) -> bool:
        """Void only because it starts anew by our own doing: who was told is ours still."""
        return self.op is Op.FULL and (self.replace or self.recreate)

    @property
    def begun_anew(self) -> bool:
        """It started anew after the last commit, in a run that was cut off: fewer count as told than it held."""
        if self.known is None or not self.known.committed:
            return False
        files = self.known.baseline.files
        told = sum(file.rows if file.ranges is None else size(file.ranges) for file in files)
        return told < self.known.baseline.count

    @property
    def links(self) -> tuple[Link, ...]:
        """Whose catalogues are read for it."""
        return self.target.links if self.target is not None else self.former

    @property
    def staged(self) -> bool:
        """Whether rows have to be compared for it."""
        if self.refused is not None:
            return self.consent
        return self.op in (Op.CREATE, Op.ADOPT, Op.DELTA, Op.FULL)

    @property
    def consent(self) -> bool:
        """Refused, but ours: removals for consent are staged and sent all the same."""
        return self.refused is not None and self.known is not None and bool(self.links) and not self.void
