"""What Batch shows of writes it has accepted: that they are indexed, and that a lost one was carried out."""

from __future__ import annotations

from reconciler.apply.work import NotIndexed, Work
from reconciler.batch import barrier
from reconciler.data import baseline as layers_of
from reconciler.state.standing import Ranges, merged, without
from reconciler.state.state import TargetState


def recounted(work: Work, after: TargetState) -> TargetState:
    """After a full upload that answers a count difference: what remains of it is Batch's own arithmetic, the known
    offset. Where Batch does not say in time, the difference that was answered stands in for it."""
    key, told = work.change.target_key, after.baseline.count
    try:
        work.wait_indexed()
        seen = barrier.settled_count(
            work.client,
            key.audience,
            work.change.id_type,
            expected=(told,),
            deadline=barrier.SETTLE,
            cancel=work.tools.cancel,
        )
    except NotIndexed:
        return after
    if seen is None or seen.nb_ids is None:
        return after
    return after.model_copy(update={"known_offset": seen.nb_ids - told})


class Holds:
    """Evidence that rows were carried out although their answer was lost: Batch counts what it then would (U33).

    A count that would be the same without those rows proves nothing.
    """

    def __init__(self, work: Work, target: TargetState) -> None:
        self._work, self._target = work, target
        self._gone = 0
        """How many may be taken for gone before Batch is asked again."""

    def __call__(self, start: int, stop: int) -> bool:
        without_them, expected = self._count(()), self._count(((start, stop),))
        if expected == without_them or self._target.uncertain:
            return False
        return self._counted(expected) == expected

    def fewer(self) -> bool:
        """Whether Batch counts fewer than were told: somebody is gone, and it may be anybody.

        Asked of one after another, it is true as often as somebody is gone.
        """
        if self._gone < 1:
            told = self._count(())
            counted = self._counted(told)
            self._gone = told - counted if counted is not None and counted < told else 0
        self._gone -= 1
        return self._gone >= 0

    def _counted(self, expected: int) -> int | None:
        """What Batch counts once it has indexed everything; `expected` ends the wait."""
        work = self._work
        work.wait_for(None)
        seen = barrier.settled_count(
            work.client,
            work.change.target_key.audience,
            work.change.id_type,
            expected=(expected,),
            deadline=barrier.SETTLE,
            cancel=work.tools.cancel,
        )
        return seen.nb_ids if seen is not None else None

    def _count(self, more: Ranges) -> int:
        """Identifiers told once `more` rows count as accepted, as Batch would report them."""
        target, path_of = self._target, self._work.tools.books.store.path_of
        assert target.pending is not None
        assert target.pending.file is not None
        sent = self._work.sent
        ranges = without(merged([*sent.accepted, *more]), [row for row, _ in sent.refused])
        layers = (*target.baseline.files, target.pending.file.model_copy(update={"ranges": ranges}))
        with self._work.tools.engines.lent(120) as engine:
            known = layers_of.told(engine, layers, (), attributes={}, path_of=path_of)
            return (engine.count(f"SELECT count(*) FROM {known.told}") if known.told else 0) + target.known_offset
