"""Keeping a state in order: the proof that it is the fold of its files, and compaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from reconciler.data import baseline as layers_of
from reconciler.data.engine import Engine
from reconciler.data.sql import lit
from reconciler.errors import BatchctlError, Damaged, SourceError, StateError
from reconciler.state.ack import Ack
from reconciler.state.document import encode, files_of, rows_of
from reconciler.state.names import STATE, TARGETS, kind_of, name_of, number_of, slug_of
from reconciler.state.reader import StateReader, measure
from reconciler.state.standing import stand
from reconciler.state.state import DataFile, LastWrite, State, TargetState
from reconciler.state.store import StateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What one target's files say."""

    key: str
    files: int
    members: int | None
    """Counted in the files; None where they cannot be read."""
    unfinished: bool
    faults: tuple[str, ...]


def verify(reader: StateReader, known: TargetState, *, now: datetime) -> Verified:
    """Reads every file of a target: digests, rows, and that base plus deltas hold as many members as the state says."""
    pending = known.pending
    files = (*known.baseline.files, *known.uncertain, *((pending.file,) if pending and pending.file else ()))
    members: int | None = None
    with Engine(now=now, memory="400MB") as engine:
        faults = [fault for file in files for fault in _file_faults(reader, engine, file)]
        faults += _file_faults(reader, engine, known.baseline.refusals) if known.baseline.refusals else []
        faults += _acks_faults(reader, known)
        if not faults:
            members, wrong = _members(reader, engine, known)
            faults += wrong
    return Verified(
        key=str(known.key), files=len(files), members=members, unfinished=pending is not None, faults=tuple(faults)
    )


def foldable(known: TargetState) -> bool:
    """Whether compaction would change a target: at rest, with more than one file."""
    return known.pending is None and not known.uncertain and len(known.baseline.files) > 1


def compacted(store: StateStore, state: State, chosen: Iterable[TargetState], *, now: datetime) -> tuple[State, int]:
    """The state with all of `chosen` folded that can be, and how many those are: one write, or none for nobody."""
    folded = [_folded(store, state, known, now=now) for known in chosen if foldable(known)]
    return store.write(state.by_hand().with_targets(folded)) if folded else state, len(folded)


def _folded(store: StateStore, state: State, known: TargetState, *, now: datetime) -> TargetState:
    """A target with its baseline as one file that holds the same, none for nobody; StateError if the state differs."""
    told = known.baseline
    with Engine(now=now, memory="400MB") as engine:
        local = engine.path("base")
        rows = layers_of.fold(engine, told.files, attributes=told.attributes, path_of=store.path_of, to=local)
        if known.committed and told.trusted and rows != told.count:
            raise StateError(
                f"{known.key}: its files hold {rows:,} members, the state says {told.count:,}",
                fix="batchctl state verify names what is wrong; nothing was changed",
            )
        name = name_of(known.key, "base", state, ".parquet")
        files = (store.put_file(local, name, rows=rows),) if rows else ()
    refusals = told.refusals
    if refusals is not None:
        name = name_of(known.key, "refusals", state, ".parquet")
        ranges, path = refusals.ranges, store.path_of(refusals, verify=True)
        refusals = store.put_file(path, name, rows=refusals.rows).model_copy(update={"ranges": ranges})
    return known.model_copy(update={"baseline": told.model_copy(update={"files": files, "refusals": refusals})})


def restored(store: StateStore, text: bytes, *, where: str, force: bool, now: datetime) -> State:
    """A document made the newest version, see `StateStore.restore`: what was or may have been sent since is uncertain.

    Those are the delta files of its targets which neither it names nor any version before it; what is kept as history
    of versions that are not there any more is older than all of those. Targets that only the newest version has which
    can be trusted, because they became ours since, are as that one says.
    """

    return store.restore(text, where=where, force=force, edit=lambda state, there: _asserting(store, state, there, now))


def gone_back(reader: StateReader, *, now: datetime) -> State:
    """Where a document was set back or is gone: the newest version that is kept, with what was or may have been sent
    since as uncertain, so that the next plan asserts it again. A store makes it the newest version."""
    document, kept = reader.document(), reader.readable()
    if document is None:
        state = next(kept)
    else:
        own = (one for one in kept if one.lineage == document.lineage and one.serial >= document.serial)
        state = next(own, document)
    if isinstance(reader, StateStore):
        return restored(reader, encode(state), where=reader.place.show(STATE), force=True, now=now)
    return _asserting(reader, state, None, now)


def remembering(store: StateStore, known: TargetState, *, now: datetime) -> tuple[TargetState, tuple[str, ...]]:
    """A target taken over, with everybody as uncertain whom files say that are left of a time when it was ours.

    What is wrong with those of them that are damaged, too: who is in them is not known any more.
    """
    start, wrong = f"{TARGETS}{slug_of(known.key)}/", list[str]()
    left = sorted(name for name in store.files() if name.startswith(start) and kind_of(name) in ("base", "delta"))
    said = _said(store.readable()) if left else {}
    return (_doubted(store, known, left, said, now, wrong) if left else known), tuple(wrong)


