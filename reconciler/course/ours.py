"""Ownership: what of Batch's answer proves that an audience is the one the state knows."""

from __future__ import annotations

from reconciler.address import IdType, Space
from reconciler.observed import Observed
from reconciler.state.state import TargetState


def is_ours(observed: Observed, known: TargetState) -> bool:
    """True when `created` is the one we saw, or when our own creation was cut off before anybody was sent.

    A date that Batch does not report cannot differ: what we committed stays ours.
    """
    if observed.created is None and (known.created or known.committed):
        return True
    if known.created is None:
        return as_created(observed, known.id_type)
    return known.created == observed.created


def as_created(observed: Observed, id_type: IdType) -> bool:
    """Whether it is as a creation of ours leaves it: of our type, and nobody in it.

    An unrecognised spelling of the type is a warning elsewhere, never a difference.
    """
    return not observed.nb_ids and observed.id_type in (None, id_type)


def rewritable(space: Space) -> bool:
    """Whether *replace* exists; MEP 1.0 has none (https://doc.batch.com/api/custom-audience/1.0/update/)."""
    return space is not Space.MEP10
