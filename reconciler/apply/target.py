"""One change from intent to commit, by the protocol of this room: (delete →) intent → (create →) batches → commit."""

from __future__ import annotations

from reconciler.apply.alone import create, remove
from reconciler.apply.commit import committed
from reconciler.apply.proof import Holds, recounted
from reconciler.apply.rejected import kept
from reconciler.apply.sending import Sender
from reconciler.apply.work import Overwritten, Work
from reconciler.batch.items import item_of, replacement_of
from reconciler.data import refusals
from reconciler.data.bodies import MEMORY, Bodies
from reconciler.plan import Change, Op
from reconciler.plan.target_state import NOTHING_DONE, SETTINGS
from reconciler.state.standing import Standing
from reconciler.state.state import Baseline, DataFile, Pending, TargetState

DOCUMENTED = (*SETTINGS, "id_type", "links", "created", "owned_since")
"""What an intent records of the plan's documents: a later run may have to end the target without them."""


def carry_out(work: Work, *, awaited: bool = False) -> None:
    """Applies one change; raises BatchError (or Interrupted) where it stops, with everything accepted written down.

    Another target waits for one that is `awaited`: it ends when Batch has indexed it.
    """
    change, books = work.change, work.tools.books
    try:
        _carry_out(work)
        if awaited and not change.target_key.is_profiles and change.op not in (Op.DELETE, Op.FORGET):
            work.wait_indexed()
    except Overwritten:
        before = books.standing(change.target_key)
        if before is not None:
            told = before.folded.baseline.model_copy(update={"trusted": False})
            books.put(before.folded.model_copy(update={"baseline": told}))
        raise


def _carry_out(work: Work) -> None:
    key, books = work.change.target_key, work.tools.books
    if _done_before(work):
        _report_again(work)
        return
    match work.change.op:
        case Op.NONE:
            return
        case Op.FORGET:
            books.drop(key)
        case Op.DELETE:
            before = books.standing(key)
            _wait_out(work, before)
            _delete(work, before)
            books.drop(key)
        case _:
            _write(work, books.standing(key))


def _done_before(work: Work) -> bool:
    """Whether the same saved plan has done this already, and was cut off in another target."""
    change = work.change
    known = work.tools.books.state.target(change.target_key)
    if known is None:  # given up, whatever a guard lets through now
        return change.forget or change.consent_only or change.op in (Op.DELETE, Op.FORGET)
    return known.pending is None and known.plan == work.tools.digest


def _report_again(work: Work) -> None:
    """What became of rows that an earlier run of the same saved plan has sent: they are part of its sum."""
    change, tools = work.change, work.tools
    work.sent.accepted += [(batch.start, batch.stop) for batch in change.batches]
    known = tools.books.state.target(change.target_key)
    kept = known.baseline.refusals if known else None
    if kept is not None and change.file is not None and change.batches:
        work.file = tools.staging / change.file.path
        with tools.engines.lent(120) as engine:
            work.sent.refused += refusals.found(engine, kept=tools.books.store.path_of(kept), file=work.file)


def _delete(work: Work, before: Standing | None) -> None:
    """Its intent says nothing of rows: until the audience is gone everybody told is told."""
    if before is not None:
        intent = Pending(op="delete", plan=work.tools.digest, started=work.tools.clock())
        work.tools.books.put(before.folded.model_copy(update={"pending": intent}))
    work.step("deleting")
    remove(work)


def _wait_out(work: Work, before: Standing | None) -> None:
    """A request of a killed run that was never answered is over before anything else is sent.

    It was insisted on until the deadline, so its last attempt may have begun just now. A clock that was set back makes
    nobody wait longer.
    """
    last, tools = before.known.last_write if before else None, work.tools
    if last is None or last.applied or not last.unanswered:
        return
    if (tools.clock() - last.sent_at).total_seconds() < tools.deadline + tools.request_timeout:
        work.step("waiting")
        tools.sleep(tools.request_timeout)


def _write(work: Work, before: Standing | None) -> None:
    """Rows, and before them the creation of their audience, which has been deleted first where that is wanted."""
    change, books = work.change, work.tools.books
    if change.batches or change.create:
        _wait_out(work, before)
    in_flight = False
    if before is not None and _same_intent(before.known, work):
        target, in_flight = before.known, before.acked.in_flight is not None
        work.sent.goes_on(before.acked)
        work.sent.alone += ["done"] if change.recreate else []
    else:
        if change.recreate:
            _delete(work, before)
            before = books.standing(change.target_key)
        target = _intent(work, before)
    if change.create and target.created is None:
        target = create(work, target)
    else:
        work.sent.alone += ["done"] if change.create else []  # by an earlier run of the same plan
        if change.batches:
            _wait_for_last_run(work, target)
    if change.batches and change.file is not None:
        _send(work, target, in_flight=in_flight)
    work.step("committing")
    after = committed(work.tools, change, target, work.sent)
    refused = change.counts.refused_before or work.sent.refused
    if change.forget and not refused:  # who could not be removed is not forgotten
        books.drop(change.target_key)
    else:
        books.put(after if change.repairs is None else recounted(work, after))