def _asserting(reader: StateReader, state: State, there: State | None, now: datetime) -> State:
    """`state` on top of all that is kept; `there` is the document that it replaces, where that can be trusted."""
    versions = [*([there] if there else []), *reader.readable()]
    newest = versions[0] if versions else state
    own = newest.lineage == state.lineage and newest.serial <= state.serial
    since = {} if own else {key: one for key, one in newest.targets.items() if key not in state.targets}
    said = _said(versions)
    doubted = [
        _doubted(reader, known, names, said, now)
        for version, targets in ((state, state.targets), (newest, since))
        for known, names in _sent_since(reader, version, versions, targets.values())
    ]
    return state.with_targets(since.values()).with_targets(doubted)


def _sent_since(
    reader: StateReader, version: State, versions: list[State], targets: Iterable[TargetState]
) -> Iterator[tuple[TargetState, list[str]]]:
    """Those of `targets` with delta files which neither `version` names nor one of `versions` that it came of."""
    before = [one for one in versions if one.lineage == version.lineage and one.serial <= version.serial]
    named = {name for one in (*before, version) for name in files_of(one)}
    oldest = min((one.serial for one in before), default=0)
    later = sorted(name for name in reader.files() if name not in named and number_of(name) > oldest)
    for known in targets:
        start = f"{TARGETS}{slug_of(known.key)}/delta-"
        if names := [name for name in later if name.startswith(start)]:
            yield known, names


def _said(versions: Iterable[State]) -> dict[str, DataFile]:
    """What any of the versions says of its files with rows."""
    return {name: file for version in versions for name, file in rows_of(version).items()}


def _doubted(
    reader: StateReader,
    known: TargetState,
    names: list[str],
    said: dict[str, DataFile],
    now: datetime,
    wrong: list[str] | None = None,
) -> TargetState:
    """The target with whom the files say as uncertain. What is wrong with a file that is damaged goes to `wrong`; where
    there is none, Damaged."""
    files = list[DataFile]()
    with Engine(now=now, memory="400MB") as engine:
        for name in names:
            try:
                found = _left(reader, engine, name, said.get(name))
            except Damaged as error:
                if wrong is None:
                    raise
                wrong.append(error.what)
            else:
                files += [found] if found is not None else []
    known, last = _begun(reader, known), LastWrite(token=None, sent_at=now, applied=False, unanswered=True)
    return known.model_copy(update={"uncertain": (*known.uncertain, *files), "last_write": last})


def _left(reader: StateReader, engine: Engine, name: str, said: DataFile | None) -> DataFile | None:
    """A file that is left, None where it is gone. Damaged where it is not whole, or not what a version has `said`."""
    for _ in range(2):
        try:
            there = reader.place.fetch(name)
            if there is None:
                return None
            found = measure(there[0], name, rows=0)
            read = f"SELECT count(*), bit_xor(hash(COLUMNS(*))) FROM read_parquet({lit(str(there[0]))})"
            found = found.model_copy(update={"rows": int(str(engine.row(read)[0]))})
        except (Damaged, SourceError):
            found = None
        if found is not None and (said is None or said.sha256 == found.sha256):
            return found
        if not reader.place.discard(name):  # else this machine's copy was to blame, perhaps
            break
    raise Damaged(
        f"{reader.place.show(name)} is damaged",
        why="what Batch was told is in it",
        fix="restore it from a backup; or remove it: whom only it names then stays in Batch, and attributes too",
    )


def _begun(reader: StateReader, known: TargetState) -> TargetState:
    """What is known of a target after a *replace* that was begun: what was sent later does not end with it."""
    if known.pending is None or not any(batch.replace for batch in known.pending.batches):
        return known
    return stand(known, reader.acked(known)).folded


def _file_faults(reader: StateReader, engine: Engine, file: DataFile) -> list[str]:
    try:
        path = reader.path_of(file, verify=True)
        rows = engine.count(f"SELECT count(*) FROM read_parquet({lit(str(path))})")
    except BatchctlError as error:
        return [f"{error.what}: {error.why}" if error.why else error.what]
    faults = []
    if rows != file.rows:
        faults.append(f"{file.path} holds {rows:,} rows, the state says {file.rows:,}")
    if any(not 0 <= start < stop <= rows for start, stop in file.ranges or ()):
        faults.append(f"the state counts rows of {file.path} that it does not have")
    return faults


def _acks_faults(reader: StateReader, known: TargetState) -> list[str]:
    faults = []
    pending = known.pending
    try:
        if pending is not None and pending.acks is not None and pending.file is not None:
            lines = [line for line in reader.read_acks(pending.acks) if isinstance(line, Ack)]
            if any(not 0 <= ack.start <= ack.stop <= pending.file.rows for ack in lines):
                faults.append(f"{pending.acks} acknowledges rows that were not to be sent")
    except BatchctlError as error:
        faults.append(error.what)
    return faults


def _members(reader: StateReader, engine: Engine, known: TargetState) -> tuple[int, list[str]]:
    base = known.baseline
    found = layers_of.told(engine, base.files, (), attributes=base.attributes, path_of=reader.path_of)
    if found.told is None:
        rows, different = 0, 0
    else:
        counts = engine.row(f"SELECT count(*), count(DISTINCT id) FROM {found.told}")
        rows, different = int(str(counts[0])), int(str(counts[1]))
    faults = [] if rows == different else [f"{rows - different:,} members are in the files twice"]
    if known.pending is None and known.committed and base.trusted and rows != base.count:
        faults.append(f"the files hold {rows:,} members, the state says {base.count:,}")
    return rows, faults
