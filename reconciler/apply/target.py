"""One change from intent to commit: intent → (create → barrier) → batches → acknowledgements → one committing write."""

from __future__ import annotations

from reconciler.apply.alone import create, remove
from reconciler.apply.commit import committed
from reconciler.apply.proof import Barrier, Holds, recounted
from reconciler.apply.sending import Sender
from reconciler.apply.work import Overwritten, Work
from reconciler.batch.items import item_of, replacement_of
from reconciler.data.bodies import MEMORY, Bodies
from reconciler.plan import Change, Op
from reconciler.state.standing import Acked, Standing
from reconciler.state.state import DataFile, LastWrite, Pending, TargetState


def carry_out(work: Work) -> None:
    """Applies one change; raises BatchError (or Interrupted) where it stops, with everything accepted written down."""
    change = work.change
    key = change.target_key
    if _carried_out(work):
        work.sent.accepted += [(batch.start, batch.stop) for batch in work.batches]
        return
    match change.op:
        case Op.NONE:
            return
        case Op.FORGET:
            work.tools.books.drop(key)
        case Op.DELETE:
            _delete(work)
            work.tools.books.drop(key)
        case _:
            _write(work)


def _carried_out(work: Work) -> bool:
    """Whether the same saved plan has done this already, and was cut off in another target."""
    change = work.change
    known = work.tools.books.state.target(change.target_key)
    if known is None:
        return change.forget or change.op in (Op.DELETE, Op.FORGET)
    return known.pending is None and known.plan == work.tools.digest


def _delete(work: Work) -> None:
    books, change = work.tools.books, work.change
    before = books.standing(change.target_key)
    if before is not None:
        intent = Pending(op="delete", plan=work.tools.digest, started=work.tools.clock())
        told = before.known.baseline.model_copy(update={"files": before.layers})
        books.put(before.known.model_copy(update={"pending": intent, "baseline": told, "uncertain": before.unsure}))
    _wait_out(work, before)
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


def _write(work: Work) -> None:
    change, books = work.change, work.tools.books
    before = books.standing(change.target_key)
    resumed = before is not None and _same_intent(before.known, work)
    target = before.known if resumed and before else _intent(work, before)
    acked = books.store.acked(target)
    if work.batches or change.create:
        _wait_out(work, before)
    if change.recreate and not change.consent_only:
        target = _started_anew(work, target)
    try:
        if change.create and target.created is None:
            target = create(work, target)
        else:
            work.sent.alone += ["done"] if change.create else []  # by an earlier run of the same plan
            if work.batches:
                _wait_for_last_run(work, target)
        if work.batches and change.file is not None:
            _send(work, target, acked)
    except Overwritten:
        untrusted = target.baseline.model_copy(update={"trusted": False})
        books.put(target.model_copy(update={"baseline": untrusted}))
        raise
    after = committed(work.tools, change, target, work.sent, acked)
    books.put(after if change.repairs is None or change.consent_only else recounted(work, after))
    refused = change.counts.refused_before or acked.refused or work.sent.refused
    if change.forget and not change.consent_only and not refused:  # who could not be removed is not forgotten
        books.drop(change.target_key)


def _same_intent(known: TargetState, work: Work) -> bool:
    """The same saved plan, of which a guard lets through what it did then: else its open rows are another intent's."""
    pending = known.pending
    same = pending is not None and pending.op == "write" and pending.plan == work.tools.digest
    return same and pending is not None and pending.batches == work.batches


