"""Deletions and creations: the writes that carry no rows. What exists is looked at first, so none is sent in vain."""

from __future__ import annotations

from reconciler.address import Space
from reconciler.apply.work import NotIndexed, Work
from reconciler.batch import barrier
from reconciler.course.ours import as_created
from reconciler.errors import BatchError, Refused4xx
from reconciler.observed import Observed
from reconciler.state.state import TargetState


def remove(work: Work) -> None:
    """Absent is success, whatever the answer was (https://doc.batch.com/developer/api/cep/audiences/remove)."""
    name, id_type = work.change.target_key.audience, work.change.id_type
    if work.client.view(name, id_type) is None:
        work.sent.alone.append("done")
        return
    with work.sent.by_itself():
        try:
            work.client.delete(name, id_type)
        except Refused4xx as error:
            if error.forbidden or work.client.view(name, id_type) is not None:
                raise
    if not barrier.wait_absent(work.client, name, id_type, deadline=work.tools.deadline, cancel=work.tools.cancel):
        raise NotIndexed(f"audience {name} was deleted but is still shown", fix="run batchctl apply again later")


def create(work: Work, target: TargetState) -> TargetState:
    """Creates the audience unless it is there already, empty and of our type; waits until Batch shows it."""
    change, client = work.change, work.client
    name, id_type = change.target_key.audience, change.id_type
    work.step("creating")
    token = None
    found = client.view(name, id_type)
    if found is None:
        with work.sent.by_itself():
            try:
                token = client.create(name, id_type, change.display_name or "").token
            except Refused4xx as error:
                found = None if error.forbidden else client.view(name, id_type)
                if found is None or not as_created(found, id_type):
                    raise
        found = barrier.wait_present(client, name, id_type, deadline=work.tools.deadline, cancel=work.tools.cancel)
        if found is None:
            raise NotIndexed(f"audience {name} was created but is not shown yet", fix="run batchctl apply again later")
        if found.nb_ids and change.target_key.space is Space.MEP10:
            raise _back(work, target, found)
    elif not as_created(found, id_type):
        raise BatchError(
            f"audience {name} exists and is not ours",
            why="it appeared after the plan was made",
            fix=f"batchctl import {change.address} {name} takes it over",
        )
    else:
        work.sent.alone.append("done")
    work.wait_for(token)
    target = target.model_copy(update={"created": found.created, "uncertain": ()})  # nobody is in it
    work.tools.books.put(target)
    return target


def _back(work: Work, target: TargetState, found: Observed) -> BatchError:
    """What to say where members of a deleted audience are back by the name of the new one. Those that were told are
    uncertain: the next plan asserts or removes each of them."""
    name, count = target.audience, found.nb_ids or 0
    told = target.committed and count <= target.baseline.count
    if told:
        work.tools.books.put(target.model_copy(update={"created": found.created}))
    again = "run batchctl apply again: it removes those who are no members any more"
    other = "give the audience another name, which begins empty, and delete this one in Batch"
    return BatchError(
        f"audience {name} was created, and {count:,} members of a deleted one of its name are back",
        why="MEP 1.0 cannot list or replace them, so nothing was sent to it",
        fix=again if told else other,
    )