def _same_intent(known: TargetState, work: Work) -> bool:
    """The same saved plan, of which a guard lets through what it did then: else its open rows are another intent's."""
    pending = known.pending
    if pending is None or pending.op != "write":
        return False
    wanted = (work.tools.digest, work.change.batches, work.change.create)
    return (pending.plan, pending.batches, pending.create) == wanted


def _intent(work: Work, before: Standing | None) -> TargetState:
    """The target as it stands, with what is about to be sent, the delta file included: written in one state write,
    unless only settings change."""
    change, books = work.change, work.tools.books
    start = _start(change, before)
    file: DataFile | None = None
    if change.file is not None and change.batches:
        local = work.tools.staging / change.file.path
        file = books.take(local, change.target_key, "delta", rows=change.file.rows)
    told = _remembering(work, before, start.baseline)
    trusted = (told.trusted or change.void) and not any(batch.replace for batch in change.batches)
    if change.void:
        told = told.model_copy(update={"files": ()})
    pending = Pending(
        op="write",
        plan=work.tools.digest,
        started=work.tools.clock(),
        create=change.create,
        file=file,
        batches=change.batches,
    )
    target = start.model_copy(
        update={
            "baseline": told.model_copy(update={"trusted": trusted}),
            "pending": pending,
            "uncertain": _uncertain(change, start),
            "last_write": None if change.create else start.last_write,
            "created": None if change.create else start.created,
        }
    )
    return books.begin(target) if change.batches or change.create else target


def _uncertain(change: Change, start: TargetState) -> tuple[DataFile, ...]:
    """Rows whose fate is unknown beside those that are about to be sent, which assert all others that were uncertain.

    Until an audience that starts anew was created or replaced, Batch may hold everybody who was told. What a guard
    keeps back asserts nothing.
    """
    if change.void:
        return (*start.baseline.files, *start.uncertain)
    return start.uncertain if change.narrowed else ()


def _remembering(work: Work, before: Standing | None, told: Baseline) -> Baseline:
    """With the rows that Batch refused in the intent before, which is about to be superseded."""
    if before is None or not (before.acked.refused and before.acked.told):
        return told
    tools = work.tools
    with tools.engines.lent(120) as engine:
        found = refusals.standing(engine, before, path_of=tools.books.store.path_of)
        return told.model_copy(update={"refusals": kept(tools, work.change.target_key, *found) if found else None})


def _start(change: Change, before: Standing | None) -> TargetState:
    """What is known of the target, and of the plan's documents what a later run must know without them."""
    assert change.state is not None
    if before is None:
        return change.state.model_copy(update=NOTHING_DONE)
    if change.consent_only or change.forget:
        return before.folded
    documents = {name: getattr(change.state, name) for name in DOCUMENTED}
    types = {"attributes": change.state.baseline.attributes}
    told = before.folded.baseline.model_copy(update=types)
    return before.folded.model_copy(update={**documents, "baseline": told})


def _wait_for_last_run(work: Work, target: TargetState) -> None:
    """The barrier across runs: a write of an earlier run that was not seen APPLIED is waited for."""
    last = target.last_write
    if last is None or last.applied:
        return
    if work.change.target_key.is_profiles:
        return
    recent = (work.tools.clock() - last.sent_at).total_seconds() < work.tools.deadline
    work.step("indexing")
    for token in last.earlier if recent else ():
        work.wait_for(token, replaced_ok=True, sent_at=last.sent_at)
    replaces = any(batch.replace for batch in work.change.batches)
    work.wait_for(last.token, replaced_ok=replaces, sent_at=last.sent_at)
    if replaces and last.token is not None:
        work.wait_for(
            None, replaced_ok=True, sent_at=last.sent_at
        )  # before a replace nobody else's write may be in flight either


def _send(work: Work, target: TargetState, *, in_flight: bool) -> None:
    """`in_flight`: a request of an earlier run of the same saved plan was never answered."""
    change, books = work.change, work.tools.books
    pending = target.pending
    assert pending is not None
    assert pending.file is not None
    assert pending.acks is not None
    types = target.baseline.attributes
    work.file = books.store.path_of(pending.file)
    with work.tools.engines.lent(MEMORY) as engine, books.store.acks(pending.acks) as log:
        sender = Sender(
            work=work,
            bodies=Bodies(engine, work.file, item_of(change.target_key, types)),
            second_item=replacement_of(change.target_key, types),
            log=log,
            holds=Holds(work, target),
            in_flight=in_flight,
        )
        sender.send()