def _intent(work: Work, before: Standing | None) -> TargetState:
    """Writes down what is about to be sent, the delta file included, in one state write."""
    change, books = work.change, work.tools.books
    assert change.state is not None
    template = before.known if before and (change.consent_only or change.forget) else change.state
    file: DataFile | None = None
    name = None
    if change.file is not None and work.batches:
        local = work.tools.staging / change.file.path
        file = books.take(local, change.target_key, "delta", rows=change.file.rows)
        name = books.log(change.target_key)
    void = (change.void or change.create) and not (change.recreate or change.consent_only)
    creates = change.create and void
    kept = before.known.baseline if before else template.baseline
    baseline = template.baseline.model_copy(
        update={
            "files": () if void or before is None else before.layers,
            "count": kept.count,
            "refusals": kept.refusals,
            "rules": kept.rules,
            "identifier": kept.identifier,
            "trusted": not any(batch.replace for batch in work.batches) and (kept.trusted or void),
        }
    )
    pending = Pending(
        op="write",
        plan=work.tools.digest,
        started=work.tools.clock(),
        create=creates,
        file=file,
        acks=name,
        batches=work.batches,
        consent_only=change.consent_only,
    )
    target = template.model_copy(
        update={
            "baseline": baseline,
            "pending": pending,
            "uncertain": _uncertain(change, before, void=void),
            "committed": before.known.committed if before else False,
            "last_full": before.known.last_full if before else None,
            "last_commit": before.known.last_commit if before else None,
            "known_offset": before.known.known_offset if before else 0,
            "last_write": _last_write(before.known) if before and not creates else None,
            "created": None if creates else template.created,
        }
    )
    if work.batches or change.create:
        books.put(target)
    return target


def _uncertain(change: Change, before: Standing | None, *, void: bool) -> tuple[DataFile, ...]:
    """What Batch may hold besides what is about to be sent: until an audience that starts anew was created or replaced,
    everybody who was told."""
    if before is None:
        return ()
    if void:
        return (*before.layers, *before.unsure)
    return before.unsure if change.recreate or change.consent_only or change.consent_refused else ()


def _last_write(known: TargetState) -> LastWrite | None:
    """What has to be APPLIED before anything else is sent: the creation itself when nobody saw its end."""
    begun = known.pending if known.created is None else None
    if begun is not None and begun.create:
        return LastWrite(token=None, sent_at=begun.started, applied=False)
    return known.last_write


def _started_anew(work: Work, target: TargetState) -> TargetState:
    """Deletes an audience that is to be created again: what was told stays told until it is gone."""
    assert target.pending is not None
    if target.pending.create:
        work.sent.alone.append("done")
        return target
    remove(work)
    target = target.model_copy(
        update={
            "baseline": target.baseline.model_copy(update={"files": (), "trusted": True}),
            "pending": target.pending.model_copy(update={"create": True}),
            "uncertain": (),
            "last_write": None,
            "created": None,
        }
    )
    work.tools.books.put(target)
    return target


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
        work.wait_for(token, replaced_ok=True)
    replaces = any(batch.replace for batch in work.batches)
    work.wait_for(last.token, replaced_ok=replaces)
    if replaces and last.token is not None:
        work.wait_for(None, replaced_ok=True)  # before a replace nobody else's write may be in flight either


def _send(work: Work, target: TargetState, acked: Acked) -> None:
    change, books = work.change, work.tools.books
    pending = target.pending
    assert pending is not None
    assert pending.file is not None
    assert pending.acks is not None
    types = target.baseline.attributes
    work.file = books.store.path_of(pending.file)
    work.sent.accepted += acked.accepted
    work.sent.refused += acked.refused
    work.sent.tokens += acked.tokens
    work.sent.last_at = acked.at
    with work.tools.engines.lent(MEMORY) as engine, books.store.acks(pending.acks) as log:
        holds = Holds(work, target, acked)
        sender = Sender(
            change=change,
            tools=work.tools,
            client=work.client,
            bodies=Bodies(engine, work.file, item_of(change.target_key, types)),
            second_item=replacement_of(change.target_key, types),
            log=log,
            sent=work.sent,
            barrier=Barrier(work),
            holds=holds,
            lacks=holds.fewer,
            resumed=acked.in_flight is not None,
        )
        sender.send(work.batches, acked.accepted)
